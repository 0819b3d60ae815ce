"""Every example once an epoch, none dropped, whatever the sizes; 255 steps for the default recipe."""

import hashlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lendsafe.mlx_lora.config import TrainConfig
from lendsafe.mlx_lora.step.batches import cut, epoch_order, micro_batches, optimiser_steps, windows
from lendsafe.mlx_lora.tokens import Tokens


@given(st.integers(1, 60), st.integers(1, 20), st.integers(0, 99), st.integers(0, 5))
def test_every_example_is_in_exactly_one_window(count, window, seed, epoch):
    cut = windows(count, window, seed, epoch)
    assert sorted(i for one in cut for i in one) == list(range(count))
    assert all(len(one) == window for one in cut[:-1])
    assert 1 <= len(cut[-1]) <= window


def test_the_order_depends_on_seed_and_epoch():
    assert epoch_order(50, 1, 0) == epoch_order(50, 1, 0)
    assert epoch_order(50, 1, 0) != epoch_order(50, 1, 1) != epoch_order(50, 2, 1)


def test_the_order_of_five_is_known():
    """Any version of any library on any machine has to give this, or a resumed run sees other data."""

    by_hand = sorted(range(5), key=lambda i: hashlib.sha256(f"42/0/{i}".encode()).hexdigest())
    assert epoch_order(5, 42, 0) == by_hand


@given(st.lists(st.integers(2, 50), max_size=30), st.integers(1, 120), st.integers(1, 4))
def test_micro_batches_hold_every_example_and_keep_the_budget(lengths, budget, workers):
    parts = cut(lengths, budget, workers)
    assert sorted(i for part in parts for i in part) == list(range(len(lengths)))
    assert all(sum(lengths[i] for i in part) <= max(budget // workers, 1) or len(part) == 1 for part in parts)


@given(st.lists(st.integers(2, 50), min_size=1, max_size=30), st.integers(1, 120), st.integers(1, 4))
def test_similar_lengths_are_together_and_no_part_is_empty(lengths, budget, workers):
    parts = [[lengths[i] for i in part] for part in cut(lengths, budget, workers)]
    assert all(parts)
    assert [n for part in parts for n in part] == sorted(lengths)


def test_work_is_shared_evenly_by_hand():
    # 120 tokens, two workers: 10 + 20 + 30 against 60, in one round.
    assert cut([60, 10, 30, 20], 1000, 2) == [[1, 3, 2], [0]]
    assert cut([60, 10, 30, 20], 1000) == [[1, 3, 2, 0]]
    assert cut([5, 5], 1, 1) == [[0], [1]]


def test_micro_batches_are_the_cut_of_the_examples():
    examples = [Tokens(np.arange(n, dtype=np.int32), 1) for n in (9, 4, 6)]
    assert [[len(one) for one in batch] for batch in micro_batches(examples, 10)] == [[4, 6], [9]]


def test_the_default_recipe_takes_255_steps():
    config = TrainConfig()
    assert optimiser_steps(1350, config.window, config.epochs) == 255
