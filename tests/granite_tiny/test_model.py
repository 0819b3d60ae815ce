"""The shipped model: size, shape, and the same answers from every library."""

import json
import subprocess
import sys
from itertools import islice

import pytest

from lendsafe import granite_tiny
from lendsafe.fields import build
from lendsafe.mlx_lora.config import TrainConfig

TEXT = "We have approved your request for {loan_amount} for a vehicle."


@pytest.fixture(scope="module")
def torch_model():
    from transformers import AutoModelForCausalLM

    model, loading = AutoModelForCausalLM.from_pretrained(
        granite_tiny.path(), dtype="float32", output_loading_info=True
    )
    return model.eval(), loading


def test_everything_that_ships_weighs_at_most_12_mb():
    assert sum(one.stat().st_size for one in granite_tiny.path().iterdir() if one.is_file()) <= 12e6


def test_it_has_2_to_8_million_parameters_and_the_card_says_how_many(torch_model):
    parameters = torch_model[0].num_parameters()
    assert 2e6 <= parameters <= 8e6
    assert f"{parameters:,}" in (granite_tiny.path() / "README.md").read_text("utf-8")


def test_weights_are_float16_and_named_as_granite_3_1_names_them():
    from safetensors import safe_open

    with safe_open(granite_tiny.path() / "model.safetensors", "numpy") as file:
        names = set(file.keys())
        assert {str(file.get_tensor(name).dtype) for name in names} == {"float16"}
    moe = "model.layers.0.block_sparse_moe"
    assert {
        f"{moe}.input_linear.weight",
        f"{moe}.output_linear.weight",
        f"{moe}.router.layer.weight",
    } <= names
    assert "lm_head.weight" not in names  # tied


def test_transformers_finds_every_weight_and_none_too_many(torch_model):
    assert not torch_model[1]["missing_keys"]
    assert not torch_model[1]["unexpected_keys"]


def test_transformers_and_mlx_lm_compute_the_same_logits(torch_model):
    import numpy as np
    import torch

    from lendsafe.mlx_lora.exchange import loading

    base = loading.load(str(granite_tiny.path()), precision="float32")
    ids = base.tokenizer.encode(TEXT)
    ours = np.array(base.model(loading.mx.array([ids])))
    with torch.no_grad():
        theirs = torch_model[0](torch.tensor([ids])).logits.numpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_it_has_learned_the_prose_of_lending(torch_model):
    import torch
    from transformers import AutoTokenizer

    ids = AutoTokenizer.from_pretrained(granite_tiny.path())(TEXT, return_tensors="pt").input_ids
    with torch.no_grad():
        told = torch_model[0](ids, labels=ids).loss.item()
        shuffled = ids[:, torch.randperm(ids.shape[1], generator=torch.Generator().manual_seed(0))]
        garbled = torch_model[0](shuffled, labels=shuffled).loss.item()
    assert told < 2.0 < garbled


def test_rotary_base_is_where_both_libraries_look_for_it():
    config = json.loads((granite_tiny.path() / "config.json").read_text("utf-8"))
    assert config["rope_theta"] == config["rope_parameters"]["rope_theta"]


def test_config_has_the_structure_of_granite_3_1():
    config = json.loads((granite_tiny.path() / "config.json").read_text("utf-8"))
    assert config["model_type"] == "granitemoe"
    assert config["tie_word_embeddings"]
    assert config["embedding_multiplier"] == 12
    assert config["residual_multiplier"] == pytest.approx(
        0.22 * (40 / config["num_hidden_layers"]) ** 0.5, 0.01
    )
    assert config["logits_scaling"] == 6
    head = config["hidden_size"] / config["num_attention_heads"]
    assert config["attention_multiplier"] == pytest.approx(head**-0.5)
    assert config["num_experts_per_tok"] < config["num_local_experts"]
    assert config["max_position_embeddings"] >= 1024


def test_every_expert_of_every_layer_is_used(torch_model):
    """A router that collapsed would leave some experts untrained."""
    import torch
    from transformers import AutoTokenizer

    from lendsafe.corpus.pretraining import COPIED, documents

    tokenizer = AutoTokenizer.from_pretrained(granite_tiny.path())
    prose = [one for one in islice(documents(7), COPIED, COPIED + 200) if isinstance(one, str)]
    counts = 0
    with torch.no_grad():
        for text in prose:
            ids = tokenizer(text, return_tensors="pt").input_ids
            routed = torch_model[0](ids, output_router_logits=True).router_logits
            top = torch.stack([one.topk(torch_model[0].config.num_experts_per_tok).indices for one in routed])
            counts = counts + torch.nn.functional.one_hot(top, torch_model[0].config.num_local_experts).sum(
                (1, 2)
            )
    assert (counts / counts.sum(-1, keepdim=True)).min() > 0.01


def test_before_training_a_head_looks_where_copying_needs_it():
    """In a sequence and its repetition, the second layer's first head finds what followed a token before."""
    import torch
    from transformers import GraniteMoeForCausalLM

    from lendsafe.granite_tiny import make

    def found():
        """Of 39 places, how many attend most to the token after their earlier twin; by chance 1 or none."""
        with torch.no_grad():
            seen = model(torch.cat([once, once])[None], output_attentions=True).attentions[1][0, 0]
        return sum(int(seen[40 + place].argmax()) == place + 1 for place in range(39))

    torch.manual_seed(0)
    model = GraniteMoeForCausalLM._from_config(
        make.architecture(make.PretrainConfig()), attn_implementation="eager"
    )
    once = torch.randperm(1000)[:40] + 300
    assert found() <= 4
    make.start_copying(model)
    assert found() >= 13


def test_recipe_is_a_valid_training_configuration():
    from lendsafe.mlx_lora.exchange import loading

    settings = loading.recipe("granite-tiny")
    assert settings
    build(TrainConfig, settings)


def test_importing_the_package_is_light():
    code = "import lendsafe.granite_tiny, sys; print({'mlx', 'torch', 'transformers'} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "set()"
