"""Granite 3, 4.0 and 4.1, dense."""

from lendsafe.mlx_lora.step.architectures.record import ATTENTION_BIAS, MLP_BIAS, Architecture

ARCHITECTURE = Architecture(
    name="granite",
    embedding=lambda config: float(config["embedding_multiplier"]),
    residual="residual_multiplier",
    logits="logits_scaling",
    biases={**ATTENTION_BIAS, **MLP_BIAS},
    finer=("o_proj", "down_proj", "lm_head"),
)
