"""Assessment in, checked narrative out: generate, examine, try again, fall back to the product's words.

Closed by default: where it is not known what language was approved, nothing that a model wrote is sent
without a person.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lendsafe import parts, prompts, slots, template
from lendsafe.errors import DataError, RefusedError
from lendsafe.eval.truth.checks import check_sent
from lendsafe.eval.truth.examine import Examination, examine
from lendsafe.eval.truth.language import Language
from lendsafe.mlx_lora.exchange import adapter, loading
from lendsafe.mlx_lora.form import Form, Segment
from lendsafe.mlx_lora.generate import generate
from lendsafe.mlx_lora.runs import record
from lendsafe.mlx_lora.tokens import prompt_ids
from lendsafe.pipeline.settings import GenerateConfig as GenerateConfig
from lendsafe.records import Assessment, Explanation, Finding, Message, Source, Style

LANGUAGE = "language.txt"  # in a run folder: what may be sent without a person
WRITTEN_BY_MODEL = ("approved", "declined")  # other decisions get the template: no model was taught them
NOT_APPROVED = "no approved language is known for this model"


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
        language: What of its sentences may be sent; None where that is not known, and then none is.
    """

    base: loading.Base
    config: GenerateConfig = field(default_factory=GenerateConfig)
    language: Language | None = None

    def write(
        self,
        conversations: Sequence[Sequence[Message]],
        *,
        temperature: float = 0.0,
        seed: int = 0,
        forms: Sequence[Form] | None = None,
        done: Callable[[int], None] | None = None,
    ) -> list[str]:
        """Generate the assistant's reply to each conversation, held to its form if one is given."""
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
            forms=forms,
            done=done,
        )
        return [reply.text.strip() for reply in replies]


def narrator(name: str, config: GenerateConfig | None = None) -> Narrator:
    """Load a model, or a run with the base that it was trained on.

    Args:
        name: A run folder, ``granite-tiny``, ``granite-3.1-3b``, a local model folder, or a Hub id.
        config: How to generate.

    Raises:
        RefusedError: If a run's approved language is missing or was changed.
    """
    folder, approved = Path(name), None
    if (folder / "adapter_config.json").exists():
        trained, model, _ = record.read_settings(folder)
        base = loading.load(model, precision=trained.precision, quantize=trained.quantize)
        adapter.load(folder, base)
        approved = read_language(folder)
    else:
        base = loading.load(name)
    base.model.eval()
    return Narrator(base, config or GenerateConfig(), approved)


def read_language(run: Path) -> Language | None:
    """What may be sent of a run's texts; None for an adapter that never had a language.

    Raises:
        RefusedError: If the run names one and the file is missing, or is another.
    """
    wanted = record.approved_language(run)
    found = Language.read(run / LANGUAGE)
    if wanted and found is None:
        raise RefusedError(
            f"{run / LANGUAGE}: missing; the run was trained with an approved language. Copy the run again."
        )
    if wanted and found is not None and found.digest != wanted:
        raise RefusedError(
            f"{run / LANGUAGE}: not the approved language that the run was trained with. Copy the run again."
        )
    return found if wanted else None


def form(assessment: Assessment, style: Style) -> Form:
    """What a reply is held to: the parts that the assessment opens, with the slots that each may hold.

    So no factor can be missing or made up, and no figure of another factor can be said.
    """
    opened = parts.of(assessment, style)
    segments = [
        Segment(label, frozenset(prompts.shown_slots(assessment, part)), required=part.kind != "end")
        for part, label in zip(opened, parts.labels(opened), strict=True)
    ]
    return Form(tuple(segments))


def explain(
    requests: Sequence[Request],
    writer: Narrator | None,
    *,
    first: Sequence[str] | None = None,
    done: Callable[[int], None] | None = None,
) -> list[Explanation]:
    """Narratives that may be sent, one a request.

    The model's first try is greedy; a narrative of which a sentence is not supported, or that fails a check, is
    generated again, with another seed; then the product's fixed words take its place, or (``unreviewed`` is
    ``hold``) the text waits for a person. Without an approved language no try of a model is sent.

    Args:
        requests: What to explain.
        writer: Language model; None takes the product's words for all.
        first: What the model wrote at the first try, one a request, if it has been asked already.
        done: Called with the number of narratives finished so far.
    """
    finished: dict[int, Explanation] = {}
    failed: dict[int, tuple[Finding, ...]] = {}
    last: dict[int, Examination] = {}
    tries: dict[int, int] = {}
    asked = [i for i, r in enumerate(requests) if writer and r.assessment.decision in WRITTEN_BY_MODEL]
    closed = writer is not None and writer.language is None
    pending = [] if closed and writer and writer.config.unreviewed == "template" else list(asked)
    for attempt in range(1 if closed else 1 + writer.config.retries if writer else 0):
        if not pending or writer is None:
            break
        if first is not None and attempt == 0:
            texts = [first[i] for i in pending]
        else:
            texts = writer.write(
                [prompts.request(requests[i].assessment, requests[i].style) for i in pending],
                temperature=writer.config.retry_temperature if attempt else writer.config.temperature,
                seed=writer.config.generation_seed + attempt,
                forms=[form(requests[i].assessment, requests[i].style) for i in pending],
                done=_counted(done, len(finished)),
            )
        for i, text in zip(pending, texts, strict=True):
            tries[i] = attempt + 1
            last[i] = examine(text, requests[i].assessment, requests[i].style, writer.language)
            if last[i].sent:
                finished[i] = _explanation(requests[i], text, last[i], "model", tries[i], failed.get(i, ()))
            else:
                failed[i] = failed.get(i, ()) + faults(last[i])
        pending = [i for i in pending if i not in finished]
    for i, request in enumerate(requests):
        if i in finished:
            continue
        why = "" if i not in asked else NOT_APPROVED if closed else "no try could be sent"
        if writer is not None and why and writer.config.unreviewed == "hold" and i in last:
            finished[i] = _explanation(
                request, last[i].narrative, last[i], "held", tries[i], failed.get(i, ()), why
            )
        else:
            finished[i] = fixed(request, tries.get(i, 0), failed.get(i, ()), why)
    return [finished[i] for i in range(len(requests))]


def fixed(request: Request, tries: int = 0, findings: tuple[Finding, ...] = (), why: str = "") -> Explanation:
    """The product's fixed words, which go through every check as they are sent.

    Raises:
        DataError: If they do not pass: the product's own words contradict the assessment or each other.
    """
    about, style = request.assessment, request.style
    texts = template.template_parts(about, style)
    narrative = parts.narrative(texts)
    text = slots.render(narrative, slots.facts(about))
    if wrong := check_sent(text, about, prose=False):  # its words are the product's, and stand as they are
        raise DataError(
            f"Application '{about.applicant.applicant_id}': the product's own words do not pass: "
            f"{wrong[0].rule}: {wrong[0].message}"
        )
    return Explanation(
        assessment=about,
        style=style,
        slot_text=parts.join(texts, parts.of(about, style)),
        text=text,
        source="template",
        tries=tries,
        findings=findings,
        why=why,
    )


def faults(found: Examination) -> tuple[Finding, ...]:
    """Everything that keeps a reply from being sent: its form, sentences that are not supported, checks."""
    sentences = [
        Finding(one.kind, f"{one.why}: {found.narrative[one.start : one.end]}", one.start, one.end, one.fact)
        for one in found.verdicts
        if one.kind != "supported"
    ]
    return (*found.findings, *sentences)


def _counted(done: Callable[[int], None] | None, before: int) -> Callable[[int], None] | None:
    return None if done is None else lambda count: done(before + count)


def _explanation(
    request: Request,
    slot_text: str,
    found: Examination,
    source: Source,
    tries: int,
    findings: tuple[Finding, ...],
    why: str = "",
) -> Explanation:
    return Explanation(
        assessment=request.assessment,
        style=request.style,
        slot_text=slot_text,
        text=found.text,
        source=source,
        tries=tries,
        findings=findings,
        language=found.language,
        why=why,
    )
