"""Qwen 2 and 2.5."""

from lendsafe.mlx_lora.step.architectures.record import Architecture

ARCHITECTURE = Architecture(name="qwen2", biases=dict.fromkeys(("q_proj", "k_proj", "v_proj"), True))
