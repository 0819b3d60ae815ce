"""What a run will need, before anything is loaded: peak memory by part, time, and settings that fit.

The parts are counted from the shape of the model and of a micro-batch. How often each kind of array is held
at the peak was fitted to ``mx.get_peak_memory()`` of real steps (``python -m bench memory`` repeats that).

Shapes: N tokens computed at once, S slots of the experts, M learned positions, D hidden, I expert hidden.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from lendsafe.errors import ConfigError, TooLargeError
from lendsafe.fields import parse_toml
from lendsafe.mlx_lora.config import TrainConfig

Recompute = Literal["none", "experts", "layer"]
BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
MARGIN = 1.05  # never promise the last few percent
QUANTISED_BITS = {8: 8.5, 4: 4.5}  # with a scale and a bias in 16 bits for every 64 weights
LOGITS = 1 << 26  # as in :mod:`lendsafe.mlx_lora.loss`

# Arrays of each kind that are alive at the peak of a step.
KEPT_STREAM = 7.0  # (N, D) for each layer: norms, adapters' inputs, attention's output
KEPT_ATTENTION = 3.0  # (N, query + key + value) for each layer
KEPT_EXPERTS = 2.0  # (S, I) for each layer: gate and up
TRANSIENT_EXPERTS = 3.0  # (S, D) once
TRANSIENT_LOGITS = 4.0  # (M, V) float32 once
ADAPTER_COPIES = 6.0  # float32: value, two moments, gradient sum, gradient, update
DROPOUT_KEPT = 1.0

# Peak float32 rate of the GPU in TFLOP/s, by chip (vendor's figures); used only for a chip that is not at hand.
CHIPS = {
    "M1": 2.6, "M1 Pro": 5.3, "M1 Max": 10.6, "M1 Ultra": 21.2,
    "M2": 3.6, "M2 Pro": 6.8, "M2 Max": 13.6, "M2 Ultra": 27.2,
    "M3": 4.1, "M3 Pro": 7.4, "M3 Max": 16.4,
    "M4": 4.6, "M4 Pro": 9.2, "M4 Max": 18.4,
}  # fmt: skip
EFFICIENCY = 0.3  # share of the peak rate that a step reaches; a guess on chips that nobody measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where a run would take place.

    Attributes:
        chip: Its name.
        usable: Bytes that a run may use.
        flops: Rate at which a step computes, in FLOP/s.
        cpu: Whether it computes on the CPU.
    """

    chip: str
    usable: int
    flops: float
    cpu: bool = False


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
        config: Settings, with precision, quantisation, token budget and recomputation decided.
        parts: Predicted bytes by part at the peak.
        usable: Bytes that the run may use.
        seconds: Predicted time of the whole run.
        steps: Optimiser steps.
    """

    config: TrainConfig
    parts: Mapping[str, int]
    usable: int
    seconds: float
    steps: int

    @property
    def peak(self) -> int:
        """Predicted peak in bytes."""
        return sum(self.parts.values())

    @property
    def fits(self) -> bool:
        """Whether the peak stays within what may be used, with a margin of 5 %."""
        return self.peak * MARGIN <= self.usable


def plan(shape: Mapping[str, Any], config: TrainConfig, lengths: Lengths, machine: Machine) -> Plan:
    """Decide what a run leaves open, so that it fits if anything does.

    Precision and quantisation are taken as given. Of token budgets and recomputations the fastest that fits
    is chosen: no recomputation before less of it, large micro-batches before small ones.

    Args:
        shape: Content of the model's ``config.json``.
        config: Settings; what they fix is not changed.
        lengths: Of the training examples.
        machine: Where.

    Returns:
        The first choice that fits; if none does, the smallest.
    """
    candidates = [predict(shape, one, lengths, machine) for one in _choices(config, lengths, machine)]
    return next((one for one in candidates if one.fits), min(candidates, key=lambda one: one.peak))


def check_fits(shape: Mapping[str, Any], config: TrainConfig, lengths: Lengths, machine: Machine) -> Plan:
    """The plan of a run that fits.

    Raises:
        TooLargeError: With the settings that would fit, if there are any.
    """
    chosen = plan(shape, config, lengths, machine)
    if chosen.fits:
        return chosen
    need = f"The run needs {chosen.peak / 1e9:.1f} GB; {machine.usable / 1e9:.1f} GB may be used here."
    for other in alternatives(shape, config, lengths, machine):
        raise TooLargeError(f"{need} This fits: {flags(other, config)} ({other.peak / 1e9:.1f} GB).")
    raise TooLargeError(f"{need} Nothing fits; try a smaller model or a shorter --max-length.")


def alternatives(
    shape: Mapping[str, Any], config: TrainConfig, lengths: Lengths, machine: Machine
) -> Iterator[Plan]:
    """Plans with other bases that fit, the most exact first."""
    free = replace(config, token_budget=None, recompute="none")
    for quantize in (config.quantize, 8, 4):
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


def predict(shape: Mapping[str, Any], config: TrainConfig, lengths: Lengths, machine: Machine) -> Plan:
    """What settings need that leave nothing open."""
    batch = _largest_micro_batch(config, lengths)
    width = BYTES[_precision(config, machine)]
    parts = {
        "weights": weight_bytes(shape, width, config.quantize),
        "adapters and optimiser": round(4 * ADAPTER_COPIES * adapter_parameters(shape, config)),
        "activations": _activation_bytes(shape, config, batch, width, machine),
        "logits": round(TRANSIENT_LOGITS * 4 * min(batch.learned * shape["vocab_size"], LOGITS)),
    }
    steps = -(-len(lengths.tokens) // config.window) * config.epochs
    if config.max_steps is not None:
        steps = min(steps, config.max_steps)
    examples = steps / max(-(-len(lengths.tokens) // config.window), 1)
    seconds = examples * _epoch_flops(shape, config, lengths) / machine.flops
    return Plan(config=config, parts=parts, usable=machine.usable, seconds=seconds, steps=steps)


@dataclass(frozen=True, slots=True)
class _Batch:
    """The largest micro-batch: tokens computed, learned, sequences, longest own part, prefix."""

    computed: int
    learned: int
    sequences: int
    longest: int
    prefix: int


def _largest_micro_batch(config: TrainConfig, lengths: Lengths) -> _Batch:
    """The longest examples that the budget lets into one micro-batch."""
    budget = config.token_budget or sum(lengths.tokens)
    longest = sorted(zip(lengths.tokens, lengths.learned, strict=True), reverse=True)[: config.window]
    taken = [longest[0]]
    for one in longest[1:]:
        if sum(tokens for tokens, _ in taken) + one[0] > budget:
            break
        taken.append(one)
    prefix = lengths.prefix if len(taken) > 1 else 0
    computed = sum(tokens - 1 for tokens, _ in taken) - prefix * (len(taken) - 1)
    return _Batch(computed, sum(n for _, n in taken), len(taken), taken[0][0] - 1 - prefix, prefix)


def _activation_bytes(
    shape: Mapping[str, Any], config: TrainConfig, batch: _Batch, width: int, machine: Machine
) -> int:
    hidden, layers = shape["hidden_size"], shape["num_hidden_layers"]
    kept = batch.computed * hidden * (KEPT_STREAM + (DROPOUT_KEPT if config.dropout else 0))
    kept += batch.computed * _attention_width(shape) * KEPT_ATTENTION
    slots = _slots(shape, batch.computed, 32 if machine.cpu else 1)
    experts = slots * shape["intermediate_size"] * KEPT_EXPERTS
    # Where attention is not one kernel (the CPU; for training, Metal too) its probabilities are kept.
    keys = batch.prefix + batch.longest
    scores = shape["num_attention_heads"] * (batch.sequences * batch.longest * keys + batch.prefix**2)
    once = slots * hidden * TRANSIENT_EXPERTS
    layer = kept + experts + scores
    if config.recompute == "layer":
        held = layers * batch.computed * hidden + layer
    elif config.recompute == "experts":
        held = layers * (kept + scores) + experts
    else:
        held = layers * layer
    return round((held + once) * width)


def _slots(shape: Mapping[str, Any], tokens: int, block: int) -> int:
    """Rows of the experts' arrays: each expert fills whole blocks."""
    if "num_local_experts" not in shape:
        return tokens
    pairs = tokens * int(shape["num_experts_per_tok"])
    return (pairs + min(int(shape["num_local_experts"]), pairs) * (block - 1)) // block * block


def _attention_width(shape: Mapping[str, Any]) -> float:
    share = shape["num_key_value_heads"] / shape["num_attention_heads"]
    return float(shape["hidden_size"] * (1 + 2 * share))


def weight_bytes(shape: Mapping[str, Any], width: int, quantize: int | None) -> int:
    """Bytes of the base."""
    return round(parameters(shape) * (QUANTISED_BITS[quantize] / 8 if quantize else width))


def parameters(shape: Mapping[str, Any], *, active: bool = False) -> int:
    """Parameters of a Granite, dense or mixture; with ``active`` those that one token meets."""
    hidden, inner = shape["hidden_size"], shape["intermediate_size"]
    experts = shape.get("num_local_experts", 1)
    used = shape.get("num_experts_per_tok", 1) if active else experts
    router = hidden * experts if "num_local_experts" in shape else 0
    layer = (
        hidden * _attention_width(shape) + hidden * hidden + used * 3 * hidden * inner + router + 2 * hidden
    )
    head = hidden * shape["vocab_size"] * (1 if shape.get("tie_word_embeddings", True) else 2)
    return int(shape["num_hidden_layers"] * layer + head + hidden)


def adapter_parameters(shape: Mapping[str, Any], config: TrainConfig) -> int:
    """Trainable parameters of adapters on the attention's four projections, and on experts if asked for."""
    hidden, kv = shape["hidden_size"], (_attention_width(shape) - shape["hidden_size"]) / 2
    per_layer = 2 * (hidden + hidden) + 2 * (hidden + kv)
    if {"experts", "all"} & set(config.targets):
        per_layer += shape.get("num_local_experts", 1) * 3 * (hidden + shape["intermediate_size"])
    return int(shape["num_hidden_layers"] * config.rank * per_layer)


def _epoch_flops(shape: Mapping[str, Any], config: TrainConfig, lengths: Lengths) -> float:
    """Forward, and backward to the activations, of every token computed in one epoch."""
    head = shape["hidden_size"] * shape["vocab_size"]
    saved = lengths.prefix * (1 - 1 / max(_sharing(config, lengths), 1))
    computed = sum(lengths.tokens) - saved * len(lengths.tokens)
    passes = 3 if config.recompute == "layer" else 2
    return 2.0 * passes * ((parameters(shape, active=True) - head) * computed + head * sum(lengths.learned))


def _sharing(config: TrainConfig, lengths: Lengths) -> float:
    """Examples of a micro-batch, on average."""
    mean = sum(lengths.tokens) / len(lengths.tokens)
    return min(config.window, (config.token_budget or mean * config.window) / mean)


def _choices(config: TrainConfig, lengths: Lengths, machine: Machine) -> Iterator[TrainConfig]:
    """Settings with nothing left open, the fastest first."""
    config = replace(config, precision=_precision(config, machine))
    recomputations: tuple[Recompute, ...] = (
        ("none", "experts", "layer") if config.recompute == "none" else (config.recompute,)
    )
    for recompute in recomputations:
        for budget in [config.token_budget] if config.token_budget else _budgets(config, lengths):
            yield replace(config, recompute=recompute, token_budget=budget)


def _budgets(config: TrainConfig, lengths: Lengths) -> Iterator[int]:
    """From a whole window of the longest examples down to one example, halving."""
    longest = sorted(lengths.tokens, reverse=True)[: config.window]
    budget = sum(longest)
    while budget > longest[0]:
        yield budget
        budget //= 2
    yield longest[0]


def _precision(config: TrainConfig, machine: Machine) -> Any:
    if config.precision != "auto":
        return config.precision
    return "float32" if machine.cpu else "float16"


def this_machine() -> Machine:
    """The machine at hand; its rate is measured with a few products."""
    from lendsafe.mlx_lora import backend

    cpu = backend.name() == "cpu"
    return Machine(
        chip=backend.device_name(),
        usable=backend.memory_bytes(),
        flops=_measured_flops("float32" if cpu else "float16") * EFFICIENCY,
        cpu=cpu,
    )


def mac(chip: str, memory: int) -> Machine:
    """A Mac that is not at hand. Metal recommends two thirds of up to 36 GB, three quarters above.

    Args:
        chip: Such as ``M2`` or ``M3 Pro``.
        memory: Bytes.

    Raises:
        ConfigError: If the chip is not known.
    """
    if chip not in CHIPS:
        raise ConfigError(f"No chip '{chip}'; known are {', '.join(CHIPS)}.")
    share = 2 / 3 if memory <= 36 * 1024**3 else 3 / 4
    return Machine(chip=f"Apple {chip}", usable=int(memory * share), flops=CHIPS[chip] * 1e12 * EFFICIENCY)


def _measured_flops(precision: str) -> float:
    import time

    import mlx.core as mx

    size = 1024
    x = mx.ones((size, size), getattr(mx, precision))
    mx.eval(x @ x)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        mx.eval(x @ x)
        times.append(time.perf_counter() - start)
    return 2 * size**3 / min(times)


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
    return int(value * 1024**3)


@cache
def published_shapes() -> dict[str, dict[str, Any]]:
    """Architectures of published models by their short names."""
    return parse_toml((files("lendsafe.mlx_lora") / "shapes.toml").read_text("utf-8"), "shapes.toml")


def granite_moe(sizes: Mapping[str, Any]) -> dict[str, Any]:
    """Sizes completed to what ``config.json`` of a Granite mixture of experts holds."""
    return {
        "model_type": "granitemoe",
        "architectures": ["GraniteMoeForCausalLM"],
        "rms_norm_eps": 1e-6,
        "attention_bias": False,
        "tie_word_embeddings": True,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "pad_token_id": 0,
    } | dict(sizes)


def shape_of(model: str) -> dict[str, Any]:
    """``config.json`` of a model, known for published ones without a download."""
    if model in published_shapes():
        return granite_moe(published_shapes()[model])
    from lendsafe.mlx_lora import loading

    return loading.read_config(loading.resolve(model))


def of_examples(examples: Sequence[Any]) -> Lengths:
    """Sizes of tokenised examples."""
    from lendsafe.mlx_lora.packed import common_prefix

    return Lengths(
        tokens=tuple(map(len, examples)),
        learned=tuple(len(one) - one.reply_start for one in examples),
        prefix=common_prefix(examples) if len(examples) > 1 else 0,
    )
