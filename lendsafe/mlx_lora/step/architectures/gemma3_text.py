"""Gemma 3, text: four norms a layer, queries and keys normed, windows in most layers."""

from struct import pack, unpack

from lendsafe.mlx_lora.step.architectures.record import Architecture, Config


def _embedding(config: Config) -> float:
    """The root of the hidden size, rounded to bfloat16 as the model was trained with it."""
    (bits,) = unpack("<I", pack("<f", float(config["hidden_size"]) ** 0.5))
    bits += 0x7FFF + (bits >> 16 & 1)  # to the nearest, ties to even
    (rounded,) = unpack("<f", pack("<I", bits & 0xFFFF0000))
    return float(rounded)


def _window(config: Config, layer: int) -> int | None:
    return None if (layer + 1) % config["sliding_window_pattern"] == 0 else int(config["sliding_window"])


ARCHITECTURE = Architecture(
    name="gemma3_text",
    embedding=_embedding,
    norms=(
        "input_layernorm",
        "post_attention_layernorm",
        "pre_feedforward_layernorm",
        "post_feedforward_layernorm",
    ),
    clipped=True,
    activation="gelu",
    query_norms=True,
    window=_window,
    defaults={
        "num_attention_heads": 4,
        "num_key_value_heads": 1,
        "head_dim": 256,
        "sliding_window": 512,
        "sliding_window_pattern": 6,
    },
)
