"""Arithmetic of a Granite's shape: parameters, bytes of a micro-batch, operations of a step. Nothing is loaded.

Which arrays a step keeps for its backward pass is read off the computation graph
(:mod:`lendsafe.mlx_lora.step.packed`); the few factors that it leaves open, how many arrays of a kind are there
at once, are fitted to ``mx.get_peak_memory()`` of real steps (``python -m bench memory`` repeats the comparison).

Symbols: N tokens computed, S slots of the experts, M learned positions, D hidden, I expert hidden, V vocabulary.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from lendsafe.fields import parse_toml
from lendsafe.mlx_lora.backend import logit_rows, rows_in_block
from lendsafe.mlx_lora.config import BITS, TrainConfig

Shape = Mapping[str, Any]  # content of a model's config.json
BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
QUANTISED_BITS = {
    bits: bits + 0.5 for bits in BITS
}  # with a scale and a bias of 16 bits for every 64 weights
# float32: value, two moments, sum of the gradients, gradient of one micro-batch. With recomputation that one is taken
# layer by layer, as activations go, and is no part of the peak.
ADAPTER_COPIES = {"none": 5, "experts": 4, "layer": 4}

# Arrays of a kind that are there for a moment, beside those that are kept: fitted. MLX allocates some operations ahead.
TRANSIENT = {
    "slots": 1.0,
    "hidden": 6.0,
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
        cpu: Whether attention keeps its probabilities and experts compute whole blocks.
    """

    width: int
    cpu: bool


def parameters(shape: Shape, *, active: bool = False) -> int:
    """Parameters of a Granite, dense or mixture; with ``active`` those that one token meets."""
    hidden, inner = shape["hidden_size"], shape["intermediate_size"]
    experts = shape.get("num_local_experts", 1)
    used = shape.get("num_experts_per_tok", 1) if active else experts
    router = hidden * experts if "num_local_experts" in shape else 0
    layer = (
        hidden * (hidden + 2 * _kv(shape)) + hidden * hidden + used * 3 * hidden * inner + router + 2 * hidden
    )
    head = hidden * shape["vocab_size"] * (1 if shape.get("tie_word_embeddings", True) else 2)
    return int(shape["num_hidden_layers"] * layer + head + hidden)


def weight_bytes(shape: Shape, width: int, quantize: int | None) -> int:
    """Bytes of the base."""
    return round(parameters(shape) * (QUANTISED_BITS[quantize] / 8 if quantize else width))


def adapter_parameters(shape: Shape, config: TrainConfig) -> int:
    """Trainable parameters of the adapters that the targets ask for."""
    hidden, kv, inner = shape["hidden_size"], _kv(shape), shape["intermediate_size"]
    experts = shape.get("num_local_experts", 0)
    per_layer = 0
    for target in adapted(shape, config):
        per_layer += {
            "q_proj": 2 * hidden,
            "k_proj": hidden + kv,
            "v_proj": hidden + kv,
            "o_proj": 2 * hidden,
            "router": hidden + experts,
        }.get(target, max(experts, 1) * (hidden + inner))
    return int(shape["num_hidden_layers"] * config.rank * per_layer)


def adapted(shape: Shape, config: TrainConfig) -> tuple[str, ...]:
    """Kinds of layers that get an adapter; the recipe's gate, up and down are linears, which a mixture has not."""
    attention, inner = ("q_proj", "k_proj", "v_proj", "o_proj"), ("gate_proj", "up_proj", "down_proj")
    mixture = "num_local_experts" in shape
    groups = {
        "attention": attention,
        "experts": inner if mixture else (),
        "router": ("router",) if mixture else (),
    }
    groups["all"] = (*attention, *inner, *groups["router"])
    found = [kind for target in config.targets for kind in groups.get(target, (target,))]
    if mixture and config.targets == TrainConfig().targets:
        found = [kind for kind in found if kind in attention]
    return tuple(dict.fromkeys(kind for kind in found if kind in groups["all"]))


def activation_bytes(shape: Shape, config: TrainConfig, batch: MicroBatch, on: Backend) -> int:
    """Bytes of one micro-batch at its peak: what all layers keep, and what is there for a moment."""
    hidden, inner, vocabulary = shape["hidden_size"], shape["intermediate_size"], shape["vocab_size"]
    layers = shape["num_hidden_layers"] - 1 + batch.learned / batch.tokens  # the last one is trimmed
    stream, attention, experts = _kept(shape, config, batch, on)
    kept = {"none": stream + attention + experts, "experts": stream + attention, "layer": 0.0}[
        config.recompute
    ]
    slots = _slots(shape, batch.tokens, cpu=on.cpu)
    moment = {
        "slots": on.width * slots * hidden,
        "hidden": on.width * slots * inner,
        "scores": 4 * _scores(shape, batch) if on.cpu else 0.0,
        "stream": stream,
        "attention": attention,
        "experts": experts,
        "logits": 4 * min(logit_rows(vocabulary, cpu=on.cpu), batch.learned) * vocabulary,
    }
    passing = sum(TRANSIENT[kind] * size for kind, size in moment.items())
    return round(layers * max(kept, batch.tokens * hidden * on.width) + passing)


def step_flops(shape: Shape, config: TrainConfig, batches: list[MicroBatch], *, cpu: bool = False) -> float:
    """Operations of forward, and backward to the activations; frozen weights get no gradient.

    Args:
        shape: Content of the model's ``config.json``.
        config: Recipe.
        batches: Micro-batches of one step.
        cpu: Count what the CPU back end multiplies for nothing, because each expert fills whole blocks.
    """
    head = shape["hidden_size"] * shape["vocab_size"]
    inside = parameters(shape, active=True) - head * (1 if shape.get("tie_word_embeddings", True) else 2)
    layers, hidden = shape["num_hidden_layers"], shape["hidden_size"]
    experts = 3 * layers * hidden * shape["intermediate_size"] * shape.get("num_experts_per_tok", 1)
    passes = 2 + {"none": 0.0, "experts": experts / inside, "layer": 1.0}[config.recompute]
    scores = sum(2 * 2 * layers * hidden * _pairs(one) for one in batches)
    tokens, learned = sum(one.tokens for one in batches), sum(one.learned for one in batches)
    if cpu and "num_local_experts" in shape:
        pairs = [one.tokens * int(shape["num_experts_per_tok"]) for one in batches]
        unused = sum(_slots(shape, one.tokens, cpu=True) for one in batches) - sum(pairs)
        repeats = 2 + (config.recompute != "none")
        tokens += repeats * unused * 3 * layers * hidden * shape["intermediate_size"] / (passes * inside)
    return 2.0 * passes * inside * tokens + 2.0 * 2 * head * learned + passes * scores


def _pairs(batch: MicroBatch) -> float:
    """Pairs of a query and a key that attention looks at."""
    return batch.sequences * batch.longest * (batch.prefix + batch.longest / 2) + batch.prefix**2 / 2


def _kept(shape: Shape, config: TrainConfig, batch: MicroBatch, on: Backend) -> tuple[float, float, float]:
    """Bytes that a layer keeps: token stream and adapters, attention, experts."""
    hidden, inner, n = shape["hidden_size"], shape["intermediate_size"], batch.tokens
    kinds = adapted(shape, config)
    dropped = on.width + 1 if config.dropout else 0  # a copy without the dropped numbers, and which they were
    stream = 2.0 * hidden * on.width  # inputs of the two norms
    qkv = sum(kind in kinds for kind in ("q_proj", "k_proj", "v_proj"))
    stream += hidden * (qkv * dropped if config.dropout else min(qkv, 1) * on.width)
    stream += hidden * ("o_proj" in kinds) * (dropped or on.width)
    stream += config.rank * on.width * len(kinds)
    sequences, keys = batch.sequences, batch.prefix + batch.longest
    attention = on.width * (sequences * batch.longest * hidden + 2 * sequences * keys * _kv(shape))
    attention += 4 * _scores(shape, batch) if on.cpu else on.width * sequences * batch.longest * hidden
    slots = _slots(shape, n, cpu=on.cpu)
    up_gate = sum(kind in kinds for kind in ("gate_proj", "up_proj"))
    experts = slots * 2 * inner * on.width + slots * 12  # gate and up; where each row goes
    experts += slots * hidden * (up_gate * dropped if config.dropout else min(up_gate, 1) * on.width)
    experts += slots * inner * ("down_proj" in kinds) * (dropped or on.width)
    return n * stream, attention, experts


def _scores(shape: Shape, batch: MicroBatch) -> float:
    own = batch.sequences * batch.longest * (batch.prefix + batch.longest)
    return float(shape["num_attention_heads"] * (own + batch.prefix**2))


def _slots(shape: Shape, tokens: int, *, cpu: bool) -> int:
    """Rows of the experts' arrays: on the CPU each expert fills whole blocks."""
    if "num_local_experts" not in shape:
        return tokens
    experts, pairs = int(shape["num_local_experts"]), tokens * int(shape["num_experts_per_tok"])
    if not cpu:
        return pairs
    block = rows_in_block(pairs / experts)
    return (pairs + min(experts, pairs) * (block - 1)) // block * block


def _kv(shape: Shape) -> int:
    """Width of keys and of values."""
    return int(shape["hidden_size"] * shape["num_key_value_heads"] // shape["num_attention_heads"])


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
