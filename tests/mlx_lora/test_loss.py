"""The loss is a sum over the replies' tokens, whatever computes it."""

import math

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_granite import VOCABULARY, adapt, batches, example, loss_and_gradients, small_model

from lendsafe.mlx_lora import backend
from lendsafe.mlx_lora.step import loss
from lendsafe.mlx_lora.step.techniques import Techniques

quick = settings(max_examples=20, deadline=None, derandomize=True)


@quick
@given(batch=batches())
def test_every_token_of_a_reply_is_counted_and_nothing_else(batch):
    assert loss.learned_tokens(batch) == sum(len(one.ids[one.reply_start :]) for one in batch)


def test_a_model_that_knows_nothing_loses_the_logarithm_of_the_vocabulary_for_each_token():
    model = small_model()
    model.model.norm.weight = mx.zeros_like(model.model.norm.weight)  # all logits equal
    batch = [example(np.random.default_rng(0), np.array([5, 6]), n, 3) for n in (1, 4)]
    for techniques in (Techniques(), Techniques(packed=False)):
        assert loss.loss_sum(model, batch, techniques).item() == pytest.approx(6 * math.log(VOCABULARY))


@quick
@given(batch=batches())
def test_the_loss_of_a_batch_is_the_sum_of_the_losses_of_its_examples(batch):
    model = small_model()
    whole = loss.loss_sum(model, batch, Techniques()).item()
    each = [loss.loss_sum(model, [one], Techniques(packed=False)).item() for one in batch]
    assert whole == pytest.approx(sum(each), rel=1e-5)


@pytest.mark.parametrize("techniques", [Techniques(), Techniques(fuse_loss=False)], ids=["fused", "plain"])
@pytest.mark.parametrize("rows", [1, 2, 5])
def test_projecting_to_the_vocabulary_in_chunks_changes_nothing(rows, techniques, monkeypatch):
    model = small_model()
    adapt(model, "attention")
    batch = [example(np.random.default_rng(0), np.array([5, 6]), n, 4) for n in (1, 4)]
    whole, grads = loss_and_gradients(model, batch, techniques)
    monkeypatch.setattr(backend, "logit_rows", lambda _, cpu: rows)
    chunked, chunked_grads = loss_and_gradients(model, batch, techniques)
    assert chunked == pytest.approx(whole, rel=1e-6)
    for name, grad in grads.items():
        np.testing.assert_allclose(chunked_grads[name], grad, rtol=1e-4, atol=1e-5)


@quick
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 5), shift=st.floats(-50, 50))
def test_cross_entropy_depends_only_on_the_gaps_between_logits(seed, rows, shift):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(rows, 7)).astype(np.float32)
    targets = mx.array(rng.integers(0, 7, rows).astype(np.int32))
    plain = np.array(loss.cross_entropy(mx.array(logits), targets))
    shifted = np.array(loss.cross_entropy(mx.array(logits + np.float32(shift)), targets))
    np.testing.assert_allclose(shifted, plain, atol=1e-4)


def test_cross_entropy_by_hand():
    # Logits ln 1 and ln 3: probabilities 1/4 and 3/4.
    logits = mx.log(mx.array([[1.0, 3.0], [1.0, 3.0]]))
    got = loss.cross_entropy(logits, mx.array([0, 1]))
    np.testing.assert_allclose(np.array(got), [math.log(4), math.log(4 / 3)], rtol=1e-6)


def test_half_precision_logits_are_reduced_in_float32():
    logits = mx.random.normal((3, 5000), key=mx.random.key(0)).astype(mx.float16)
    got = loss.cross_entropy(logits, mx.array([0, 1, 2]))
    wide = loss.cross_entropy(logits.astype(mx.float32), mx.array([0, 1, 2]))
    assert got.dtype == mx.float32
    np.testing.assert_allclose(np.array(got), np.array(wide), rtol=1e-6)
