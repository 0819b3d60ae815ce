"""What an optimiser step must do. SGD where the size of the gradient matters: Adam forgives a constant factor."""

import math
from dataclasses import replace
from itertools import islice

import mlx.core as mx
import mlx.nn as mlx_nn
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mlx.optimizers import SGD
from mlx.utils import tree_flatten, tree_map, tree_map_with_path
from small_granite import VOCABULARY, adapt, loss_and_gradients, small_model

from lendsafe.errors import ConfigError
from lendsafe.mlx_lora.config import TrainConfig
from lendsafe.mlx_lora.exchange.targets import trainable_arrays
from lendsafe.mlx_lora.runs.parallel import Parallel
from lendsafe.mlx_lora.runs.train import (
    State,
    Task,
    learning_rate,
    mean_loss,
    new_state,
    train,
    window_gradient,
)
from lendsafe.mlx_lora.step.batches import micro_batches
from lendsafe.mlx_lora.step.gradient import Gradient
from lendsafe.mlx_lora.step.loss import loss_sum
from lendsafe.mlx_lora.step.techniques import Techniques
from lendsafe.mlx_lora.step.update import LARGEST, LossScale, Update
from lendsafe.mlx_lora.tokens import Tokens

CONFIG = TrainConfig(batch_size=2, grad_accum=2, epochs=2, warmup_steps=2, dropout=0.0, seed=7)


def rows(count: int, seed: int = 0, reply: int | None = None) -> list[Tokens]:
    """Ragged examples: replies of 1 to 12 tokens."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        prompt, answer = int(rng.integers(2, 15)), reply or int(rng.integers(1, 13))
        found.append(Tokens(rng.integers(1, VOCABULARY, prompt + answer).astype(np.int32), prompt))
    return found


def task(
    examples: list[Tokens], config: TrainConfig = CONFIG, *, budget: int = 10**6, dropout: float = 0.0
) -> Task:
    model = small_model()
    adapted = adapt(model, "all", dropout=dropout)
    return Task(
        model=model,
        examples=examples,
        config=config,
        total=config.epochs * -(-len(examples) // config.window),
        keys=adapted.keys,
        budget=budget,
        techniques=Techniques(),
        parallel=Parallel(),
    )


def sgd_state() -> State:
    return State(SGD(0.1), LossScale(value=1.0, enabled=False))


def weights(one: Task) -> dict[str, np.ndarray]:
    return {name: np.array(array) for name, array in trainable_arrays(one.model).items()}


def relative_difference(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> float:
    apart = sum(float(((a[k] - b[k]) ** 2).sum()) for k in a)
    return math.sqrt(apart / sum(float((a[k] ** 2).sum()) for k in a))


@settings(deadline=None, max_examples=12)
@given(st.integers(1, 120), st.integers(0, 50))
def test_the_step_is_the_same_however_the_window_is_cut(budget, seed):
    examples = rows(4, seed)
    start = weights(task(examples))
    whole, cut = task(examples), task(examples, budget=budget)
    config = replace(CONFIG, clip_norm=0.0, learning_rate=0.1, warmup_steps=0, epochs=1)
    losses = []
    for one in (whole, cut):
        one = replace(one, config=config, total=1)
        losses += [step.loss for step in train(one, sgd_state())]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    moved = [{k: weights(one)[k] - start[k] for k in start} for one in (whole, cut)]
    assert relative_difference(moved[0], moved[1]) < 1e-5


def test_the_window_gradient_is_not_a_mean_of_means():
    """One reply of 1 token and one of 12: each token weighs the same, not each example."""
    examples = [rows(1, seed=1, reply=1)[0], rows(1, seed=2, reply=12)[0]]
    config = replace(CONFIG, batch_size=1, grad_accum=2, epochs=1)
    one = task(examples, config, budget=1)
    (step,) = train(one, sgd_state())
    model = small_with_adapters()
    plain = Techniques(packed=False)
    parts = [mean_loss(model, [e], budget=10**6, techniques=plain, parallel=Parallel()) for e in examples]
    assert step.loss == pytest.approx((parts[0] * 1 + parts[1] * 12) / 13, rel=1e-5)


def small_with_adapters():
    model = small_model()
    adapt(model, "all")
    return model


def test_the_last_short_window_is_applied():
    examples = rows(6)
    one = task(examples)
    steps = list(train(one, new_state(CONFIG, mx.float32)))
    assert len(steps) == 4  # 6 examples, windows of 4, 2 epochs
    counts = [step.learned for step in steps]
    total = sum(len(e.ids) - e.reply_start for e in examples)
    assert counts[0] + counts[1] == counts[2] + counts[3] == total


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_the_same_seed_gives_the_same_bits(dropout):
    results = []
    for _ in range(2):
        one = task(rows(6), dropout=dropout)
        losses = [step.loss for step in train(one, new_state(CONFIG, mx.float32))]
        results.append((losses, weights(one)))
    assert results[0][0] == results[1][0]
    assert all(np.array_equal(results[0][1][k], results[1][1][k]) for k in results[0][1])


def test_dropout_is_drawn_anew_at_every_step():
    examples = rows(4)
    one = task(examples, replace(CONFIG, learning_rate=0.0, epochs=2), dropout=0.5)
    losses = [step.loss for step in train(one, new_state(one.config, mx.float32))]
    assert losses[0] != losses[1]
    plain = task(examples, replace(CONFIG, learning_rate=0.0, epochs=2))
    losses = [step.loss for step in train(plain, new_state(plain.config, mx.float32))]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_the_schedule_warms_up_to_the_peak_and_decays_towards_zero():
    config = TrainConfig()
    rates = [learning_rate(config, done, 255) for done in range(255)]
    assert rates[0] == pytest.approx(2e-6)
    assert rates[99] == rates[100] == 2e-4
    assert rates[254] == pytest.approx(2e-4 / 155)
    assert np.allclose(np.diff(rates[:100]), 2e-6)
    assert np.allclose(np.diff(rates[100:]), -2e-4 / 155)


def test_the_gradient_is_clipped_to_the_norm():
    examples = rows(4)
    start = weights(task(examples))
    config = replace(CONFIG, clip_norm=1e-3, learning_rate=1.0, warmup_steps=0, epochs=1)
    one = task(examples, config)
    (step,) = train(one, sgd_state())
    moved = {k: weights(one)[k] - start[k] for k in start}
    assert step.grad_norm > 1e-3
    norm = math.sqrt(sum(float((v**2).sum()) for v in moved.values()))
    assert norm == pytest.approx(1e-3 * step.learning_rate, rel=1e-3)


def test_adamw_is_pytorchs():
    """Twenty steps on the same gradients, weight decay and bias correction included."""
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=(5, 3)), rng.normal(size=(20, 5, 3))
    state = new_state(replace(CONFIG, weight_decay=0.1, learning_rate=1e-2), mx.float32)
    ours = {"w": mx.array(start.astype(np.float32))}
    theirs = torch.nn.Parameter(torch.tensor(start, dtype=torch.float32))
    reference = torch.optim.AdamW([theirs], lr=1e-2, weight_decay=0.1)
    for gradient in gradients:
        ours = state.optimizer.apply_gradients({"w": mx.array(gradient.astype(np.float32))}, ours)
        theirs.grad = torch.tensor(gradient, dtype=torch.float32)
        reference.step()
    assert np.allclose(np.array(ours["w"]), theirs.detach().numpy(), atol=1e-6)


def poison(one: Task) -> None:
    """Put a NaN into a base weight."""
    layer = one.model.model.layers[0].input_layernorm
    layer.weight = mx.full(layer.weight.shape, math.nan)


def test_a_step_that_is_not_finite_changes_nothing_and_is_counted():
    one = task(rows(4))
    state = new_state(CONFIG, mx.float32)
    before = weights(one)
    poison(one)
    steps = list(train(one, state))
    assert all(step.skipped for step in steps)
    assert all(np.array_equal(before[k], weights(one)[k]) for k in before)
    assert int(state.optimizer.state.get("step", mx.array(0)).item()) == 0


def test_the_loss_scale_halves_after_a_bad_step_and_doubles_after_a_hundred_good_ones():
    scale = LossScale()
    scale.update(finite=False)
    assert scale.value == 512
    for _ in range(99):
        scale.update(finite=True)
    assert scale.value == 512
    scale.update(finite=True)
    assert scale.value == 1024


def test_the_loss_scale_changes_nothing_in_float32():
    moved = []
    for value in (1.0, 4096.0):
        one = task(rows(4))
        start = weights(one)
        state = State(SGD(0.1), LossScale(value=value))
        next(train(one, state))
        moved.append({k: weights(one)[k] - start[k] for k in start})
    assert relative_difference(*moved) < 1e-5


def test_half_precision_underflows_without_a_scale_and_not_with_it():
    """Gradients of Granite's logits (vocabulary 49,155, division by 6): a mean over 1,024 tokens, a scaled sum."""
    logits = mx.random.normal((64, 49155), key=mx.random.key(0)) * 2.5
    targets = mx.argmax(logits + mx.random.normal(logits.shape, key=mx.random.key(1)), axis=-1)

    def gradient(factor: float) -> mx.array:
        probabilities = mx.softmax(logits / 6, axis=-1)
        one_hot = mx.arange(logits.shape[1])[None] == targets[:, None]
        return (probabilities - one_hot) / 6 * factor

    exact = gradient(1.0)
    mean = gradient(1 / 1024).astype(mx.float16).astype(mx.float32) * 1024
    scaled = gradient(1024.0).astype(mx.float16).astype(mx.float32) / 1024
    lost = float((mean == 0).mean().item())
    assert lost > 0.9
    assert float((scaled == 0).mean().item()) < 1e-3
    error = mx.abs(scaled - exact).sum() / mx.abs(exact).sum()
    assert float(error.item()) < 1e-3


def test_it_learns():
    config = replace(CONFIG, epochs=40, learning_rate=2e-2, warmup_steps=5)
    losses = [step.loss for step in train(task(rows(4), config), new_state(config, mx.float32))]
    assert losses[-1] < 0.5 * losses[0]


def test_the_windows_gradient_is_that_of_one_big_batch_to_1e_6():
    """Ragged replies; against plain autograd on one padded batch, divided once by the tokens learned."""
    examples = rows(4, seed=3)
    one = task(examples)
    reference, expected = loss_and_gradients(one.model, examples, Techniques(packed=False))
    gradient = Gradient(one.model, one.keys, one.techniques)
    for budget in (1, 20, 10**6):
        loss, grads = window_gradient(one, gradient, micro_batches(examples, budget), 0, mx.array(1.0))
        assert loss.item() == pytest.approx(reference, rel=1e-6)
        got = {name: np.array(grad) for name, grad in tree_flatten(grads)}
        assert relative_difference(got, expected) < 1e-6


def test_no_global_generator_is_read_or_moved():
    results = []
    for seed in (1, 2):
        one = task(rows(6), dropout=0.3)
        mx.random.seed(seed)
        list(train(one, new_state(CONFIG, mx.float32)))
        drawn = mx.random.normal((3,))
        mx.random.seed(seed)
        assert mx.array_equal(drawn, mx.random.normal((3,)))
        results.append(weights(one))
    assert all(np.array_equal(results[0][k], results[1][k]) for k in results[0])


def half_precision_gradients(dtype: mx.Dtype, factor: float) -> dict[str, np.ndarray]:
    """Adapters' gradients of a Granite with its vocabulary and its division of logits by 6, unscaled."""
    sizes = {"vocab_size": 49155, "hidden_size": 64, "num_hidden_layers": 3}
    multipliers = {"logits_scaling": 6.0, "residual_multiplier": 0.22, "embedding_multiplier": 12.0}
    model = small_model("granite", **sizes, **multipliers)
    adapt(model, "attention")
    model.update(
        tree_map_with_path(lambda name, a: a if "lora" in name else a.astype(dtype), model.parameters())
    )
    rng = np.random.default_rng(0)
    batch = [Tokens(rng.integers(3, 49155, 24).astype(np.int32), 12) for _ in range(2)]
    grads = mlx_nn.value_and_grad(model, lambda: loss_sum(model, batch, Techniques()) * factor)()[1]
    return {name: np.array(grad) / factor for name, grad in tree_flatten(grads)}


def test_granites_gradients_underflow_in_fp16_without_the_scale_and_match_fp32_with_it():
    """A mean over a window of 1,280 or 10,240 tokens, as others take it, against our scaled sum."""
    exact = half_precision_gradients(mx.float32, 1.0)

    def error(factor: float) -> float:
        return relative_difference(half_precision_gradients(mx.float16, factor), exact)

    assert error(1 / 1280) > 0.01
    assert error(1 / 10240) > 0.05
    assert error(LossScale().value) < 1e-3
    assert error(LARGEST) < 1e-3


WAYS = {
    "late": Techniques(late=True),
    "rounded up": Techniques(buckets=True),
    "compiled": Techniques(compiled=True, side_by_side=False),
    "as on a GPU": Techniques(late=True, buckets=True, compiled=True, side_by_side=False),
    "padded, as on a GPU": Techniques(
        packed=False, late=True, buckets=True, compiled=True, side_by_side=False
    ),
}


def course(techniques: Techniques, *, stop: int | None = None, dropout: float = 0.0) -> tuple:
    one = replace(task(rows(10, seed=2), dropout=dropout), techniques=techniques)
    state = new_state(CONFIG, mx.float32)
    steps = list(islice(train(one, state), stop))
    return [step.loss for step in steps], [step.grad_norm for step in steps], weights(one), one, state


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_a_run_is_the_same_however_it_is_computed(way):
    plain_losses, plain_norms, plain, *_ = course(Techniques(side_by_side=False))
    losses, norms, moved, *_ = course(way)
    assert losses == pytest.approx(plain_losses, rel=2e-5)
    assert norms == pytest.approx(plain_norms, rel=2e-3)
    assert relative_difference(moved, plain) < 1e-3  # Adam divides small differences by small gradients


@pytest.mark.parametrize("stop", [1, 2, 4, 5])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_late_reads_leave_the_state_of_the_step_that_was_yielded(stop, dropout):
    """The next window's gradient is under way: dropped where the caller stops, and a run goes on from there exactly."""
    whole = course(Techniques(late=True), dropout=dropout)
    *_, moved, one, state = course(Techniques(late=True), stop=stop, dropout=dropout)
    early = course(Techniques(late=False), stop=stop, dropout=dropout)
    assert state.step == stop
    assert int(state.optimizer.state["step"].item()) == stop
    assert all(np.array_equal(moved[k], early[2][k]) for k in moved)
    rest = [step.loss for step in train(one, state)]
    assert rest == whole[0][stop:]
    assert all(np.array_equal(weights(one)[k], whole[2][k]) for k in moved)


@pytest.mark.parametrize("late", [False, True])
def test_a_step_reads_once_and_late_ones_never_wait_otherwise(late, monkeypatch):
    from lendsafe.mlx_lora.runs import train as training
    from lendsafe.mlx_lora.step import workers

    one = replace(task(rows(10)), techniques=Techniques(late=late, side_by_side=False))
    state, reads, waits = new_state(CONFIG, mx.float32), [], []
    monkeypatch.setattr(training, "read", lambda array: reads.append(1) or array.tolist())
    for module in (training, workers):
        monkeypatch.setattr(module.mx, "eval", lambda *trees: waits.append(1))
    assert len(list(train(one, state))) == len(reads) == 6
    assert bool(waits) is not late


def test_the_scale_on_the_device_is_the_one_on_the_host():
    """A bad step, then good ones: both halve and double at the same steps."""
    one = task(rows(4))
    scale = LossScale(value=1024.0)
    update = Update(one.model, SGD(0.0), scale, clip=0.0, compiled=False)
    grads = tree_map(mx.zeros_like, one.model.trainable_parameters())
    for step in range(210):
        loss = mx.array(math.nan if step in (3, 5) else 1.0)
        update(loss, grads, learned=1, rate=0.0)
        scale.update(finite=step not in (3, 5))
        assert update.scale.item() == scale.value, step
    assert scale.value == 1024.0


def test_an_infinite_gradient_leaves_moments_and_their_count_alone():
    one = task(rows(4))
    state = new_state(CONFIG, mx.float32)
    update = Update(one.model, state.optimizer, state.scale, clip=1.0, compiled=True)
    good = tree_map(mx.ones_like, one.model.trainable_parameters())
    update(mx.array(1.0), good, learned=4, rate=1e-2)
    before = {k: np.array(v) for k, v in tree_flatten(state.optimizer.state)}
    held = weights(one)
    update(mx.array(1.0), tree_map(lambda g: g * math.inf, good), learned=4, rate=1e-2)
    after = {k: np.array(v) for k, v in tree_flatten(state.optimizer.state)}
    assert all(np.array_equal(before[k], after[k]) for k in before)
    assert all(np.array_equal(held[k], weights(one)[k]) for k in held)
    update(mx.array(1.0), good, learned=4, rate=1e-2)
    assert not all(np.array_equal(held[k], weights(one)[k]) for k in held)


def test_the_default_data_have_few_shapes_when_rounded_up():
    """85 windows of 16 of the recipe's 1,350 examples; each would have a shape of its own."""
    import sys
    from pathlib import Path

    from lendsafe.mlx_lora.step import layout
    from lendsafe.mlx_lora.step.batches import windows

    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from bench import data

    made = data.examples(1350, vocabulary=49155)
    order = windows(1350, 16, 42, 0)

    def extents(*, rounded: bool) -> list[layout.Extent]:
        return [layout.packed([made[i] for i in one], rounded=rounded).extent for one in order]

    exact, rounded = extents(rounded=False), extents(rounded=True)
    assert len(exact) == 85
    assert len(set(exact)) >= 80
    assert len(set(rounded)) <= 10
    assert sum(one.tokens for one in rounded) < 1.05 * sum(one.tokens for one in exact)


def test_the_warm_up_of_a_short_run_is_a_tenth_of_it_and_the_recipes_is_the_recipes():
    config = TrainConfig()
    assert [config.warmup(total) for total in (5, 41, 254, 255, 1000)] == [0, 4, 25, 100, 100]
    assert TrainConfig(warmup_ratio=0.5).warmup(8) == 4
    assert TrainConfig(warmup_steps=7).warmup(8) == 7
    with pytest.raises(ConfigError, match="say the same"):
        TrainConfig(warmup_steps=7, warmup_ratio=0.5)


@pytest.mark.parametrize(
    ("schedule", "middle", "last"), [("linear", 0.5, 0.1), ("cosine", 0.5, 0.0245), ("constant", 1.0, 1.0)]
)
def test_schedules(schedule, middle, last):
    config = TrainConfig(schedule=schedule, warmup_steps=2, learning_rate=1.0)
    rates = [learning_rate(config, done, 12) for done in range(12)]
    assert rates[:3] == [0.5, 1.0, 1.0]
    assert rates[7] == pytest.approx(middle)
    assert rates[11] == pytest.approx(last, abs=1e-3)
