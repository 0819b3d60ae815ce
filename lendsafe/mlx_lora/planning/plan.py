"""What a run will need, before anything is loaded: peak memory by part, time, and settings that fit."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from lendsafe.errors import ConfigError, TooLargeError
from lendsafe.fields import did_you_mean
from lendsafe.mlx_lora import backend
from lendsafe.mlx_lora.config import TrainConfig
from lendsafe.mlx_lora.planning import footprint
from lendsafe.mlx_lora.planning.footprint import MicroBatch, Shape
from lendsafe.mlx_lora.step import architectures, layout
from lendsafe.mlx_lora.step.batches import cut, optimiser_steps

MARGIN = 1.05  # never promise the last few percent
LAUNCH = 5e-6  # seconds that a kernel costs a GPU beside its work
GIB = 1024**3
METAL_RULE = (
    "0.8 of what Metal recommends, or all but 3.5 GB for macOS if that is less, without 0.6 GB for Python"
)
NEAR = 1.05  # a plan is as good as another that takes 5 % less time; then the smaller is chosen

# Peak float32 rate in TFLOP/s and memory bandwidth in GB/s by chip, the vendor's figures for its full number of
# GPU cores; used only for a Mac that is not at hand. The rate of an M5 is not published: that of an M4's cores.
CHIPS = {
    "M1": (2.6, 68), "M1 Pro": (5.3, 200), "M1 Max": (10.6, 400), "M1 Ultra": (21.2, 800),
    "M2": (3.6, 100), "M2 Pro": (6.8, 200), "M2 Max": (13.6, 400), "M2 Ultra": (27.2, 800),
    "M3": (4.1, 100), "M3 Pro": (7.4, 150), "M3 Max": (16.4, 400), "M3 Ultra": (32.8, 819),
    "M4": (4.6, 120), "M4 Pro": (9.2, 273), "M4 Max": (18.4, 546),
    "M5": (4.6, 153), "M5 Pro": (9.2, 307), "M5 Max": (18.4, 614),
}  # fmt: skip
EFFICIENCY = {
    "cpu": 0.35,
    "gpu": 0.3,
}  # share of that rate that a step reaches; on Macs a guess that nobody measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where a run would take place.

    Attributes:
        chip: Its name.
        usable: Bytes that a run may use.
        flops: Rate at which a step computes, in FLOP/s.
        bandwidth: Bytes a second that memory delivers; weights are read once a pass.
        kind: MLX's back end there.
        workers: Micro-batches side by side.
        why: Where ``usable`` comes from, in words.
    """

    chip: str
    usable: int
    flops: float
    bandwidth: float
    kind: backend.Backend = "metal"
    workers: int = 1
    why: str = "all of its memory"

    @property
    def cpu(self) -> bool:
        """Whether it computes on the CPU."""
        return self.kind == "cpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """Sizes of the training examples, in tokens.

    Attributes:
        tokens: Length of each example.
        learned: Learned tokens of each.
        prefix: Tokens that all share at the start.
    """

    tokens: tuple[int, ...]
    learned: tuple[int, ...]
    prefix: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A run's settings and what they need.

    Attributes:
        config: Settings, with precision, token budget and recomputation decided.
        parts: Predicted bytes by part at the peak.
        usable: Bytes that the run may use.
        seconds: Predicted time of the whole run.
        steps: Optimiser steps.
        trainable: Parameters that are trained.
        total: Parameters of the base.
    """

    config: TrainConfig
    parts: Mapping[str, int]
    usable: int
    seconds: float
    steps: int
    trainable: int
    total: int

    @property
    def limits(self) -> backend.Limits:
        """What MLX is to hold at most, so that the run cannot drive other programs out of memory."""
        return backend.Limits(
            wired=self.peak, memory=max(self.usable, self.peak), cache=max(self.usable - self.peak, 0)
        )

    @property
    def peak(self) -> int:
        """Predicted peak in bytes."""
        return sum(self.parts.values())

    @property
    def fits(self) -> bool:
        """Whether the peak stays within what may be used, with a margin of 5 %."""
        return self.peak * MARGIN <= self.usable


def plan(shape: Shape, config: TrainConfig, lengths: Lengths, machine: Machine) -> Plan:
    """Decide what a run leaves open, so that it fits if anything does.

    Quantisation is taken as given. Of token budgets and recomputations that fit, the smallest of those within 5 %
    of the fastest is chosen.

    Args:
        shape: Content of the model's ``config.json``.
        config: Settings; what they fix is not changed.
        lengths: Of the training examples.
        machine: Where.

    Returns:
        The choice; if nothing fits, the smallest.

    Raises:
        ConfigError: If the architecture has no record.
    """
    candidates = [predict(shape, one, lengths, machine) for one in _choices(config, lengths, machine)]
    fitting = [one for one in candidates if one.fits]
    if not fitting:
        return min(candidates, key=lambda one: one.peak)
    fastest = min(one.seconds for one in fitting)
    return min((one for one in fitting if one.seconds <= NEAR * fastest), key=lambda one: one.peak)


def knows(shape: Shape) -> bool:
    """Whether the arithmetic holds for this architecture."""
    return architectures.known(shape) is not None


def check_fits(shape: Shape, config: TrainConfig, lengths: Lengths, machine: Machine) -> Plan:
    """The plan of a run that fits.

    Raises:
        TooLargeError: With the settings that would fit, if there are any.
    """
    chosen = plan(shape, config, lengths, machine)
    if chosen.fits:
        return chosen
    need = (
        f"The run needs {chosen.peak * MARGIN / 1e9:.1f} GB; {machine.usable / 1e9:.1f} GB may be used on"
        f" {machine.chip}."
    )
    for other in alternatives(shape, config, lengths, machine):
        raise TooLargeError(f"{need} This fits: {flags(other, config)} ({other.peak / 1e9:.1f} GB).")
    raise TooLargeError(f"{need} Nothing fits; try a smaller model or a shorter --max-length.")


def alternatives(shape: Shape, config: TrainConfig, lengths: Lengths, machine: Machine) -> Iterator[Plan]:
    """Plans with each base that fits, the most exact first."""
    free = replace(config, token_budget=None, recompute="none")
    for quantize in dict.fromkeys((config.quantize, 8, 4)):
        other = plan(shape, replace(free, quantize=quantize), lengths, machine)
        if other.fits:
            yield other


def flags(chosen: Plan, config: TrainConfig) -> str:
    """The flags by which a plan's settings differ from ``config``."""
    names = ("quantize", "token_budget", "recompute")
    return " ".join(
        f"--{name.replace('_', '-')} {getattr(chosen.config, name)}"
        for name in names
        if getattr(chosen.config, name) != getattr(config, name)
    )


def predict(shape: Shape, config: TrainConfig, lengths: Lengths, machine: Machine) -> Plan:
    """What settings need that leave nothing open; the peak is that of a window of the longest examples."""
    width = footprint.BYTES[_precision(config, machine)]
    on = footprint.Backend(width=width, kind=machine.kind, chip=machine.chip)
    bytes_of_batches = [
        footprint.activation_bytes(shape, config, one, on)
        for one in micro_batches(config, lengths, machine, window=_longest(config, lengths))
    ]
    stored = shape.get("quantization") or {}
    bits = stored.get("bits", config.quantize)
    weights = footprint.weight_bytes(shape, width, bits)
    parts = {
        "weights": weights,
        "adapters and optimiser": 4
        * footprint.ADAPTER_COPIES[config.recompute]
        * footprint.adapter_parameters(shape, config),
        "activations": sum(sorted(bytes_of_batches)[-machine.workers :]),
    }
    if bits:
        parts["a layer's weights restored"] = footprint.restored_bytes(shape, width)
    if machine.kind == "metal":
        parts["command buffers under way"] = footprint.COMMAND_BUFFERS
    usual = micro_batches(config, lengths, machine, window=_usual(config, lengths))
    seconds = footprint.step_flops(shape, config, usual, on=on) / machine.flops
    seconds += len(usual) * 2 * weights / machine.bandwidth
    seconds += 0 if machine.cpu else len(usual) * LAUNCH * footprint.launches(shape, config)
    steps = optimiser_steps(len(lengths.tokens), config.window, config.epochs)
    steps = min(steps, config.max_steps or steps)
    return Plan(
        config=config,
        parts=parts,
        usable=machine.usable,
        seconds=steps * seconds,
        steps=steps,
        trainable=footprint.adapter_parameters(shape, config),
        total=footprint.parameters(shape),
    )


def micro_batches(
    config: TrainConfig, lengths: Lengths, machine: Machine, *, window: Sequence[int]
) -> list[MicroBatch]:
    """How a window of example numbers would be cut."""
    tokens = [lengths.tokens[i] for i in window]
    budget = config.token_budget or sum(tokens)
    batches = []
    for part in cut(tokens, budget, machine.workers):
        numbers = [window[i] for i in part]
        prefix = layout.worth_sharing(lengths.prefix, len(numbers))
        own = [lengths.tokens[i] - 1 - prefix for i in numbers]
        one = layout.extent_of(own, [lengths.learned[i] for i in numbers], prefix, rounded=not machine.cpu)
        batches.append(MicroBatch(one.tokens, one.learned, one.sequences, one.length, one.prefix))
    return batches


def _longest(config: TrainConfig, lengths: Lengths) -> list[int]:
    """Numbers of the window's worth of longest examples."""
    return sorted(range(len(lengths.tokens)), key=lambda i: -lengths.tokens[i])[: config.window]


def _usual(config: TrainConfig, lengths: Lengths) -> list[int]:
    """Numbers of a window of examples that stand for all: evenly spread over the lengths."""
    ordered = sorted(range(len(lengths.tokens)), key=lambda i: lengths.tokens[i])
    count = min(config.window, len(ordered))
    return [ordered[int((place + 0.5) * len(ordered) / count)] for place in range(count)]


def _choices(config: TrainConfig, lengths: Lengths, machine: Machine) -> Iterator[TrainConfig]:
    """Settings with nothing left open."""
    config = replace(config, precision=_precision(config, machine))
    recomputations: tuple[Literal["none", "experts", "layer"], ...] = (
        ("none", "experts", "layer") if config.recompute == "none" else (config.recompute,)
    )
    for recompute in recomputations:
        for budget in [config.token_budget] if config.token_budget else _budgets(config, lengths):
            yield replace(config, recompute=recompute, token_budget=budget)


def _budgets(config: TrainConfig, lengths: Lengths) -> Iterator[int]:
    """From a whole window of the longest examples down to one example, halving."""
    longest = [lengths.tokens[i] for i in _longest(config, lengths)]
    budget = sum(longest)
    while budget > longest[0]:
        yield budget
        budget //= 2
    yield longest[0]


def _precision(config: TrainConfig, machine: Machine) -> Any:
    if config.precision != "auto":
        return config.precision
    return "float32" if machine.cpu else "float16"


def this_machine(*, measure: bool) -> Machine:
    """The machine at hand.

    Args:
        measure: Measure its rate and bandwidth with a few products and sums, or take the figures of its kind. A
            run takes those: what it chooses by them must not change from one start to the next.
    """
    kind, chip = backend.name(), backend.device_name()
    cpu = kind == "cpu"
    flops, bandwidth = _measured("float32" if cpu else "float16") if measure else _nominal(chip)
    return Machine(
        chip=chip,
        usable=backend.usable_bytes(),
        flops=flops * EFFICIENCY["cpu" if cpu else "gpu"],
        bandwidth=bandwidth,
        kind=kind,
        workers=backend.workers(),
        why=METAL_RULE if kind == "metal" else "all of its memory",
    )


def _nominal(chip: str) -> tuple[float, float]:
    """Rate and bandwidth by name: the vendor's for a Mac, else orders of magnitude."""
    kind = {"cpu": (0.2, 20), "cuda": (500.0, 3000), "metal": CHIPS["M2"]}[backend.name()]
    teraflops, bandwidth = CHIPS.get(chip.removeprefix("Apple "), kind)
    return teraflops * 1e12, bandwidth * 1e9


def mac(chip: str, memory: int) -> Machine:
    """A Mac that is not at hand. Metal recommends two thirds of less than 36 GB, three quarters of more.

    Args:
        chip: Such as ``M2`` or ``M3 Pro``.
        memory: Bytes.

    Raises:
        ConfigError: If the chip is not known.
    """
    if chip not in CHIPS:
        hint = did_you_mean(chip, list(CHIPS))
        raise ConfigError(f"No chip '{chip}'; known are {', '.join(CHIPS)}.{hint}")
    share = 2 / 3 if memory < 36 * GIB else 3 / 4
    teraflops, bandwidth = CHIPS[chip]
    return Machine(
        chip=f"Apple {chip}, {memory / GIB:g} GB",
        usable=backend.usable_on_metal(int(memory * share), memory),
        flops=teraflops * 1e12 * EFFICIENCY["gpu"],
        bandwidth=bandwidth * 1e9,
        why=METAL_RULE,
    )


def _measured(precision: str) -> tuple[float, float]:
    """Rate of a product in FLOP/s, and bytes a second of a sum."""
    import mlx.core as mx

    def seconds(function: Any) -> float:
        times = []
        for _ in range(4):
            start = time.perf_counter()
            mx.eval(function())
            times.append(time.perf_counter() - start)
        return min(times[1:])

    x = mx.ones((1024, 1024), getattr(mx, precision))
    mx.eval(x)
    return 2 * 1024**3 / seconds(lambda: x @ x), 3 * x.nbytes / seconds(lambda: x + x)


def bytes_of(text: str) -> int:
    """Bytes that a text such as ``8GB`` names; a gigabyte of memory is 2^30 bytes.

    Raises:
        ConfigError: If it is no size.
    """
    number = text.upper().removesuffix("IB").removesuffix("B").removesuffix("G").strip()
    try:
        value = float(number)
    except ValueError as problem:
        raise ConfigError(f"'{text}' is no memory size; expected one such as 8GB.") from problem
    if not 0 < value < 1e5:
        raise ConfigError(f"'{text}' is no memory size; expected one such as 8GB.")
    return int(value * GIB)


def of_examples(examples: Sequence[Any]) -> Lengths:
    """Sizes of tokenised examples."""
    return Lengths(
        tokens=tuple(map(len, examples)),
        learned=tuple(len(one) - one.reply_start for one in examples),
        prefix=layout.common_prefix(examples) if len(examples) > 1 else 0,
    )
