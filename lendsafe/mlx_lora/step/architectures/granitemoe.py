"""Granite 3 mixtures of experts."""

from lendsafe.mlx_lora.step.architectures.record import (
    ATTENTION_BIAS,
    Architecture,
    Mixture,
    Place,
    places_of_experts,
)

# transformers before 5, and every file on disk
STORED = (
    Place(
        ("block_sparse_moe.switch_mlp.gate_proj", "block_sparse_moe.switch_mlp.up_proj"),
        "block_sparse_moe.input_linear",
        "weight",
    ),
    Place(("block_sparse_moe.switch_mlp.down_proj",), "block_sparse_moe.output_linear", "weight"),
)
EXPERTS = (
    *places_of_experts("block_sparse_moe", "block_sparse_moe.experts"),
    Place(("block_sparse_moe.router.layer",), "block_sparse_moe.router", "weight"),
)
MIXTURE = Mixture(module="block_sparse_moe", router="router.layer")

ARCHITECTURE = Architecture(
    name="granitemoe",
    embedding=lambda config: float(config["embedding_multiplier"]),
    residual="residual_multiplier",
    logits="logits_scaling",
    biases=ATTENTION_BIAS,
    mixture=MIXTURE,
    finer=("o_proj", "down_proj", "router", "lm_head"),
    places={5: EXPERTS, 4: STORED},
    stored=STORED,
)
