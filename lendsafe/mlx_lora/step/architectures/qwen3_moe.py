"""Qwen 3 mixtures of experts."""

from lendsafe.mlx_lora.step.architectures.record import (
    Architecture,
    Config,
    Mixture,
    Place,
    places_of_experts,
)


def _sparse(config: Config, layer: int) -> bool:
    return layer not in config["mlp_only_layers"] and (layer + 1) % config["decoder_sparse_step"] == 0


ARCHITECTURE = Architecture(
    name="qwen3_moe",
    query_norms=True,
    finer=("router",),
    tied=False,
    mixture=Mixture(
        module="mlp",
        router="gate",
        softmax_first=True,
        renormalise="norm_topk_prob",
        count="num_experts",
        inner="moe_intermediate_size",
        layers=_sparse,
    ),
    places={5: (*places_of_experts("mlp", "mlp.experts"), Place(("mlp.gate",), "mlp.gate", "weight"))},
    stored=tuple(
        Place((f"mlp.switch_mlp.{name}",), f"mlp.experts.{{e}}.{name}")
        for name in ("gate_proj", "up_proj", "down_proj")
    ),
)
