"""How fast is a training step, how much memory does it take, beside what a user would run instead?"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import mlx.core as mx

from bench import data, models
from bench.harness import Result, Series, alternate, gigabytes, save, table
from bench.trainers import MLXLM, PEFT, Ours, Setting, Trainer, same_losses
from lendsafe.mlx_lora import backend
from lendsafe.mlx_lora.config import TrainConfig
from lendsafe.mlx_lora.planning import footprint, plan
from lendsafe.mlx_lora.step.techniques import Techniques
from lendsafe.mlx_lora.tokens import Tokens

RECIPE_STEPS = 255
TOLERANCE = {"float32": 1e-5, "float16": 3e-3, "bfloat16": 2e-2}  # of the loss, between trainers
ABLATIONS: dict[str, Techniques] = {
    "all": Techniques(),
    "prefix not shared": Techniques(share_prefix=False),
    "gate last": Techniques(gate_first=False),
    "experts row by row": Techniques(group_experts=False),
    "last layer whole": Techniques(trim_last=False),
    "loss and gradient apart": Techniques(fuse_loss=False),
    "lengths not sorted": Techniques(sort_lengths=False),
    "one micro-batch at a time": Techniques(side_by_side=False),
    "the same, none prepared ahead": Techniques(side_by_side=False, ahead=False),
    "experts recomputed": Techniques(recompute="experts"),
    "layers recomputed": Techniques(recompute="layer"),
    "plain: padded, mlx-lm's layers": Techniques(packed=False),
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """What to measure.

    Attributes:
        model: Name of a shape, or of a model whose weights are read.
        random_weights: Whether the weights are drawn.
        config: Recipe; one window is ``batch_size`` times ``grad_accum`` examples.
        shared_prefix: Otherwise nothing is common to two examples.
        against: Other trainers: ``mlx-lm``, ``peft``.
        ours: Whether ours is measured too; else the others alone, in a process of their own.
        repetitions: Windows timed, after one to warm up.
    """

    model: str
    random_weights: bool
    config: TrainConfig
    shared_prefix: bool = True
    against: tuple[str, ...] = ("mlx-lm", "peft")
    ours: bool = True
    repetitions: int = 5

    def name(self, sizes: data.Sizes) -> str:
        """The case in words."""
        c = self.config
        parts = [self.model, models.precision_of(c)]
        parts += [f"base in {c.quantize} bits"] if c.quantize else []
        parts += [] if self.ours else ["without ours"]
        return f"{' '.join(parts)}, {c.batch_size} x {c.grad_accum}, {sizes}, dropout {c.dropout:g}"


def compare(case: Case, *, say: Callable[[str], None] = print) -> list[Result]:
    """Train ours and others on the same weights, adapters and windows, in turn."""
    setting, windows, sizes = prepare(case, say)
    techniques = Techniques(recompute=setting.config.recompute)
    trainers: list[Trainer] = [ours(setting, windows, techniques)] if case.ours else []
    trainers += [make(setting) for name, make in (("mlx-lm", MLXLM), ("peft", PEFT)) if name in case.against]
    losses = {one.name: one.loss(windows[0]) for one in trainers}
    same_losses(losses, TOLERANCE[models.precision_of(case.config)])
    say("same loss: " + ", ".join(f"{name} {loss:.6f}" for name, loss in losses.items()))
    return _measure(case, trainers, setting, windows, sizes, say, losses)


def ablate(case: Case, *, say: Callable[[str], None] = print) -> list[Result]:
    """Train ours with each technique switched off in turn."""
    setting, windows, sizes = prepare(case, say)
    trainers = [ours(setting, windows, techniques, name) for name, techniques in ABLATIONS.items()]
    losses = {one.name: one.loss(windows[0]) for one in trainers}
    same_losses(losses, TOLERANCE[models.precision_of(case.config)])
    return _measure(case, trainers, setting, windows, sizes, say, losses)


def prepare(case: Case, say: Callable[[str], None]) -> tuple[Setting, list[list[Tokens]], data.Sizes]:
    """Weights, windows, and what they amount to."""
    precision = models.precision_of(case.config)
    shape, weights = models.base(case.model, precision, random=case.random_weights)
    window = case.config.window
    made = data.examples(
        window * (case.repetitions + 1), vocabulary=shape["vocab_size"], shared_prefix=case.shared_prefix
    )
    sizes = data.Sizes.of(made)
    say(f"{case.name(sizes)}; {footprint.parameters(shape):,} parameters")
    return (
        Setting(shape, weights, case.config, models.dtype_of(precision)),
        data.in_windows(made, window),
        sizes,
    )


def ours(
    setting: Setting,
    windows: Sequence[Sequence[Tokens]],
    techniques: Techniques,
    name: str = "lendsafe",
) -> Ours:
    """Our trainer, with the token budget that the planner would choose if the recipe names none."""
    lengths = plan.of_examples([one for window in windows for one in window])
    chosen = plan.plan(setting.shape, setting.config, lengths, plan.this_machine(measure=False)).config
    return Ours(setting, windows, budget=chosen.token_budget or 1, techniques=techniques, name=name)


def _measure(
    case: Case,
    trainers: Sequence[Trainer],
    setting: Setting,
    windows: list[list[Tokens]],
    sizes: data.Sizes,
    say: Callable[[str], None],
    first_losses: Mapping[str, float],
) -> list[Result]:
    peaks: dict[str, list[tuple[int, int]]] = {one.name: [] for one in trainers}
    processor: dict[str, list[float]] = {one.name: [] for one in trainers}

    def timed(trainer: Trainer) -> Callable[[int], float]:
        def run(number: int) -> float:
            held = trainer.active_bytes()
            trainer.reset_peak()
            start, busy = time.perf_counter(), time.process_time()
            trainer.step(windows[number % len(windows)])
            seconds = time.perf_counter() - start
            processor[trainer.name].append(time.process_time() - busy)
            peaks[trainer.name].append((trainer.peak_bytes(), held))
            return seconds

        return run

    dtype = setting.dtype
    matmul, bandwidth = matmul_rate(dtype), copy_bandwidth(dtype)
    series = alternate({one.name: timed(one) for one in trainers}, repetitions=case.repetitions, say=say)
    window = case.config.window
    flops = useful_flops(setting, windows[0])
    results = []
    for one in trainers:
        s = series[one.name]
        known = peaks[one.name][-1][0] > 0
        facts: dict[str, float | None] = {
            "examples_per_second": window / s.median,
            "tokens_per_second": sizes.tokens / sizes.examples * window / s.median,
            "supervised_tokens_per_second": sizes.learned / sizes.examples * window / s.median,
            "p95_seconds": s.p95,
            "processor_seconds": statistics.median(processor[one.name][-case.repetitions :]),
            "first_loss": first_losses[one.name],
            "recipe_seconds": RECIPE_STEPS * s.median * 16 / window,
            "peak_bytes": max(peak for peak, _ in peaks[one.name]) if known else None,
            "above_weights_bytes": max(peak - held for peak, held in peaks[one.name]) if known else None,
            "roofline_share": flops / s.median / matmul,
            "matmul_flops": matmul,
            "copy_bytes_per_second": bandwidth,
        }
        results.append(Result("train", case.name(sizes), one.name, "s per optimiser step", s, facts))
    return results


def useful_flops(setting: Setting, window: Sequence[Tokens]) -> float:
    """Operations that a window asks for when nothing is computed twice: the same for every trainer."""
    lengths, machine = plan.of_examples(window), plan.this_machine(measure=False)
    whole = replace(setting.config, token_budget=None, recompute="none")
    batches = plan.micro_batches(whole, lengths, replace(machine, workers=1), window=range(len(window)))
    return footprint.step_flops(setting.shape, whole, batches)


def matmul_rate(dtype: mx.Dtype, size: int = 2048) -> float:
    """Rate of a square product in FLOP/s, the best of five."""
    return 2 * size**3 / _best(lambda: mx.ones((size, size), dtype) @ mx.ones((size, size), dtype))


def copy_bandwidth(dtype: mx.Dtype, numbers: int = 1 << 24) -> float:
    """Bytes read and written a second by an addition, the best of five."""
    x = mx.ones((numbers,), dtype)
    mx.eval(x)
    return 2 * x.nbytes / _best(lambda: x + 1)


def _best(make: Callable[[], mx.array]) -> float:
    times = []
    for _ in range(6):
        start = time.perf_counter()
        mx.eval(make())
        times.append(time.perf_counter() - start)
    return min(times[1:])


def rows(results: Sequence[Result]) -> str:
    """Table of one comparison or ablation; ratios against the first system."""
    first = results[0]
    head = [
        "",
        "step, s",
        "p95",
        "examples/s",
        "tokens/s",
        "supervised/s",
        "time against it",
        "peak",
        "above weights",
    ]
    head += ["255 steps", "of the roofline", "processor s"]
    body = []
    for one in results:
        f: Mapping[str, Any] = one.facts
        body.append(
            [
                one.system,
                one.series.text(),
                f"{f['p95_seconds']:.3g}",
                f"{f['examples_per_second']:.3g}",
                f"{f['tokens_per_second']:,.0f}",
                f"{f['supervised_tokens_per_second']:,.0f}",
                "" if one is first else times(first.series, one.series),
                gigabytes(f["peak_bytes"]),
                gigabytes(f["above_weights_bytes"]),
                f"{f['recipe_seconds'] / 60:.1f} min",
                f"{f['roofline_share']:.0%}",
                f"{f['processor_seconds']:.3g}" if "processor_seconds" in f else "",
            ]
        )
    return table([head, *body])


def short_rows(results: Sequence[Result]) -> str:
    """The same in a few columns."""
    first = results[0]
    body = [
        [
            one.system,
            one.series.text(),
            f"{one.facts['examples_per_second']:.3g}",
            "" if one is first else times(first.series, one.series),
            gigabytes(one.facts["above_weights_bytes"]),
        ]
        for one in results
    ]
    return table([["", "step of 16, s", "examples/s", "time against ours", "memory above weights"], *body])


def times(first: Series, other: Series) -> str:
    """How many times as long the other takes, repetition by repetition, since they alternated."""
    each = sorted(b / a for a, b in zip(first.values, other.values, strict=True))
    return Series(tuple(each)).text() + " x"


def run(case: Case, *, ablation: bool, say: Callable[[str], None] = print) -> list[Result]:
    """Measure, print the table, keep the results."""
    results = (ablate if ablation else compare)(case, say=say)
    say(
        f"\n{results[0].machine}; load, the measurement included: {results[0].machine.load} cores\n\n{rows(results)}"
    )
    kind = "ablation" if ablation else "train"
    path = save([replace(one, bench=kind) for one in results])
    say(f"\n{path}")
    backend.synchronize()
    return results
