"""Assessment in, checked narrative out: generate, check, try again, fall back to the template."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lendsafe import prompts, slots, template
from lendsafe.eval.truth.checks import check
from lendsafe.eval.truth.vocabulary import Vocabulary
from lendsafe.files import disk_errors
from lendsafe.mlx_lora.exchange import adapter, loading
from lendsafe.mlx_lora.generate import generate
from lendsafe.mlx_lora.runs import record
from lendsafe.mlx_lora.tokens import prompt_ids
from lendsafe.pipeline.settings import GenerateConfig as GenerateConfig
from lendsafe.records import Assessment, Explanation, Finding, Message, Style

VOCABULARY = "vocabulary.txt"  # in a run folder: what the replies hold that it was trained on
WRITTEN_BY_MODEL = ("approved", "declined")  # other decisions get the template: no model was taught them


@dataclass(frozen=True)
class Request:
    """An assessment to explain, and how."""

    assessment: Assessment
    style: Style = field(default_factory=Style)


@dataclass(frozen=True)
class Narrator:
    """A language model that writes narratives: a base, adapted or not.

    Attributes:
        base: The model.
        config: How to generate.
        vocabulary: What it was taught; None where that is not known.
    """

    base: loading.Base
    config: GenerateConfig = field(default_factory=GenerateConfig)
    vocabulary: Vocabulary | None = None

    def write(
        self,
        conversations: Sequence[Sequence[Message]],
        *,
        temperature: float = 0.0,
        seed: int = 0,
        done: Callable[[int], None] | None = None,
    ) -> list[str]:
        """Generate the assistant's reply to each conversation."""
        if not conversations:
            return []
        replies = generate(
            self.base.model,
            self.base.tokenizer,
            [prompt_ids(self.base.tokenizer, one) for one in conversations],
            max_tokens=self.config.max_tokens,
            temperature=temperature,
            seed=seed,
            batch_size=self.config.generation_batch,
            done=done,
        )
        return [reply.text.strip() for reply in replies]


def narrator(name: str, config: GenerateConfig | None = None) -> Narrator:
    """Load a model, or a run with the base that it was trained on.

    Args:
        name: A run folder, ``granite-tiny``, ``granite-3.1-3b``, a local model folder, or a Hub id.
        config: How to generate.
    """
    folder, taught = Path(name), None
    if (folder / "adapter_config.json").exists():
        trained, model, _ = record.read_settings(folder)
        base = loading.load(model, precision=trained.precision, quantize=trained.quantize)
        adapter.load(folder, base)
        taught = read_vocabulary(folder)
    else:
        base = loading.load(name)
    base.model.eval()
    return Narrator(base, config or GenerateConfig(), taught)


def read_vocabulary(run: Path) -> Vocabulary | None:
    """What the texts hold that a run was trained on; None where it kept nothing."""
    path = run / VOCABULARY
    with disk_errors(path):
        return Vocabulary.from_lines(path.read_text("utf-8")) if path.exists() else None


def explain(
    requests: Sequence[Request],
    writer: Narrator | None,
    *,
    first: Sequence[str] | None = None,
    done: Callable[[int], None] | None = None,
) -> list[Explanation]:
    """Narratives that pass every check, one a request.

    The model's first try is greedy; a narrative that fails a check is generated again, with another seed; then
    the deterministic template, which passes by construction, takes its place.

    Args:
        requests: What to explain.
        writer: Language model; None takes the template for all.
        first: What the model wrote at the first try, one a request, if it has been asked already.
        done: Called with the number of narratives finished so far.
    """
    finished: dict[int, Explanation] = {}
    failed: dict[int, tuple[Finding, ...]] = {}
    tries: dict[int, int] = {}
    pending = [i for i, r in enumerate(requests) if writer and r.assessment.decision in WRITTEN_BY_MODEL]
    for attempt in range(1 + writer.config.retries if writer else 0):
        if not pending or writer is None:
            break
        if first is not None and attempt == 0:
            texts = [first[i] for i in pending]
        else:
            texts = writer.write(
                [prompts.request(requests[i].assessment, requests[i].style) for i in pending],
                temperature=writer.config.retry_temperature if attempt else writer.config.temperature,
                seed=writer.config.generation_seed + attempt,
                done=_counted(done, len(finished)),
            )
        for i, text in zip(pending, texts, strict=True):
            tries[i] = attempt + 1
            about, style = requests[i].assessment, requests[i].style
            found = tuple(check(text, about, style=style, vocabulary=writer.vocabulary))
            if found:
                failed[i] = failed.get(i, ()) + found
            else:
                finished[i] = _explanation(requests[i], text, "model", tries[i], failed.get(i, ()))
        pending = [i for i in pending if i not in finished]
    for i, request in enumerate(requests):
        if i not in finished:
            text = template.template(request.assessment, request.style)
            finished[i] = _explanation(request, text, "template", tries.get(i, 0), failed.get(i, ()))
    return [finished[i] for i in range(len(requests))]


def _counted(done: Callable[[int], None] | None, before: int) -> Callable[[int], None] | None:
    return None if done is None else lambda count: done(before + count)


def _explanation(
    request: Request, slot_text: str, source: str, tries: int, findings: tuple[Finding, ...]
) -> Explanation:
    return Explanation(
        assessment=request.assessment,
        style=request.style,
        slot_text=slot_text,
        text=slots.render(slot_text, slots.facts(request.assessment)),
        source="model" if source == "model" else "template",
        tries=tries,
        findings=findings,
    )
