"""A run that goes on from another one and learns from that one's own replies, sorted by a given judgement.

Several replies are drawn for each training prompt. Of those that are not accepted, each is set against one that
is, or else against the reply that the data have. DPO learns both of a pair, rejection sampling the accepted one
alone. The folder is a run's, and ``draws.json`` beside it holds what was drawn, so that a run that is killed goes
on with the same replies.
"""

import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import cycle
from pathlib import Path
from typing import Any, TextIO, TypeVar

from lendsafe.errors import ConfigError, DataError, RefusedError
from lendsafe.files import disk_errors, refuse_existing, sha256, write_json
from lendsafe.mlx_lora import backend
from lendsafe.mlx_lora.config import PreferenceConfig
from lendsafe.mlx_lora.exchange import adapter, targets
from lendsafe.mlx_lora.exchange.loading import Base
from lendsafe.mlx_lora.form import Form
from lendsafe.mlx_lora.generate import generate
from lendsafe.mlx_lora.runs import checkpoint, record
from lendsafe.mlx_lora.runs.examples import tokenize
from lendsafe.mlx_lora.runs.parallel import Parallel
from lendsafe.mlx_lora.runs.run import Dataset, Result, Start, fine_tune
from lendsafe.mlx_lora.step.objective import Pair, margins, preference
from lendsafe.mlx_lora.step.techniques import Techniques
from lendsafe.mlx_lora.tokens import Tokens, prompt_ids
from lendsafe.records import Message

DRAWS, REFERENCE = "draws.json", "reference.json"
CHUNK = 64  # prompts whose replies are drawn and kept together
OF_THE_START = ("rank", "alpha", "rslora", "targets", "precision", "quantize")  # settings that stay

T = TypeVar("T")
Accept = Callable[[int, str], bool]


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What a run learns from.

    Attributes:
        start: Folder of the run that it goes on from.
        data: Whose training prompts are replied to; its replies stand in where nothing drawn is accepted.
        accept: Whether a reply to the training example of this number is a good one; the same answer every time.
        forms: What the replies are held to, one for each training example; None leaves them free.
    """

    start: Path
    data: Dataset
    accept: Accept
    forms: Sequence[Form] | None = None


@dataclass(frozen=True, slots=True)
class Draw:
    """A reply that was drawn.

    Attributes:
        text: Without its end mark.
        finished: Whether the model ended it.
    """

    text: str
    finished: bool


@dataclass(frozen=True, slots=True)
class Contrast:
    """A rejected reply and a better one.

    Attributes:
        number: Of the training example.
        chosen: Text of the better one.
        rejected: The rejected one.
    """

    number: int
    chosen: str
    rejected: Draw


def recipe(start: Path) -> dict[str, Any]:
    """Settings to go on from a run with: its own, one pass, a tenth of its rate, no dropout.

    Without dropout a reply has one probability, as DPO's loss has it.
    """
    before, _, _ = record.read_settings(start)
    rate = before.learning_rate / 10
    changes = {"epochs": 1, "max_steps": None, "learning_rate": rate, "warmup_steps": 10, "dropout": 0.0}
    return {one.name: getattr(before, one.name) for one in fields(before)} | changes


def prefer(
    base: Base,
    lesson: Lesson,
    config: PreferenceConfig,
    out: Path,
    *,
    resume: bool = False,
    force: bool = False,
    quiet: bool = False,
) -> Result:
    """Draw replies, sort them, and teach the difference.

    Args:
        base: The base that the start was trained on; gets its adapters.
        lesson: What to learn from.
        config: What to draw and how to learn from it; rank, scale and targets are the start's.
        out: Run folder; new or empty, or one in which drawing was begun, unless resuming.
        resume: Continue from the newest valid checkpoint of ``out``.
        force: Resume although something has changed.
        quiet: Show no progress.

    Raises:
        ConfigError: If the shape of the adapters is not the start's.
        DataError: If every reply drawn is accepted, so that there is nothing to learn.
        LendSafeError: As :func:`~lendsafe.mlx_lora.runs.run.fine_tune`.
    """
    parallel = Parallel()
    if not resume and parallel.leads:
        hint = f", or continue it with --resume {out}"
        refuse_existing(out, besides=(".lock", checkpoint.STRAYS, DRAWS, REFERENCE), hint=hint)
    adapted = _adapted(base, lesson.start, config)
    draws = _Draws(base, lesson, config, None if quiet or not parallel.leads else sys.stderr)
    drawn = _kept(out, parallel, lambda: draws.kept_in(out / DRAWS))
    found = list(contrasts(drawn, lesson))
    if not found:
        raise DataError(
            f"{lesson.start}: all {len(drawn) * config.draws} replies drawn are accepted; nothing to learn."
        )
    contents = _digest([asdict(one) for one in found])
    start = Start(
        adapted=adapted,
        identity={"run": str(lesson.start.resolve()), "draws": draws.identity, "contrasts": contents},
        trained=record.trained_rows(lesson.start),
        besides=(DRAWS, REFERENCE),
    )
    if config.learn_by == "dpo":
        pairs = _pairs(base, lesson.data, found, config)
        references = _kept(out, parallel, lambda: _references(base, pairs, config, out / REFERENCE, contents))
        examples = [replace(one, reference=value) for one, value in zip(pairs, references, strict=True)]
        start = replace(start, examples=examples, objective=preference(config.beta))
    data = _dataset(lesson.data, found, alone=config.learn_by == "rejection")
    return fine_tune(base, data, config, out, start=start, resume=resume, force=force, quiet=quiet)


def contrasts(drawn: Sequence[Sequence[Draw]], lesson: Lesson) -> Iterator[Contrast]:
    """Every rejected reply beside a better one to the same prompt; a text that was drawn twice counts once.

    Args:
        drawn: Replies to each training example.
        lesson: Says which are accepted, and what the data have.
    """
    for number, replies in enumerate(drawn):
        distinct = list(dict.fromkeys(replies))
        good = [one.finished and lesson.accept(number, one.text) for one in distinct]
        chosen = [one.text for one, right in zip(distinct, good, strict=True) if right]
        better = cycle(chosen or [lesson.data.train[number][-1].content])
        for one, right in zip(distinct, good, strict=True):
            if not right and one.text.strip():
                yield Contrast(number, next(better), one)


def _adapted(base: Base, start: Path, config: PreferenceConfig) -> targets.Adapted:
    """Put the start's adapters on, with this run's dropout."""
    before = record.read_settings(start)[0]
    for name in OF_THE_START:
        if getattr(config, name) != getattr(before, name):
            raise ConfigError(
                f"'{name}' is {getattr(config, name)!r}; the adapters of {start}, which go on, were trained with"
                f" {getattr(before, name)!r}."
            )
    adapted = adapter.load(start, base)
    for layer in targets.adapters(base.model).values():
        layer.rate = config.dropout
    return adapted


def _kept(out: Path, parallel: Parallel, make: Callable[[], T]) -> T:
    """What the leading process makes in the run folder, and the others then read from there."""
    if parallel.leads:
        with checkpoint.lock(out):
            made = make()
        parallel.barrier()
        return made
    parallel.barrier()
    return make()


# -- what is drawn -------------------------------------------------------------------------------


class _Draws:
    """Replies to each training prompt, drawn a chunk at a time; a chunk's do not depend on other chunks."""

    def __init__(self, base: Base, lesson: Lesson, config: PreferenceConfig, say: TextIO | None) -> None:
        self._base, self._config, self._say = base, config, say
        self._prompts = [prompt_ids(base.tokenizer, one[:-1]) for one in lesson.data.train]
        self._forms = lesson.forms
        forms = [
            repr([(one.label, sorted(one.slots), one.budget, one.required) for one in form.segments])
            for form in lesson.forms or ()
        ]
        start = sha256(lesson.start / adapter.MLX_FILE)
        self.identity = _digest(
            [
                start,
                config.draws,
                config.draw_temperature,
                config.seed,
                config.max_length,
                self._prompts,
                forms,
            ]
        )

    def kept_in(self, path: Path) -> list[list[Draw]]:
        """All of them; those that are in the file are taken from there, and it is written after each chunk."""
        found = _stored(path, self.identity)
        for first in range(len(found), len(self._prompts), CHUNK):
            found += self._chunk(first)
            write_json(path, {"identity": self.identity, "values": found})
            if self._say:
                self._say.write(f"replies drawn for {len(found):,} of {len(self._prompts):,} prompts\n")
        return [[Draw(text, finished) for text, finished in replies] for replies in found]

    def _chunk(self, first: int) -> list[list[tuple[str, bool]]]:
        last, count = min(first + CHUNK, len(self._prompts)), self._config.draws
        numbers = [number for number in range(first, last) for _ in range(count)]
        replies = generate(
            self._base.model,
            self._base.tokenizer,
            [self._prompts[number] for number in numbers],
            max_tokens=self._config.max_length,
            temperature=self._config.draw_temperature,
            seed=int(_digest(["draw", self._config.seed, first])[:16], 16),
            forms=[self._forms[number] for number in numbers] if self._forms else None,
        )
        made = [(one.text.strip(), one.finished) for one in replies]
        return [made[at : at + count] for at in range(0, len(made), count)]


def _digest(what: Any) -> str:
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()


def _stored(path: Path, identity: str) -> list[Any]:
    """What a file of ours holds, if it is of this run; else nothing."""
    if not path.exists():
        return []
    with disk_errors(path):
        content = path.read_bytes()
    try:
        found = json.loads(content)
        if found["identity"] == identity:
            return list(found["values"])
    except (ValueError, KeyError, TypeError) as problem:
        raise RefusedError(f"{path}: damaged: {problem}") from problem
    return []


# -- what is learned -----------------------------------------------------------------------------


def _dataset(data: Dataset, found: Sequence[Contrast], *, alone: bool) -> Dataset:
    """The better replies to train on, each once if alone, else one for each rejected reply."""
    rows = [(one.number, one.chosen) for one in found]
    if alone:
        rows = list(dict.fromkeys(rows))
    return Dataset(
        train=[_conversation(data, number, text) for number, text in rows],
        valid=data.valid,
        train_names=[f"reply to example {number + 1}" for number, _ in rows],
        valid_names=data.valid_names,
        source=data.source,
    )


def _conversation(data: Dataset, number: int, text: str) -> list[Message]:
    return [*data.train[number][:-1], Message("assistant", text)]


def _pairs(base: Base, data: Dataset, found: Sequence[Contrast], config: PreferenceConfig) -> list[Pair]:
    config = replace(config, overlong="truncate")  # a drawn reply may be
    chosen = tokenize(base, [_conversation(data, one.number, one.chosen) for one in found], config)
    rejected = tokenize(base, [_conversation(data, one.number, one.rejected.text) for one in found], config)
    return [
        Pair(good, bad if one.rejected.finished and not bad.cut else _without_end(bad))
        for one, good, bad in zip(found, chosen, rejected, strict=True)
    ]


def _without_end(one: Tokens) -> Tokens:
    """A reply that its model did not end here."""
    return Tokens(one.ids[:-1], one.reply_start, one.cut)


def _references(
    base: Base, pairs: Sequence[Pair], config: PreferenceConfig, path: Path, identity: str
) -> list[float]:
    """Margin of each pair under the start, in nats; if they are in the file, they are taken from there."""
    found: list[float] = _stored(path, identity)
    if not found:
        techniques = Techniques(fuse_loss=False)
        with backend.device_errors():
            for first in range(0, len(pairs), config.batch_size):
                part: Any = margins(base.model, pairs[first : first + config.batch_size], techniques).tolist()
                found += part
        write_json(path, {"identity": identity, "values": found})
    return found
