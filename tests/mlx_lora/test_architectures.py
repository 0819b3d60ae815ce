"""Every family: packed and padded equal the model's own forward pass; sizes equal the model's."""

from dataclasses import replace

import mlx.core as mx
import numpy as np
import pytest
from small_granite import (
    VOCABULARY,
    adapt,
    example,
    loss_and_gradients,
    plain_loss_and_gradients,
    relative_difference,
)

from lendsafe.errors import RefusedError
from lendsafe.mlx_lora.config import TrainConfig
from lendsafe.mlx_lora.exchange.loading import empty_model
from lendsafe.mlx_lora.exchange.targets import add_adapters, count_parameters
from lendsafe.mlx_lora.planning import footprint
from lendsafe.mlx_lora.step import architectures
from lendsafe.mlx_lora.step.forward import supports
from lendsafe.mlx_lora.step.techniques import Techniques

TOLERANCE = 1e-5
COMMON = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "intermediate_size": 24,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "rms_norm_eps": 1e-5,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 512,
    "rope_theta": 10000.0,
    "attention_bias": False,
    "mlp_bias": False,
}
GRANITE = {
    "logits_scaling": 2.0,
    "attention_multiplier": 0.3,
    "embedding_multiplier": 3.0,
    "residual_multiplier": 0.6,
}
EXPERTS = {"num_local_experts": 4, "num_experts_per_tok": 2}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}
LONG = {"type": "longrope", "short_factor": [1.0] * 4, "long_factor": [1.5, 2.0, 2.5, 3.0]}
HYBRID = {**GRANITE, "layer_types": ["attention"] * 3}
SPARSE = {
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 16,
    "decoder_sparse_step": 1,
    "mlp_only_layers": [],
    "norm_topk_prob": True,
}
# name -> what its configuration adds to the common one
CASES = {
    "granitemoe": {**GRANITE, **EXPERTS},
    "granite": GRANITE,
    "granite with biases, untied": {
        **GRANITE,
        "attention_bias": True,
        "mlp_bias": True,
        "tie_word_embeddings": False,
    },
    "granitemoehybrid": {**HYBRID, **EXPERTS, "shared_intermediate_size": 20},
    "granitemoehybrid, dense, no rotation": {**HYBRID, "position_embedding_type": "nope"},
    "llama": {},
    "llama 3": {"rope_scaling": LLAMA3, "attention_bias": True, "tie_word_embeddings": False},
    "llama with windows": {
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        "sliding_window": 5,
    },
    "mistral": {"num_key_value_heads": 4, "sliding_window": 7, "tie_word_embeddings": False},
    "qwen2": {"tie_word_embeddings": False},
    "qwen2, yarn": {"rope_scaling": YARN},
    "qwen3": {"head_dim": 16, "tie_word_embeddings": True},
    "qwen3_moe": {**SPARSE, "tie_word_embeddings": False},
    "qwen3_moe, not renormalised, a dense layer": {
        **SPARSE,
        "norm_topk_prob": False,
        "mlp_only_layers": [1],
        "tie_word_embeddings": False,
    },
    "gemma3_text": {"sliding_window": 6, "sliding_window_pattern": 3, "query_pre_attn_scalar": 11},
    "phi3": {"partial_rotary_factor": 0.5},
    "phi3, long": {"rope_scaling": LONG, "original_max_position_embeddings": 64},
}
LARGE_HEADS = {
    "attention_multiplier": 0.05,
    "hidden_size": 128,
    "head_dim": 64,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
}


def config_of(case, **changes):
    return {"model_type": case.split(",")[0].split(" ")[0], **COMMON, **CASES[case], **changes}


def model_of(case, **changes):
    """A frozen model with random weights, none of them special: norms and biases drawn too."""
    mx.random.seed(5)
    model = empty_model(config_of(case, **changes))
    if case.startswith("gemma3_text"):  # as its published files have it, which hold no projection
        model.sanitize({})
    draws = {}
    for number, (name, array) in enumerate(sorted(_flat(model.parameters()))):
        key = mx.random.key(number)
        spread = 1.2 / array.shape[-1] ** 0.5 if array.ndim > 1 else 0.1
        draws[name] = mx.random.normal(array.shape, key=key) * spread
        if array.ndim == 1 and "norm" in name and not case.startswith("gemma3_text"):
            draws[name] = draws[name] + 1
        if "router" in name or name.endswith("mlp.gate.weight"):  # no rounding chooses another expert
            draws[name] = draws[name] * 4
    model.load_weights(list(draws.items()))
    model.freeze()
    mx.eval(model.parameters())
    return model


def _flat(tree):
    from mlx.utils import tree_flatten

    return tree_flatten(tree)


def batch_of(shared=18, seed=0):
    rng = np.random.default_rng(seed)
    prefix = rng.integers(3, VOCABULARY, shared)
    return [example(rng, prefix, n, r) for n, r in ((2, 4), (5, 1), (1, 7), (9, 3))]


def assert_equal(model, batch, techniques):
    loss, grads = loss_and_gradients(model, batch, techniques)
    plain_loss, plain = plain_loss_and_gradients(model, batch)
    assert loss == pytest.approx(plain_loss, rel=TOLERANCE)
    assert grads.keys() == plain.keys()
    whole = np.sqrt(sum(np.linalg.norm(one) ** 2 for one in plain.values()))
    assert whole > 0
    for name, grad in grads.items():
        assert np.linalg.norm(grad - plain[name]) <= TOLERANCE * whole, name


@pytest.mark.parametrize("case", CASES)
def test_packed_and_padded_equal_the_models_own_forward_pass(case):
    model = model_of(case)
    assert supports(model)
    adapt(model, "all")
    for batch in (batch_of(), batch_of(shared=3), batch_of()[:1]):
        for techniques in (
            Techniques(),
            Techniques(buckets=True, trim_last=False, share_prefix=False),
            Techniques(buckets=True, one_product=True, one_a=True),
            Techniques(packed=False),
        ):
            assert_equal(model, batch, techniques)


@pytest.mark.parametrize("case", CASES)
def test_heads_of_64_are_equal_too(case):
    if "long" in case:
        pytest.skip("its factors are listed for a head of another size")
    model = model_of(case, **LARGE_HEADS)
    adapt(model, "all")
    assert_equal(model, batch_of(), Techniques())
    assert_equal(model, batch_of(), Techniques(one_product=True, one_a=True, buckets=True))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("recompute", ["experts", "layer"])
@pytest.mark.parametrize("packed", [True, False])
def test_recomputation_changes_nothing(case, recompute, packed):
    model = model_of(case)
    adapt(model, "all")
    assert_equal(model, batch_of(), Techniques(recompute=recompute, packed=packed))


@pytest.mark.parametrize("case", CASES)
def test_sizes_are_those_of_the_model(case):
    config, model = config_of(case), model_of(case)
    assert footprint.parameters(config) == count_parameters(model)
    for targets in (("attention",), ("experts",), ("router",), ("all",), TrainConfig().targets):
        if {"experts", "router"} & set(targets) and not architectures.known(config).mixture_of(config):
            continue
        recipe = TrainConfig(rank=3, targets=targets)
        counted = footprint.adapter_parameters(config, recipe)
        assert add_adapters(model_of(case), recipe).trainable == counted, targets


def test_a_window_hides_what_is_before_it():
    """By hand: with a window of 1 each position sees itself alone, so what comes before changes nothing."""
    windows = {"layer_types": ["sliding_attention"] * 2 + ["full_attention"], "sliding_window": 1}
    model = model_of("llama", **windows)
    config = vars(model.args)
    family = architectures.known(config)
    assert [family.window_of(config, layer) for layer in range(3)] == [1, 1, None]
    narrow = replace_first(batch_of(), 7)
    model.model.layers = model.model.layers[:2]
    losses = [loss_and_gradients_of(model, one) for one in (batch_of(), narrow)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def replace_first(batch, token):
    from lendsafe.mlx_lora.tokens import Tokens

    changed = [np.concatenate([[token], one.ids[1:]]).astype(np.int32) for one in batch]
    return [Tokens(ids, one.reply_start) for ids, one in zip(changed, batch, strict=True)]


def loss_and_gradients_of(model, batch):
    from lendsafe.mlx_lora.step.loss import loss_sum

    return loss_sum(model, batch, Techniques(trim_last=False)).item()


def test_gemma_s_embedding_factor_is_the_root_rounded_to_bfloat16():
    for hidden in (640, 1152, 2560, 3840):
        theirs = mx.array(hidden**0.5, mx.bfloat16).astype(mx.float32).item()
        assert architectures.of("gemma3_text").embedding({"hidden_size": hidden}) == theirs


def test_what_the_packed_way_does_not_know_has_no_record():
    hybrid = config_of("granitemoehybrid, dense, no rotation")
    assert architectures.known(hybrid | {"layer_types": ["mamba", "attention", "attention"]}) is None
    assert architectures.known({"model_type": "mamba2"}) is None
    dynamic = config_of("llama", rope_scaling={"rope_type": "dynamic", "factor": 2.0})
    assert architectures.known(dynamic) is None
    with pytest.raises(RefusedError, match="rope type 'dynamic' changes with the length of the text"):
        empty_model(dynamic)  # mlx-lm would compute it otherwise


def test_an_architecture_without_a_record_is_trained_padded_and_only_what_is_learned_is_projected():
    gemma2 = COMMON | {
        "model_type": "gemma2",
        "query_pre_attn_scalar": 11,
        "attn_logit_softcapping": 5.0,
        "final_logit_softcapping": 3.0,  # applied to what is projected, whoever asks for it
    }
    mx.random.seed(1)
    model = empty_model(gemma2)
    model.freeze()
    adapt(model, "all")
    batch = batch_of()
    assert_equal(model, batch, Techniques())
    forward_rows = []
    head = model.model.embed_tokens

    class Seen(type(head)):
        def as_linear(self, x):
            forward_rows.append(x.shape[-2])
            return super().as_linear(x)

    head.__class__ = Seen
    loss_and_gradients(model, batch, Techniques(fuse_loss=False))
    assert sum(forward_rows) == sum(len(one) - one.reply_start for one in batch)


def test_every_family_is_a_module_with_a_parity_test():
    tested = {config_of(case)["model_type"] for case in CASES}
    assert set(architectures.every()) == tested


def test_the_recipe_s_names_find_the_layers_that_hold_them():
    config = TrainConfig(rank=2)
    adapted = add_adapters(model_of("phi3"), config)
    assert not adapted.warnings
    layers = {path.rsplit(".", 1)[-1] for match in adapted.matches for path in match.layers}
    assert layers == {"qkv_proj", "o_proj", "gate_up_proj", "down_proj"}


def test_rounding_up_does_not_reach_the_gradient():
    model = model_of("llama")
    adapt(model, "all")
    batch = batch_of()
    exact = loss_and_gradients(model, batch, Techniques())[1]
    rounded = loss_and_gradients(model, batch, replace(Techniques(), buckets=True))[1]
    assert all(relative_difference(rounded[name], exact[name]) < TOLERANCE for name in exact)
