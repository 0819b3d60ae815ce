"""Computing micro-batches side by side changes nothing but the order of additions."""

from types import SimpleNamespace

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_granite import adapt, example, relative_difference, small_model

from lendsafe.mlx_lora.config import TrainConfig
from lendsafe.mlx_lora.exchange.loading import named_arrays
from lendsafe.mlx_lora.runs.train import Task, window_gradient
from lendsafe.mlx_lora.step.batches import micro_batches
from lendsafe.mlx_lora.step.gradient import Gradient
from lendsafe.mlx_lora.step.techniques import Techniques
from lendsafe.mlx_lora.step.workers import summed


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=7), st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_the_sum_is_that_of_all_items_each_with_its_number(items, workers):
    total = summed(lambda number, item: {"x": mx.array(float(item * 10 + number))}, items, workers)
    assert total["x"].item() == sum(item * 10 + number for number, item in enumerate(items))


def test_an_error_in_a_worker_reaches_the_caller():
    with pytest.raises(ZeroDivisionError):
        summed(lambda number, _: mx.array(1 / (number - 2)), range(4), 2)


@pytest.fixture(scope="module")
def task():
    model = small_model()
    keys = adapt(model, "all", dropout=0.3).keys
    rng = np.random.default_rng(0)
    window = [example(rng, np.array([5, 6, 7]), int(n), int(r)) for n, r in rng.integers(1, 7, (8, 2))]
    parallel = SimpleNamespace(size=1, rank=0, sum=lambda tree: tree)

    def gradients(workers: int, recompute: str = "none") -> dict[str, np.ndarray]:
        techniques = Techniques(recompute=recompute, side_by_side=workers > 1)
        made = Task(
            model=model,
            examples=window,
            config=TrainConfig(dropout=0.3),
            total=1,
            keys=keys,
            budget=10_000,
            techniques=techniques,
            parallel=parallel,
        )
        batches = micro_batches(window, 30, 2)
        gradient = Gradient(model, keys, techniques)
        _, grads = window_gradient(made, gradient, batches, 0, mx.array(1.0))
        return {name: np.array(one) for name, one in named_arrays(grads).items()}

    return gradients


@pytest.mark.parametrize("recompute", ["none", "layer"])
def test_gradients_are_those_of_one_worker_dropout_and_recomputation_included(task, recompute, monkeypatch):
    monkeypatch.setattr("lendsafe.mlx_lora.backend.workers", lambda: 2)
    alone, together = task(1, recompute), task(2, recompute)
    for name, grad in alone.items():
        assert relative_difference(together[name], grad) < 1e-5, name


def test_the_same_bits_every_time(task, monkeypatch):
    monkeypatch.setattr("lendsafe.mlx_lora.backend.workers", lambda: 3)
    first, second = task(3), task(3)
    assert all((first[name] == second[name]).all() for name in first)
