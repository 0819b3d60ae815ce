"""Adapters reach exactly the layers that were asked for, on every architecture; misses are said."""

import pytest
from model_folders import ARCHITECTURES, folder_config
from small_granite import small_model

from lendsafe.errors import ConfigError
from lendsafe.mlx_lora.config import DEFAULT_TARGETS, LoraConfig
from lendsafe.mlx_lora.exchange.loading import empty_model
from lendsafe.mlx_lora.exchange.targets import adapters, add_adapters, remove_adapters, table
from lendsafe.mlx_lora.step.layers import LoRASwitchLinear

ATTENTION = {"q_proj", "k_proj", "v_proj", "o_proj"}
EXPERTS = {"switch_mlp.gate_proj", "switch_mlp.up_proj", "switch_mlp.down_proj"}
MLP = {"mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"}
SHARED = {"shared_mlp.input_linear", "shared_mlp.output_linear", "mamba.in_proj", "mamba.out_proj"}
GRANITE_3B = {
    "model_type": "granitemoe",
    "hidden_size": 1536,
    "num_hidden_layers": 32,
    "intermediate_size": 512,
    "num_attention_heads": 24,
    "num_key_value_heads": 8,
    "num_local_experts": 40,
    "num_experts_per_tok": 8,
    "vocab_size": 49155,
    "tie_word_embeddings": True,
}
ALL = {
    "granitemoe": ATTENTION | EXPERTS | {"router.layer"},
    "granite": ATTENTION | MLP,
    "llama": ATTENTION | MLP,
    "qwen3": ATTENTION | MLP,
    "qwen3_moe": ATTENTION | EXPERTS | {"mlp.gate"},
    "granitemoehybrid": ATTENTION | EXPERTS | {"router.layer"} | SHARED,
}


def reached(architecture, *targets):
    """Last names of the layers that targets reach: as many words as tell them apart above."""
    model = empty_model(folder_config(architecture))
    add_adapters(model, LoraConfig(rank=2, targets=targets))
    known = set().union(*ALL.values())
    return {next((n for n in known if path.endswith("." + n)), path) for path in adapters(model)}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_attention_reaches_the_four_projections(architecture):
    assert reached(architecture, "attention") == ATTENTION


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_all_reaches_every_linear_layer_and_every_expert(architecture):
    assert reached(architecture, "all") == ALL[architecture]


@pytest.mark.parametrize("architecture", ["granitemoe", "qwen3_moe", "granitemoehybrid"])
def test_experts_reaches_the_stacks_and_nothing_else(architecture):
    assert reached(architecture, "experts") == EXPERTS


@pytest.mark.parametrize(
    ("architecture", "router"),
    [("granitemoe", "router.layer"), ("granitemoehybrid", "router.layer"), ("qwen3_moe", "mlp.gate")],
)
def test_router_reaches_the_router_alone(architecture, router):
    assert reached(architecture, "router") == {router}


def test_a_layer_name_reaches_that_layer_in_every_block():
    model = small_model()
    add_adapters(model, LoraConfig(rank=2, targets=("q_proj", "down_proj")))
    assert sorted(path.rsplit(".", 1)[-1] for path in adapters(model)) == ["down_proj"] * 2 + ["q_proj"] * 2


def test_a_full_path_reaches_one_layer():
    model = small_model()
    add_adapters(model, LoraConfig(rank=2, targets=("model.layers.1.self_attn.q_proj",)))
    assert list(adapters(model)) == ["model.layers.1.self_attn.q_proj"]


def test_every_expert_has_its_own_factors():
    model = small_model()
    add_adapters(model, LoraConfig(rank=2, targets=("experts",)))
    layer = model.model.layers[0].block_sparse_moe.switch_mlp.up_proj
    assert isinstance(layer, LoRASwitchLinear)
    assert layer.lora_a.shape == (4, 2, 32)
    assert layer.lora_b.shape == (4, 24, 2)


def test_the_recipe_leaves_experts_alone_and_says_so():
    adapted = add_adapters(small_model(), LoraConfig(rank=2, targets=DEFAULT_TARGETS))
    assert [m.target for m in adapted.matches if not m.layers] == ["gate_proj", "up_proj", "down_proj"]
    assert all("stack of experts" in warning for warning in adapted.warnings)
    assert len(adapted.warnings) == 3


def test_a_name_that_matches_nothing_is_an_error_that_names_what_there_is():
    with pytest.raises(ConfigError, match=r"'qproj' matches no layer.*q_proj"):
        add_adapters(small_model(), LoraConfig(rank=2, targets=("q_proj", "qproj")))


def test_the_table_says_what_each_name_matched():
    adapted = add_adapters(small_model(), LoraConfig(rank=2, targets=DEFAULT_TARGETS))
    lines = table(adapted.matches).splitlines()
    assert len(lines) == len(DEFAULT_TARGETS)
    assert lines[0].split()[:3] == ["q_proj", "2", "layers"]


def test_removing_puts_the_original_layers_back():
    model = small_model()
    before = dict(model.named_modules())
    add_adapters(model, LoraConfig(rank=2, targets=("all",)))
    remove_adapters(model)
    assert dict(model.named_modules()).keys() == before.keys()
    assert all(module is before[path] for path, module in model.named_modules())


def test_the_recipe_trains_5242880_of_3298793472_parameters_of_granite_3b():
    model = empty_model(folder_config("granitemoe", **GRANITE_3B))  # lazy: no weight is ever computed
    adapted = add_adapters(model, LoraConfig())
    assert adapted.trainable == 5_242_880
    assert adapted.total == 3_298_793_472


@pytest.mark.parametrize(("target", "expected"), [("router", 806_912), ("experts", 125_829_120)])
def test_granite_3b_counts_of_router_and_experts(target, expected):
    model = empty_model(folder_config("granitemoe", **GRANITE_3B))
    assert add_adapters(model, LoraConfig(targets=(target,))).trainable == expected
