"""Configurations of every family, of any size: for models that are drawn and not fetched."""

from typing import Any

from lendsafe.mlx_lora.planning.footprint import granite_moe

_GRANITE = {
    key: granite_moe({})[key]
    for key in ("logits_scaling", "attention_multiplier", "embedding_multiplier", "residual_multiplier")
}
_EXPERTS = {"num_local_experts": 8, "num_experts_per_tok": 2}
# What a family's configuration adds to the sizes that all have.
FAMILIES: dict[str, dict[str, Any]] = {
    "granitemoe": {**_GRANITE, **_EXPERTS},
    "granite": _GRANITE,
    "granitemoehybrid": {**_GRANITE, **_EXPERTS, "shared_intermediate_size": 128},
    "llama": {},
    "qwen2": {},
    "qwen3": {"tie_word_embeddings": True},
    "qwen3_moe": {
        "num_experts": 8,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 64,
        "decoder_sparse_step": 1,
        "mlp_only_layers": [],
        "norm_topk_prob": True,
        "tie_word_embeddings": False,
    },
    "gemma3_text": {"sliding_window": 512, "sliding_window_pattern": 2, "query_pre_attn_scalar": 64},
    "phi3": {"tie_word_embeddings": False},
}
# About half a billion parameters, dense: Qwen3 0.6B's and a Granite's shape with its sizes.
HALF_A_BILLION = {
    "hidden_size": 1024,
    "num_hidden_layers": 28,
    "intermediate_size": 3072,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "vocab_size": 49155,
}
NAMED: dict[str, dict[str, Any]] = {
    "qwen3-0.5b": {"model_type": "qwen3", **HALF_A_BILLION},
    "granite-0.5b": {"model_type": "granite", **HALF_A_BILLION},
    "llama-135m": {
        "model_type": "llama",
        "hidden_size": 576,
        "num_hidden_layers": 30,
        "intermediate_size": 1536,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "vocab_size": 49152,
    },
}


def of_family(name: str, sizes: dict[str, Any]) -> dict[str, Any]:
    """``config.json`` of a family at the given sizes; heads are 64 wide unless told."""
    common: dict[str, Any] = {
        "model_type": name,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "max_position_embeddings": 4096,
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": True,
        "head_dim": 64,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "pad_token_id": 0,
    }
    found = common | FAMILIES[name] | sizes
    if name == "granitemoehybrid":
        found["layer_types"] = ["attention"] * int(found["num_hidden_layers"])
    return found


def named(name: str) -> dict[str, Any] | None:
    """``config.json`` of a shape known by name here, or None."""
    return of_family(NAMED[name]["model_type"], NAMED[name]) if name in NAMED else None
