"""Every defect of mlx-lm 0.32.2's trainer that ours could have: the law it breaks, and that our test would see it.

Each :class:`Defect` has a law, which holds here, and a plant, which builds the same defect into our code; with it the
law has to fail. Where mlx-lm still has the defect in the open, the last tests show it there.
"""

import math
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from types import SimpleNamespace

import mlx.core as mx
import numpy as np
import pytest
from mlx.optimizers import SGD
from small_granite import VOCABULARY, adapt, small_model

from lendsafe.errors import DataError, RefusedError
from lendsafe.mlx_lora import tokens
from lendsafe.mlx_lora.config import LoraConfig, TrainConfig
from lendsafe.mlx_lora.exchange import adapter, targets
from lendsafe.mlx_lora.exchange.loading import load_tokenizer_of, resolve
from lendsafe.mlx_lora.runs import train as training
from lendsafe.mlx_lora.runs.parallel import Parallel
from lendsafe.mlx_lora.step import batches, gradient, recompute, update
from lendsafe.mlx_lora.step.layers import LoRALinear
from lendsafe.mlx_lora.step.techniques import Techniques
from lendsafe.mlx_lora.step.update import LossScale
from lendsafe.mlx_lora.tokens import Tokens
from lendsafe.records import Message

CONFIG = TrainConfig(
    batch_size=2, grad_accum=2, epochs=1, warmup_steps=0, dropout=0.0, clip_norm=0.0, learning_rate=0.1
)
TOKENIZER = load_tokenizer_of(resolve("granite-tiny"))
Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class Defect:
    """What mlx-lm does, the law against it, and how to do the same here."""

    what: str
    law: Callable[[], None]
    plant: Callable[[Patch], None]


def examples(count: int = 6) -> list[Tokens]:
    """Ragged: prompts of 3, replies of 1, 3, 5 ... tokens."""
    rng = np.random.default_rng(0)
    return [Tokens(rng.integers(3, VOCABULARY, 4 + 2 * n).astype(np.int32), 3) for n in range(count)]


def learned(rows: list[Tokens]) -> int:
    return sum(len(one) - one.reply_start for one in rows)


def run(rows: list[Tokens], config: TrainConfig = CONFIG, *, budget: int = 10**6, dropout: float = 0.0):
    """Steps of plain gradient descent, and the weights after them."""
    model = small_model()
    adapted = adapt(model, "all", dropout=dropout)
    task = training.Task(
        model=model,
        examples=rows,
        config=config,
        total=config.epochs * -(-len(rows) // config.window),
        keys=adapted.keys,
        budget=budget,
        techniques=Techniques(),
        parallel=Parallel(),
    )
    state = training.State(SGD(0.1), LossScale(value=1.0, enabled=False))
    steps, weights = [], [flat(model)]
    for step in training.train(task, state):
        steps.append(step)
        weights.append(flat(model))
    return steps, weights


def flat(model) -> np.ndarray:
    return np.concatenate([np.array(one).ravel() for one in targets.trainable_arrays(model).values()])


def loss_of(rows: list[Tokens]) -> float:
    model = small_model()
    adapt(model, "all")
    return training.mean_loss(model, rows, budget=10**6, techniques=Techniques(), parallel=Parallel())


# The laws.


def similar_lengths_share_a_micro_batch():
    parts = [[len(one) for one in part] for part in batches.micro_batches(examples()[::-1], 20)]
    assert all(max(a) <= min(b) for a, b in pairwise(parts))


def only_the_reply_and_its_end_mark_are_learned():
    messages = [Message("user", "Why?"), Message("assistant", "Your debt is high.")]
    reply = TOKENIZER.encode("Your debt is high.", add_special_tokens=False)
    made = tokens.encode(TOKENIZER, messages)
    assert made.ids[made.reply_start :].tolist() == [*reply, TOKENIZER.eos_token_id]


def an_epoch_learns_every_token_once():
    assert sum(step.learned for step in run(examples())[0]) == learned(examples())


def validation_counts_every_example():
    parts = [loss_of([one]) * learned([one]) for one in examples()]
    assert loss_of(examples()) == pytest.approx(sum(parts) / learned(examples()), rel=1e-5)


def the_gradient_does_not_depend_on_the_cut():
    moved = [w[-1] - w[0] for _, w in (run(examples(4)), run(examples(4), budget=8))]
    assert np.linalg.norm(moved[0] - moved[1]) < 1e-5 * np.linalg.norm(moved[0])


def the_last_short_window_moves_the_weights():
    steps, weights = run(examples())
    assert len(steps) == 2
    assert not np.array_equal(weights[1], weights[2])


def the_reported_loss_is_a_mean_over_tokens():
    (step,) = run(examples(4), budget=8)[0]
    assert step.loss == pytest.approx(loss_of(examples(4)), rel=1e-5)


def an_adapter_that_does_not_fit_is_refused():
    model = small_model()
    adapt(model, "all")
    found = adapter.arrays(model)
    found.pop(next(iter(found)))
    with pytest.raises(RefusedError):
        adapter.restore(model, found)


def removing_adapters_removes_all_of_them():
    model = small_model()
    prompt = mx.array([[5, 6, 7]])
    before = np.array(model(prompt))
    adapt(model, "all")
    targets.remove_adapters(model)
    np.testing.assert_array_equal(np.array(model(prompt)), before)


def a_prompt_that_leaves_no_room_is_refused():
    messages = [Message("user", "word " * 40), Message("assistant", "Your debt is high.")]
    with pytest.raises(DataError, match="raise --max-length"):
        tokens.encode(TOKENIZER, messages, 20)


def the_scale_is_alpha_over_rank():
    model = small_model()
    targets.add_adapters(model, LoraConfig(rank=4, alpha=8.0))
    assert {one.scale for one in targets.adapters(model).values()} == {2.0}


def recomputing_changes_no_class():
    model = small_model()
    kind = type(model.layers[0])
    call = kind.__call__
    with recompute.recomputed(model, "layer"):
        pass
    assert type(model.layers[0]) is kind
    assert kind.__call__ is call


def every_step_draws_dropout_anew():
    still = replace(CONFIG, learning_rate=0.0, epochs=2)
    one, other = run(examples(4), still, dropout=0.5)[0]
    assert one.loss != other.loss


def a_poisoned_gradient_changes_nothing():
    original = training.window_gradient

    def poisoned(*given):
        loss, grads = original(*given)
        return loss, training.tree_map(lambda g: g * math.nan, grads)

    with Patch.context() as patch:
        patch.setattr(training, "window_gradient", poisoned)
        (step,), weights = run(examples(4))
    assert step.skipped
    np.testing.assert_array_equal(weights[0], weights[1])


def the_gradient_is_clipped():
    _, weights = run(examples(4), replace(CONFIG, clip_norm=1e-3, learning_rate=1.0))
    assert np.linalg.norm(weights[1] - weights[0]) == pytest.approx(1e-3, rel=1e-3)


# The plants.


def count_the_keys_of_a_record(patch: Patch) -> None:
    original = batches.cut
    patch.setattr(
        batches, "cut", lambda lengths, *a, **k: original([1] * len(lengths), a[0] // 8, *a[1:], **k)
    )


def learn_what_follows_the_end_mark(patch: Patch) -> None:
    patch.setattr(tokens, "_after_end_mark", lambda tokenizer, ids, start: len(ids))


def drop_the_remainder(patch: Patch) -> None:
    original = training.windows
    patch.setattr(
        training,
        "windows",
        lambda count, size, *a: [(w if len(w) == size else w[:1]) for w in original(count, size, *a)],
    )


def drop_the_remainder_of_validation(patch: Patch) -> None:
    original = training.micro_batches
    patch.setattr(
        training, "micro_batches", lambda rows, *a, **k: original(rows[: len(rows) // 4 * 4 or 1], *a, **k)
    )


def average_the_averages(patch: Patch) -> None:
    original = gradient.Gradient.__call__

    def mean(self, batch, scale, key):
        return original(self, batch, scale / learned(batch), key)

    patch.setattr(gradient.Gradient, "__call__", mean)


def forget_the_trailing_micro_batches(patch: Patch) -> None:
    original, calls = training.Update.__call__, []

    def apply(self, loss, grads, **given):
        calls.append(1)
        return original(self, loss, grads, **given) if len(calls) == 1 else mx.zeros(2)

    patch.setattr(training.Update, "__call__", apply)


def report_the_mean_of_batch_means(patch: Patch) -> None:
    original = training.window_gradient

    def window_gradient(task, gradient, parts, *given):
        _, grads = original(task, gradient, parts, *given)
        means = [original(task, gradient, [one], *given)[0].item() / learned(one) for one in parts]
        return mx.array(sum(means) / len(means) * sum(map(learned, parts))), grads

    patch.setattr(training, "window_gradient", window_gradient)


def load_without_asking(patch: Patch) -> None:
    patch.setattr(
        adapter, "restore", lambda model, found: model.load_weights(list(found.items()), strict=False)
    )


def know_linear_layers_alone(patch: Patch) -> None:
    patch.setattr(
        targets,
        "adapters",
        lambda model: {path: one for path, one in model.named_modules() if isinstance(one, LoRALinear)},
    )


def cut_wherever(patch: Patch) -> None:
    original = tokens.encode

    def encode(tokenizer, messages, max_length=None):
        whole = original(tokenizer, messages)
        return Tokens(whole.ids[:max_length], whole.reply_start)

    patch.setattr(tokens, "encode", encode)


def scale_by_20(patch: Patch) -> None:
    patch.setattr(LoraConfig, "scale", property(lambda self: 20.0))


def patch_the_class(patch: Patch) -> None:
    @contextmanager
    def recomputed(model, what):
        kind = type(model.layers[0])
        patch.setattr(kind, "__call__", mx.checkpoint(kind.__call__))
        yield

    patch.setattr(recompute, "recomputed", recomputed)


def repeat_the_mask(patch: Patch) -> None:
    patch.setattr(training, "dropout_key", lambda *_: mx.random.key(0))


def trust_every_number(patch: Patch) -> None:
    patch.setattr(training, "math", SimpleNamespace(**vars(math) | {"isfinite": lambda _: True}))
    patch.setattr(update.mx, "isfinite", lambda _: mx.array(True))


def never_clip(patch: Patch) -> None:
    original = training.Update.__init__

    def init(self, *given, clip, **named):
        original(self, *given, clip=0.0, **named)

    patch.setattr(training.Update, "__init__", init)


DEFECTS = [
    Defect(
        "a length is the number of a record's keys, so nothing is sorted",
        similar_lengths_share_a_micro_batch,
        count_the_keys_of_a_record,
    ),
    Defect(
        "a token after the end mark is learned",
        only_the_reply_and_its_end_mark_are_learned,
        learn_what_follows_the_end_mark,
    ),
    Defect("the remainder of an epoch is dropped", an_epoch_learns_every_token_once, drop_the_remainder),
    Defect(
        "the remainder of validation is dropped",
        validation_counts_every_example,
        drop_the_remainder_of_validation,
    ),
    Defect(
        "accumulation takes a mean of means", the_gradient_does_not_depend_on_the_cut, average_the_averages
    ),
    Defect(
        "trailing micro-batches are discarded",
        the_last_short_window_moves_the_weights,
        forget_the_trailing_micro_batches,
    ),
    Defect(
        "the reported loss is a mean of batch means",
        the_reported_loss_is_a_mean_over_tokens,
        report_the_mean_of_batch_means,
    ),
    Defect("resuming hides what does not fit", an_adapter_that_does_not_fit_is_refused, load_without_asking),
    Defect(
        "removing adapters forgets the experts'",
        removing_adapters_removes_all_of_them,
        know_linear_layers_alone,
    ),
    Defect(
        "a cut example without a reply divides 0 by 0", a_prompt_that_leaves_no_room_is_refused, cut_wherever
    ),
    Defect("the scale is 20 unless a file says otherwise", the_scale_is_alpha_over_rank, scale_by_20),
    Defect("recomputation patches the class, for good", recomputing_changes_no_class, patch_the_class),
    Defect("compiled dropout repeats its mask", every_step_draws_dropout_anew, repeat_the_mask),
    Defect(
        "a gradient that is no number is applied", a_poisoned_gradient_changes_nothing, trust_every_number
    ),
    Defect("nothing is clipped", the_gradient_is_clipped, never_clip),
]
named = pytest.mark.parametrize("defect", DEFECTS, ids=lambda one: one.what)


@named
def test_ours_has_not(defect):
    defect.law()


@named
def test_planted_here_it_is_seen(defect, monkeypatch):
    defect.plant(monkeypatch)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        defect.law()


def still_there(theirs: bool) -> None:
    if not theirs:
        pytest.skip("mlx-lm has mended it: say so in README.md")


def test_theirs_takes_the_number_of_keys_for_a_length():
    from mlx_lm.tuner.datasets import CacheDataset

    class Rows(list):
        def process(self, row):
            return ([0] * row["n"], 0)

    rows = CacheDataset(Rows([{"n": 3}, {"n": 50}]))
    still_there(rows.itemlen(0) == rows.itemlen(1))


def test_theirs_learns_a_token_of_padding():
    from mlx_lm.tuner.trainer import default_loss

    model = small_model()
    padded = mx.array([[5, 6, 7, 8, 0, 0]])  # a prompt of 2 and a reply of 2 tokens
    _, count = default_loss(model, padded, mx.array([[2, 4]]))
    still_there(count.item() == 3)


def test_theirs_never_sees_the_remainder():
    from mlx_lm.tuner.trainer import iterate_batches

    rows = [([n + 3] * 4, 0) for n in range(6)]
    seen = {
        int(row[0])
        for batch, _ in iterate_batches(rows, batch_size=4, max_seq_length=64)
        for row in np.array(batch)
    }
    still_there(len(seen) == 4)
