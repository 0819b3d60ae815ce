"""Phi 3: queries, keys and values in one layer, gate and up in another."""

from lendsafe.mlx_lora.step.architectures.record import Architecture

ARCHITECTURE = Architecture(
    name="phi3",
    tied=False,
    fused={
        **dict.fromkeys(("q_proj", "k_proj", "v_proj"), "qkv_proj"),
        **dict.fromkeys(("gate_proj", "up_proj"), "gate_up_proj"),
    },
)
