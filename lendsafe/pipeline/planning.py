"""Will a run fit, how long will it take: on this machine or on a Mac that is not at hand."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from lendsafe.errors import ConfigError, DataError
from lendsafe.mlx_lora import backend
from lendsafe.mlx_lora.config import TrainConfig
from lendsafe.mlx_lora.exchange import loading
from lendsafe.mlx_lora.planning import footprint, plan
from lendsafe.mlx_lora.tokens import Tokens, dated, encode_all, replies
from lendsafe.pipeline.inputs import read_rows, read_template
from lendsafe.records import Message

SAMPLE = 64  # examples that stand for the lengths of all
ASSUMED_EXAMPLES = 1350  # the recipe's training set
ASSUMED_LEARNED = 0.4  # share of an example that is its reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One way to run.

    Attributes:
        base: Type or bits of the base's weights.
        token_budget: Tokens per micro-batch.
        recompute: Activations that the backward pass computes again.
        peak_bytes: Predicted.
        seconds: Predicted, of the whole run.
        fits: Whether it fits, with a margin of 5 %.
        flags: Flags of ``lendsafe train`` that ask for it.
    """

    base: str
    token_budget: int
    recompute: str
    peak_bytes: int
    seconds: float
    fits: bool
    flags: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a run needs, and which way to take.

    Attributes:
        model: Its name.
        machine: Chip and memory.
        usable_bytes: That a run may use there.
        why: How that number came about.
        trainable: Parameters that are trained.
        total: Parameters of the base.
        steps: Optimiser steps.
        parts: Predicted bytes by part of the choice.
        options: One for each base, the most exact first.
        choice: Position in ``options`` of the most exact that fits, or None.
        assumed: What was assumed about the data, or an empty text.
    """

    model: str
    machine: str
    usable_bytes: int
    why: str
    trainable: int
    total: int
    steps: int
    parts: dict[str, int]
    options: tuple[Option, ...]
    choice: int | None
    assumed: str


def forecast(
    model: str,
    config: TrainConfig,
    *,
    data: Path | None = None,
    memory: str | None = None,
    chip: str | None = None,
) -> Forecast:
    """Predict a run.

    Args:
        model: Model name; nothing is fetched for one whose shape is known.
        config: Settings; a quantisation that they fix is the only one looked at.
        data: Training file or folder; without it the recipe's number of examples of the greatest length.
        memory: Of a Mac that is not at hand.
        chip: Of that Mac.

    Raises:
        ConfigError: If only one of ``memory`` and ``chip`` is given.
    """
    if (memory is None) != (chip is None):
        raise ConfigError("--memory and --chip belong together, such as --memory 8GB --chip M2.")
    machine = plan.mac(chip, plan.bytes_of(memory)) if chip and memory else plan.this_machine(measure=True)
    shape = footprint.shape_of(model)
    lengths, assumed = _lengths(model, config, data)
    bases = [config.quantize] if config.quantize else [None, 8, 4]
    plans = [plan.plan(shape, replace(config, quantize=bits), lengths, machine) for bits in bases]
    choice = next((number for number, one in enumerate(plans) if one.fits), None)
    chosen = plans[choice if choice is not None else -1]
    return Forecast(
        model=model,
        machine=machine.chip,
        usable_bytes=machine.usable,
        why=machine.why,
        trainable=chosen.trainable,
        total=chosen.total,
        steps=chosen.steps,
        parts=dict(chosen.parts),
        options=tuple(_option(one, config) for one in plans),
        choice=choice,
        assumed=assumed,
    )


def settled(
    model: str, config: TrainConfig, conversations: Sequence[Sequence[Message]], template: str | None = None
) -> tuple[TrainConfig, backend.Limits | None]:
    """Settings of a run on this machine, with token budget and recomputation decided, and its limits of memory.

    Only the longest examples and some others are encoded for this: enough for the peak and the shared prefix.
    Those that cannot be trained on are left to the run, which names them all.

    Args:
        model: Model name.
        config: Settings; what they fix is not changed.
        conversations: Training examples.
        template: Chat template in place of the model's own.

    Returns:
        Settings, and limits; none where nothing can be predicted.

    Raises:
        TooLargeError: If it does not fit, with the settings that would.
    """
    path = loading.resolve(model, config.revision)
    shape = loading.read_config(path)
    if not plan.knows(shape):
        return config, None
    ordered = sorted(conversations, key=lambda one: -sum(len(message.content) for message in one))
    some = [*ordered[: 2 * config.window], *ordered[2 * config.window :: max(len(ordered) // SAMPLE, 1)]]
    usable = [one for one in encoded(path, config, some, template) if isinstance(one, Tokens)]
    if not usable:
        return config, None
    lengths = plan.of_examples(usable)
    found = plan.check_fits(shape, config, lengths, plan.this_machine(measure=False))
    chosen = found.config
    return replace(config, token_budget=chosen.token_budget, recompute=chosen.recompute), found.limits


def _option(one: plan.Plan, config: TrainConfig) -> Option:
    bits = one.config.quantize
    return Option(
        base=f"{bits} bits" if bits else one.config.precision,
        token_budget=one.config.token_budget or 0,
        recompute=one.config.recompute,
        peak_bytes=one.peak,
        seconds=one.seconds,
        fits=one.fits,
        flags=plan.flags(one, config),
    )


def _lengths(model: str, config: TrainConfig, data: Path | None) -> tuple[plan.Lengths, str]:
    if data is None:
        length, learned = config.max_length, max(int(config.max_length * ASSUMED_LEARNED), 1)
        lengths = plan.Lengths(tokens=(length,) * ASSUMED_EXAMPLES, learned=(learned,) * ASSUMED_EXAMPLES)
        return lengths, f"{ASSUMED_EXAMPLES:,} examples of {length} tokens, {learned} learned, nothing shared"
    rows, _, _ = read_rows(data, config)
    found = list[Tokens]()
    path = loading.resolve(model, config.revision)
    for one in encoded(path, config, [row.messages for row in rows], read_template(config)):
        if isinstance(one, DataError):
            raise one
        found.append(one)
    if not found:
        raise DataError(
            f"{data}: no example is within --max-length {config.max_length}; nothing to train on."
        )
    return plan.of_examples(found), ""


def encoded(
    path: Path, config: TrainConfig, conversations: Sequence[Sequence[Message]], template: str | None
) -> Iterator[Tokens | DataError]:
    """The examples that a run makes of conversations; what cannot be used comes as the error that says why."""
    tokenizer: Any = loading.load_tokenizer_of(path)
    if template is not None:
        tokenizer.chat_template = dated(template, date.today().isoformat())
    learned = (part for one in conversations for part in replies(one, every=config.turns == "all"))
    control = config.control_tokens == "replies"
    for one in encode_all(tokenizer, learned, config.max_length, control=control):
        if isinstance(one, DataError) or not (one.cut and config.overlong == "drop"):
            yield one


def text(found: Forecast) -> str:
    """A forecast in words."""
    lines = [f"{found.model} on {found.machine}: {found.usable_bytes / 1e9:.1f} GB may be used ({found.why})"]
    share = found.trainable / found.total
    lines.append(f"trainable parameters: {found.trainable:,} of {found.total:,} ({share:.4%})")
    lines += [f"assumed: {found.assumed}"] if found.assumed else []
    lines += [f"{'base':<10} {'peak':>8}  {'time':>9}  {'budget':>7}  {'recompute':<10} fits"]
    for number, one in enumerate(found.options):
        mark = "  <- chosen: " + (f"lendsafe train {one.flags}".rstrip()) if number == found.choice else ""
        lines.append(
            f"{one.base:<10} {one.peak_bytes / 1e9:5.2f} GB  {_duration(one.seconds):>9}  {one.token_budget:>7}"
            f"  {one.recompute:<10} {'yes' if one.fits else 'no'}{mark}"
        )
    parts = ", ".join(f"{name} {size / 1e9:.2f} GB" for name, size in found.parts.items())
    lines.append(f"{found.steps} optimiser steps; {parts}")
    lines += [
        f"{one.base}: {one.peak_bytes / 1e9:.2f} GB at the least, with layers recomputed and one example at a time"
        for one in found.options
        if not one.fits
    ]
    if found.choice is not None:
        lines.append(
            "chosen: the most exact base that fits, with 5 % to spare; the fastest budget and recomputation, and of"
            " those within 5 % of it the smallest"
        )
    if found.choice is None:
        lines.append("Nothing fits; try a smaller model or a shorter --max-length.")
    return "\n".join(lines)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
