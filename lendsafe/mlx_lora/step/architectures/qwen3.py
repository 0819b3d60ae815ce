"""Qwen 3, dense."""

from lendsafe.mlx_lora.step.architectures.record import Architecture

ARCHITECTURE = Architecture(name="qwen3", query_norms=True)
