"""Arithmetic of a model's shape: parameters, bytes of a micro-batch, operations of a step. Nothing is loaded.

What a family of models has is read off its record (:mod:`lendsafe.mlx_lora.step.architectures`), which arrays a step
keeps for its backward pass off the computation graph (:mod:`lendsafe.mlx_lora.step.packed`); the few factors that it
leaves open, how many arrays of a kind are there at once, are fitted to ``mx.get_peak_memory()`` of real steps
(``python -m bench memory`` repeats the comparison).

Symbols: N tokens computed, S slots of the experts, M learned positions, D hidden, I hidden size of the feed-forward
part, V vocabulary.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from lendsafe.errors import ConfigError
from lendsafe.fields import parse_toml
from lendsafe.mlx_lora import backend
from lendsafe.mlx_lora.backend import logit_rows
from lendsafe.mlx_lora.config import DEFAULT_TARGETS, TrainConfig
from lendsafe.mlx_lora.step import architectures
from lendsafe.mlx_lora.step.architectures.record import Linear, Sizes

Shape = Mapping[str, Any]  # content of a model's config.json
BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
GROUP = 64  # weights that share a scale and a bias of 16 bits each
# float32: value, two moments, sum of the gradients, gradient of one micro-batch. With recomputation that one is taken
# layer by layer, as activations go, and is no part of the peak.
ADAPTER_COPIES = {"none": 5, "experts": 4, "layer": 4}
# Metal frees the inputs of a command buffer when it is done, and up to ten of about 40 MB each are under way.
COMMAND_BUFFERS = 10 * 40_000_000
LAUNCHES = {"dense": 80, "mixture": 140}  # kernels a layer, forward and backward (``python -m bench graph``)

# Arrays of a kind that are there for a moment, beside those that are kept: fitted. MLX allocates some operations ahead.
TRANSIENT = {
    "slots": 1.0,
    "hidden": 6.0,
    "dense": 6.0,
    "scores": 2.3,
    "stream": 0.5,
    "attention": 2.0,
    "experts": 0.5,
    "logits": 8.0,
}


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """What a micro-batch amounts to.

    Attributes:
        tokens: N: computed, the shared prefix once.
        learned: M.
        sequences: Examples.
        longest: Tokens of the longest one after the prefix.
        prefix: Tokens that all share.
    """

    tokens: int
    learned: int
    sequences: int
    longest: int
    prefix: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """What the bytes of a micro-batch depend on beside its sizes.

    Attributes:
        width: Bytes of an activation.
        kind: MLX's back end.
        chip: Name of its device.
    """

    width: int
    kind: backend.Backend
    chip: str = ""

    @property
    def cpu(self) -> bool:
        """Whether it is the CPU's, where attention keeps its probabilities."""
        return self.kind == "cpu"


def sizes(shape: Shape) -> Sizes:
    """A model in numbers.

    Raises:
        ConfigError: If its architecture has no record.
    """
    family = architectures.known(shape)
    if family is None:
        known = ", ".join(sorted(architectures.every()))
        raise ConfigError(
            f"The memory of a '{shape.get('model_type')}' cannot be predicted; known are {known}, as far as their"
            " layers are attention."
        )
    return family.sizes(shape)


def parameters(shape: Shape, *, active: bool = False) -> int:
    """Parameters of a model; with ``active`` those that one token meets."""
    one = sizes(shape)
    linears = sum(_weights(kind, active=active) for kind in one.linears)
    return linears + one.hidden * one.vocabulary * (1 if one.tied else 2) + one.vectors


def weight_bytes(shape: Shape, width: int, quantize: int | None) -> int:
    """Bytes of the base."""
    one, family = sizes(shape), architectures.known(shape)
    if not quantize or family is None:
        return parameters(shape) * width

    def stored(inputs: int, name: str) -> float:
        if inputs % GROUP:
            return width
        return (max(quantize, 8) if name in family.finer else quantize) / 8 + 4 / GROUP

    matrices = [(kind.inputs, kind.name, _weights(kind)) for kind in one.linears]
    matrices.append((one.hidden, "embed_tokens", one.hidden * one.vocabulary))
    if not one.tied:
        matrices.append((one.hidden, "lm_head", one.hidden * one.vocabulary))
    return round(sum(stored(i, name) * count for i, name, count in matrices) + one.vectors * width)


def restored_bytes(shape: Shape, width: int) -> int:
    """Bytes of a quantised base's largest matrix in the activations' type, gate and up of experts together."""
    largest = (
        kind.copies * kind.inputs * kind.outputs * (1 + (kind.stacked and kind.name != "down_proj"))
        for kind in sizes(shape).linears
    )
    return width * max(largest)


def _weights(kind: Linear, *, active: bool = False) -> int:
    copies = kind.active if active else kind.copies
    return kind.layers * copies * (kind.inputs * kind.outputs + kind.bias * kind.outputs)


def adapter_parameters(shape: Shape, config: TrainConfig) -> int:
    """Trainable parameters of the adapters that the targets ask for."""
    return sum(
        kind.layers * kind.copies * config.rank * (kind.inputs + kind.outputs)
        for kind in adapted(shape, config)
    )


def adapted(shape: Shape, config: TrainConfig) -> tuple[Linear, ...]:
    """Kinds of layers that get an adapter, as :func:`~lendsafe.mlx_lora.exchange.targets.add_adapters` chooses them."""
    family = architectures.known(shape)
    fused = family.fused if family else {}
    attention = {fused.get(name, name) for name in ("q_proj", "k_proj", "v_proj", "o_proj")}
    by_default = config.targets == DEFAULT_TARGETS

    def meant(kind: Linear, target: str) -> bool:
        if target in ("all", "attention", "experts"):
            return target == "all" or (kind.stacked if target == "experts" else kind.name in attention)
        return kind.name == fused.get(target, target) and not (kind.stacked and by_default)

    return tuple(
        kind for kind in sizes(shape).linears if any(meant(kind, target) for target in config.targets)
    )


def activation_bytes(shape: Shape, config: TrainConfig, batch: MicroBatch, on: Backend) -> int:
    """Bytes of one micro-batch at its peak: what all layers keep, and what is there for a moment."""
    one = sizes(shape)
    layers = one.layers - 1 + batch.learned / batch.tokens  # the last one is trimmed
    stream, attention, experts = _kept(shape, config, batch, on)
    kept = {"none": stream + attention + experts, "experts": stream + attention, "layer": 0.0}[
        config.recompute if one.mixtures or config.recompute == "layer" else "none"
    ]
    slots = _slots(one, batch.tokens, on)
    moment = {
        "slots": on.width * slots * one.hidden,
        "hidden": on.width * slots * one.expert_inner,
        "dense": on.width * batch.tokens * one.inner,
        "scores": 4 * _scores(one, batch) if on.cpu else 0.0,
        "stream": stream,
        "attention": attention,
        "experts": experts,
        "logits": 4 * min(logit_rows(one.vocabulary, cpu=on.cpu), batch.learned) * one.vocabulary,
    }
    passing = sum(TRANSIENT[kind] * size for kind, size in moment.items())
    return round(layers * max(kept, batch.tokens * one.hidden * on.width) + passing)


def step_flops(
    shape: Shape, config: TrainConfig, batches: list[MicroBatch], *, on: Backend | None = None
) -> float:
    """Operations of forward, and backward to the activations; frozen weights get no gradient.

    Args:
        shape: Content of the model's ``config.json``.
        config: Recipe.
        batches: Micro-batches of one step.
        on: Count what this back end multiplies for nothing, because each expert fills whole blocks.
    """
    one = sizes(shape)
    inside = sum(_weights(kind, active=True) for kind in one.linears)
    experts = sum(_weights(kind, active=True) for kind in one.linears if kind.stacked)
    passes = 2 + {"none": 0.0, "experts": experts / inside, "layer": 1.0}[config.recompute]
    scores = sum(2 * 2 * one.layers * one.heads * one.head * _pairs(batch) for batch in batches)
    tokens: float = sum(batch.tokens for batch in batches)
    learned = sum(batch.learned for batch in batches)
    if on and one.mixtures:
        unused = sum(_slots(one, batch.tokens, on) - batch.tokens * one.chosen for batch in batches)
        repeats = 2 + (config.recompute != "none")
        tokens += repeats * unused * experts / one.chosen / (passes * inside)
    return 2.0 * passes * inside * tokens + 2.0 * 2 * one.hidden * one.vocabulary * learned + passes * scores


def launches(shape: Shape, config: TrainConfig) -> int:
    """Kernels of one micro-batch on a GPU, about."""
    one = sizes(shape)
    again = {"none": 1.0, "experts": 1.2, "layer": 1.4}[config.recompute]
    mixtures = one.mixtures * LAUNCHES["mixture"]
    return round(again * (mixtures + (one.layers - one.mixtures) * LAUNCHES["dense"]))


def _pairs(batch: MicroBatch) -> float:
    """Pairs of a query and a key that attention looks at."""
    return batch.sequences * batch.longest * (batch.prefix + batch.longest / 2) + batch.prefix**2 / 2


def _kept(shape: Shape, config: TrainConfig, batch: MicroBatch, on: Backend) -> tuple[float, float, float]:
    """Bytes that a layer keeps, on average: token stream and adapters, attention, feed-forward part."""
    one, n = sizes(shape), batch.tokens
    family = architectures.known(shape)
    slots, share = _slots(one, n, on), one.mixtures / one.layers
    wide, narrow = one.heads * one.head, one.kv_heads * one.head
    # Inputs of the norms, and queries and keys before theirs.
    norms = sum(map(bool, family.norms)) if family else 2
    stream: float = (
        n * on.width * (norms * one.hidden + (family is not None and family.query_norms) * (wide + narrow))
    )
    if (
        family is not None and family.fused
    ):  # queries, keys and values side by side, as projected and as moved
        stream += 2 * n * on.width * (wide + 2 * narrow)
    inputs: dict[tuple[bool, int, bool], list[Linear]] = {}
    for kind in adapted(shape, config):  # those of one part read the same rows
        inner = kind.name not in ("q_proj", "k_proj", "v_proj", "o_proj", "qkv_proj")
        inputs.setdefault((kind.stacked, kind.inputs, inner), []).append(kind)
    experts = 0.0
    for (stacked, width, _), kinds in inputs.items():
        # A copy without the dropped numbers, and which they were.
        copies = len(kinds) * (on.width + 1) if config.dropout else on.width
        rows, part = (slots, share) if stacked else (n, kinds[0].layers / one.layers)
        size = part * (rows * width * copies + config.rank * on.width * len(kinds) * n)
        experts, stream = (experts + size, stream) if stacked else (experts, stream + size)
    sequences, keys = batch.sequences, batch.prefix + batch.longest
    attention: float = on.width * (sequences * batch.longest * wide + 2 * sequences * keys * narrow)
    attention += 4 * _scores(one, batch) if on.cpu else on.width * sequences * batch.longest * wide
    experts += share * (
        slots * 2 * one.expert_inner * on.width + slots * 12
    )  # gate and up; where each row goes
    dense = 1 - share if not (family and family.mixture and family.mixture.shared and one.inner) else 1.0
    experts += dense * n * 2 * one.inner * on.width
    return stream, attention, experts


def _scores(one: Sizes, batch: MicroBatch) -> float:
    own = batch.sequences * batch.longest * (batch.prefix + batch.longest)
    return float(one.heads * (own + batch.prefix**2))


def _slots(one: Sizes, tokens: int, on: Backend) -> int:
    """Rows of the experts' arrays: each expert fills whole blocks."""
    if not one.mixtures:
        return 0
    pairs = tokens * one.chosen
    block = backend.expert_block(pairs / one.experts, on.kind, on.chip, quantised=False, width=on.width)
    return (pairs + min(one.experts, pairs) * (block - 1)) // block * block


@cache
def published_shapes() -> dict[str, dict[str, Any]]:
    """Shapes that are known by a short name."""
    return parse_toml((files("lendsafe.mlx_lora.planning") / "shapes.toml").read_text("utf-8"), "shapes.toml")


def granite_moe(sizes: Shape) -> dict[str, Any]:
    """Sizes completed to what ``config.json`` of a Granite mixture of experts holds."""
    return {
        "model_type": "granitemoe",
        "architectures": ["GraniteMoeForCausalLM"],
        "logits_scaling": 6.0,
        "attention_multiplier": 0.015625,
        "embedding_multiplier": 12.0,
        "residual_multiplier": 0.22,
        "rope_theta": 10000.0,
        "max_position_embeddings": 4096,
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
    from lendsafe.mlx_lora.exchange import loading

    return loading.read_config(loading.resolve(model))
