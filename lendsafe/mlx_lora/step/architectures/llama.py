"""Llama and what is built like it: SmolLM2, Mistral."""

from lendsafe.mlx_lora.step.architectures.record import ATTENTION_BIAS, MLP_BIAS, Architecture, Config


def _window(config: Config, layer: int) -> int | None:
    kinds = config.get("layer_types")
    return config.get("sliding_window") if kinds and kinds[layer] == "sliding_attention" else None


ARCHITECTURE = Architecture(
    name="llama",
    aliases=("mistral",),
    biases={**ATTENTION_BIAS, **MLP_BIAS},
    window=_window,
)
