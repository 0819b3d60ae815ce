"""The packed step computes the same loss and the same gradients as the plain padded one."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_granite import (
    adapt,
    batches,
    example,
    loss_and_gradients,
    plain_loss_and_gradients,
    relative_difference,
    small_config,
    small_model,
)

from lendsafe.mlx_lora.exchange import loading
from lendsafe.mlx_lora.step import layout
from lendsafe.mlx_lora.step.batches import micro_batches
from lendsafe.mlx_lora.step.layout import FEWEST_QUERIES, common_prefix, shared
from lendsafe.mlx_lora.step.techniques import Techniques
from lendsafe.mlx_lora.tokens import Tokens

TOLERANCE = 1e-5
ALL = Techniques()
SWITCHES = {
    "all": ALL,
    "no shared prefix": replace(ALL, share_prefix=False),
    "gate last": replace(ALL, gate_first=False),
    "experts row by row": replace(ALL, group_experts=False),
    "last layer whole": replace(ALL, trim_last=False),
    "loss first, gradient later": replace(ALL, fuse_loss=False),
    "experts recomputed": replace(ALL, recompute="experts"),
    "layers recomputed": replace(ALL, recompute="layer"),
    "logits divided": replace(ALL, fold_scale=False),
    "kernels": replace(ALL, kernels=True),
    "one product": replace(ALL, one_product=True),
    "one A": replace(ALL, one_a=True),
    "all that a GPU gets": replace(ALL, kernels=True, one_product=True, one_a=True, buckets=True),
    "sizes rounded up": replace(ALL, buckets=True),
    "padded": replace(ALL, packed=False),
    "padded, rounded up": replace(ALL, packed=False, buckets=True),
    "none": Techniques(
        fold_scale=False,
        share_prefix=False,
        gate_first=False,
        group_experts=False,
        trim_last=False,
        fuse_loss=False,
    ),
}
quick = settings(max_examples=40, deadline=None, derandomize=True)


def assert_equal_to_plain(model, batch, techniques):
    loss, grads = loss_and_gradients(model, batch, techniques)
    plain_loss, plain_grads = plain_loss_and_gradients(model, batch)
    assert loss == pytest.approx(plain_loss, rel=TOLERANCE)
    assert grads.keys() == plain_grads.keys()
    norms = {name: np.linalg.norm(plain) for name, plain in plain_grads.items()}
    errors = {name: np.linalg.norm(grads[name] - plain) for name, plain in plain_grads.items()}
    whole = np.linalg.norm(list(norms.values()))
    assert np.linalg.norm(list(errors.values())) <= TOLERANCE * whole
    for name, error in errors.items():
        # A router's gradient is a small difference of large terms; what hardly counts is measured by the whole.
        assert error <= 3 * TOLERANCE * max(norms[name], 1e-3 * whole), name


@pytest.fixture(scope="module")
def adapted_everywhere():
    model = small_model()
    adapt(model, "all")
    return model


@pytest.mark.parametrize("techniques", SWITCHES.values(), ids=SWITCHES.keys())
def test_loss_and_every_gradient_equal_the_padded_computation(adapted_everywhere, techniques):
    @quick
    @given(batch=batches())
    def check(batch):
        assert_equal_to_plain(adapted_everywhere, batch, techniques)

    check()


@pytest.mark.parametrize("target", ["attention", "experts", "router"])
def test_each_kind_of_adapter_alone_equals_the_padded_computation(target):
    model = small_model(seed=1)
    adapt(model, target)

    @settings(quick, max_examples=20)
    @given(batch=batches())
    def check(batch):
        assert_equal_to_plain(model, batch, ALL)

    check()


@pytest.mark.parametrize("target", ["attention", "all"])
@pytest.mark.parametrize("rows", [1, 3])
def test_any_size_of_an_experts_blocks_equals_the_padded_computation(target, rows, monkeypatch):
    monkeypatch.setattr("lendsafe.mlx_lora.backend.expert_rows", lambda _, **__: rows)
    model = small_model(seed=2)
    adapt(model, target)

    @settings(quick, max_examples=20)
    @given(batch=batches())
    def check(batch):
        assert_equal_to_plain(model, batch, ALL)

    check()


@settings(quick, max_examples=20)
@given(batch=batches())
def test_a_dense_granite_equals_the_padded_computation(batch):
    model = small_model("granite")
    adapt(model, "all")
    assert_equal_to_plain(model, batch, ALL)


def test_an_untied_vocabulary_projection_equals_the_padded_computation():
    model = small_model(tie_word_embeddings=False, num_hidden_layers=1)
    adapt(model, "attention")
    rng = np.random.default_rng(0)
    assert_equal_to_plain(model, [example(rng, rng.integers(3, 60, 4), n, 3) for n in (2, 5)], ALL)


@quick
@given(batch=batches(largest=6), budget=st.integers(1, 80))
def test_cutting_a_window_into_micro_batches_changes_nothing(adapted_everywhere, batch, budget):
    loss, grads = loss_and_gradients(adapted_everywhere, batch, ALL)
    parts = [loss_and_gradients(adapted_everywhere, part, ALL) for part in micro_batches(batch, budget)]
    assert sum(part for part, _ in parts) == pytest.approx(loss, rel=TOLERANCE)
    for name, grad in grads.items():
        summed = sum(part[name] for _, part in parts)
        assert np.linalg.norm(summed - grad) <= TOLERANCE * max(np.linalg.norm(grad), 1e-2), name


@pytest.mark.parametrize("architecture", ["granitemoe", "granite"])
@pytest.mark.parametrize("restored", [True, False])
@pytest.mark.parametrize("bits", [4, 8])
def test_a_quantised_base_equals_the_padded_computation(bits, restored, architecture):
    model = small_model(architecture, hidden_size=64, intermediate_size=64)
    loading._quantize(model, bits, 64)
    adapt(model, "all")
    rng = np.random.default_rng(bits)
    batch = [example(rng, rng.integers(3, 60, 5), n, 4) for n in (1, 3, 6)]
    assert_equal_to_plain(model, batch, replace(ALL, dequantise=restored))
    assert_equal_to_plain(model, batch, replace(ALL, dequantise=restored, one_product=True, one_a=True))


def test_joined_weights_take_no_more_memory_and_leave_the_model_as_it_was():
    import mlx.core as mx

    from lendsafe.mlx_lora.exchange.loading import named_arrays
    from lendsafe.mlx_lora.step.layers import join

    model = small_model(hidden_size=64, intermediate_size=512)
    before = {name: np.array(array) for name, array in named_arrays(model.parameters()).items()}
    held = mx.get_active_memory()
    for layer in model.model.layers:
        glu, names = layer.block_sparse_moe.switch_mlp, ("gate_proj", "up_proj")
        both = join(glu, names)
        assert both.weight.shape == (4, 1024, 64)
        assert join(glu, names) is both
        assert join(layer.self_attn, ("q_proj", "k_proj", "v_proj")).weight.shape == (128, 64)
    assert mx.get_active_memory() <= held * 1.01
    after = named_arrays(model.parameters())
    assert after.keys() == before.keys()
    assert all(np.array_equal(before[name], np.array(after[name])) for name in before)
    assert not any("_joined" in path for path, _ in model.named_modules())


def test_the_prefix_is_the_longest_that_leaves_each_reply_its_predecessor():
    # 1 2 3 4 | 9 and 1 2 3 7 | 9: three tokens in common; identical prompts share all but the last.
    def tokens(*ids):
        return Tokens(np.array(ids, np.int32), 4)

    assert common_prefix([tokens(1, 2, 3, 4, 9), tokens(1, 2, 3, 7, 9)]) == 3
    assert common_prefix([tokens(1, 2, 3, 4, 9), tokens(1, 2, 3, 4, 8)]) == 3
    assert common_prefix([tokens(5, 2, 3, 4, 9), tokens(1, 2, 3, 4, 9)]) == 0


@given(batch=batches(largest=6))
def test_no_token_is_computed_twice_and_none_is_padding(batch):
    placed = layout.packed(batch)
    arrays, prefix = placed.arrays, shared(batch)
    assert arrays["tokens"].size == sum(len(one) - 1 for one in batch) - prefix * (len(batch) - 1)
    assert arrays["targets"].size == sum(len(one) - one.reply_start for one in batch)


@given(batch=batches(largest=6))
def test_attention_never_has_so_few_queries_that_metal_lacks_its_gradient(batch):
    """MLX 0.32.4's Metal kernel for eight queries or fewer has no gradient, whatever is shared."""
    extent = layout.packed(batch).extent
    assert extent.length >= FEWEST_QUERIES > 8
    assert extent.prefix == 0 or extent.prefix >= FEWEST_QUERIES
    assert extent.prefix in (0, common_prefix(batch))


@given(length=st.integers(1, 5000))
def test_no_attention_is_as_long_as_cudnn_takes(length):
    """cuDNN's backward pass, which takes multiples of 128, is not built to give the same bits twice."""
    rounded = layout.odd_multiple(length)
    assert length <= rounded < length + 128
    assert rounded % 64 == 0
    assert rounded % 128 != 0
    assert layout.worth_sharing(length, 2) % 128 != 0 or layout.worth_sharing(length, 2) == 0


@given(batch=batches(largest=6))
def test_sizes_rounded_up_hold_the_same_tokens_and_count_the_same(batch):
    exact, rounded = layout.packed(batch), layout.packed(batch, rounded=True)
    extent = rounded.extent
    assert extent.tokens % layout.ROWS == extent.learned % layout.ROWS == extent.length % layout.LENGTH == 0
    assert extent.length >= exact.extent.length
    assert rounded.arrays["counted"].sum().item() == exact.arrays["targets"].size
    n, m = exact.arrays["tokens"].size, exact.arrays["targets"].size
    assert rounded.arrays["tokens"][:n].tolist() == exact.arrays["tokens"].tolist()
    assert rounded.arrays["targets"][:m].tolist() == exact.arrays["targets"].tolist()


def test_dropout_is_drawn_from_the_key_and_only_from_the_key():
    import mlx.core as mx

    model = small_model()
    keys = adapt(model, "all", dropout=0.5).keys
    rng = np.random.default_rng(0)
    batch = [example(rng, rng.integers(3, 60, 4), n, 3) for n in (2, 5)]
    losses = []
    for seed in (1, 1, 2):
        keys.set(mx.random.key(seed))
        losses.append(loss_and_gradients(model, batch, ALL)[0])
    keys.set(None)
    undropped = loss_and_gradients(model, batch, ALL)[0]
    assert losses[0] == losses[1] != losses[2]
    assert undropped not in losses
    assert_equal_to_plain(model, batch, ALL)


@pytest.mark.parametrize("recompute", ["none", "experts", "layer"])
@pytest.mark.parametrize("one_a", [False, True])
def test_dropout_that_is_drawn_twice_has_the_gradient_of_one_that_is_kept(recompute, one_a, monkeypatch):
    import mlx.core as mx

    from lendsafe.mlx_lora.step import kernels, layers

    model = small_model()
    keys = adapt(model, "all", dropout=0.4).keys
    rng = np.random.default_rng(0)
    batch = [example(rng, rng.integers(3, 60, 4), n, 3) for n in (2, 5)]
    techniques = replace(ALL, kernels=True, one_a=one_a, recompute=recompute, side_by_side=False)
    keys.set(mx.random.key(3), stored=False)
    loss, grads = loss_and_gradients(model, batch, techniques)
    monkeypatch.setattr(layers, "_dropped", kernels.dropped)  # differentiated operation by operation
    monkeypatch.setattr(layers, "_dropped_product", lambda x, a, *how: kernels.dropped(x, *how) @ a)
    kept_loss, kept = loss_and_gradients(model, batch, techniques)
    assert loss == kept_loss
    for name, grad in kept.items():
        assert relative_difference(grads[name], grad) < TOLERANCE, name


def test_recomputation_draws_the_same_dropout_again():
    import mlx.core as mx

    model = small_model()
    keys = adapt(model, "all", dropout=0.3).keys
    keys.set(mx.random.key(5))
    rng = np.random.default_rng(0)
    batch = [example(rng, rng.integers(3, 60, 4), n, 3) for n in (2, 5)]
    loss, grads = loss_and_gradients(model, batch, ALL)
    for recompute in ("experts", "layer"):
        again, grads_again = loss_and_gradients(model, batch, replace(ALL, recompute=recompute))
        assert again == pytest.approx(loss, rel=TOLERANCE)
        for name, grad in grads.items():
            assert relative_difference(grads_again[name], grad) < TOLERANCE, name


@pytest.mark.parametrize(("what", "most"), [("experts", 0.8), ("layer", 0.5)])
@pytest.mark.parametrize("plain", [False, True], ids=["packed", "plain"])
def test_recomputation_gives_the_same_gradients_in_less_memory(what, most, plain):
    import mlx.core as mx

    model = small_model(num_hidden_layers=8, hidden_size=64, intermediate_size=64)
    adapt(model, "all")
    rng = np.random.default_rng(0)
    batch = [example(rng, rng.integers(3, 60, 4), 60, n) for n in (30, 60, 90)]

    def measured(techniques):
        held = mx.get_active_memory()
        mx.reset_peak_memory()
        loss, grads = loss_and_gradients(model, batch, techniques)
        return loss, grads, mx.get_peak_memory() - held

    way = replace(ALL, packed=not plain)
    loss, grads, peak = measured(way)
    again, grads_again, less = measured(replace(way, recompute=what))
    assert again == pytest.approx(loss, rel=1e-6)
    assert less < most * peak
    for name, grad in grads.items():
        assert relative_difference(grads_again[name], grad) < 1e-6, name


@pytest.fixture(scope="module")
def peft_model(tmp_path_factory):
    """The same tiny model in transformers with PEFT's adapters, and ours with the same numbers."""
    torch = pytest.importorskip("torch")
    peft = pytest.importorskip("peft")
    from transformers import GraniteMoeConfig, GraniteMoeForCausalLM

    torch.manual_seed(0)
    config = small_config()
    theirs = GraniteMoeForCausalLM(GraniteMoeConfig(**config)).float().eval()
    path = tmp_path_factory.mktemp("granite")
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.mul_(10 if parameter.ndim > 1 else 1)
    theirs.save_pretrained(path)
    ours = loading.load_model(path, loading.read_config(path), precision="float32", quantize=None)
    adapt(ours, "attention")
    wanted = peft.LoraConfig(
        r=3, lora_alpha=6, lora_dropout=0.0, target_modules=["q_proj", "k_proj", "v_proj", "o_proj"]
    )
    theirs = peft.get_peft_model(theirs, wanted)
    arrays = {name: module for name, module in ours.named_modules() if hasattr(module, "lora_a")}
    with torch.no_grad():
        for name, module in arrays.items():
            layer = theirs.get_submodule(f"base_model.model.{name}")
            layer.lora_A["default"].weight.copy_(torch.from_numpy(np.array(module.lora_a).T))
            layer.lora_B["default"].weight.copy_(torch.from_numpy(np.array(module.lora_b).T))
    return torch, theirs, ours


def test_loss_and_gradients_equal_those_of_transformers_and_peft(peft_model):
    torch, theirs, ours = peft_model
    rng = np.random.default_rng(3)
    batch = [example(rng, rng.integers(3, 60, 5), n, r) for n, r in ((2, 4), (5, 1), (0, 7))]
    loss, grads = loss_and_gradients(ours, batch, ALL)
    theirs.zero_grad()
    total = torch.tensor(0.0)
    for one in batch:  # one at a time: no padding, no mask, nothing to get wrong
        logits = theirs(input_ids=torch.tensor(one.ids[None].astype(np.int64))).logits[0, :-1]
        targets = torch.tensor(one.ids[1:].astype(np.int64))
        start = one.reply_start - 1
        total = total + torch.nn.functional.cross_entropy(logits[start:], targets[start:], reduction="sum")
    total.backward()
    assert loss == pytest.approx(total.item(), rel=TOLERANCE)
    for name, grad in grads.items():
        path, which = name.rsplit(".", 1)
        layer = theirs.get_submodule(f"base_model.model.{path}")
        weight = (layer.lora_A if which == "lora_a" else layer.lora_B)["default"].weight
        assert relative_difference(grad, weight.grad.numpy().T) < 5 * TOLERANCE, name
