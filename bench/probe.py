"""Questions that reading MLX's sources left open, asked of the device at hand; on a CPU the same questions, small.

Each answer is one line; none of them changes anything. ``python -m bench probe`` prints and keeps them.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.harness import Result, Series, save
from lendsafe.mlx_lora import backend
from lendsafe.mlx_lora.step import kernels
from lendsafe.mlx_lora.step.layers import Blocks, grouped_matmul

import mlx.core as mx  # isort: skip  # after OpenBLAS

REPETITIONS = 5


@dataclass(frozen=True)
class Sizes:
    """Of the products that are timed: Granite 3.1 3B's on a GPU.

    Attributes:
        rows: Tokens.
        hidden: D.
        inner: I.
        experts: E.
        chosen: K.
        dtype: Of activations.
    """

    rows: int
    hidden: int
    inner: int
    experts: int
    chosen: int
    dtype: mx.Dtype


def sizes() -> Sizes:
    """What this back end can compute in a moment."""
    if backend.name() == "cpu":
        return Sizes(128, 64, 32, 8, 2, mx.float32)
    return Sizes(4096, 1536, 512, 40, 8, mx.float16)


def run(*, say: Callable[[str], None] = print) -> list[Result]:
    """Ask all, print, keep."""
    results = []
    for question in (few_queries, views, blocks, restored, compiled_kernels, precisions, hosts_wait):
        try:
            for name, value, unit in question():
                say(f"{question.__name__}: {name}: {value:.4g} {unit}")
                results.append(Result("probe", question.__name__, name, unit, Series((value,))))
        except (RuntimeError, ValueError) as problem:
            say(f"{question.__name__}: failed: {' '.join(str(problem).split())[:200]}")
    say(f"\n{save(results)}")
    return results


Answers = list[tuple[str, float, str]]


def few_queries() -> Answers:
    """Does attention of so many queries at head size 64 have a gradient? 1 if it has, 0 if it throws."""
    found: Answers = []
    for count in (4, 8, 16, 128):
        q, k = mx.ones((1, 4, count, 64), sizes().dtype), mx.ones((1, 2, count + 32, 64), sizes().dtype)

        def loss(q: mx.array, k: mx.array = k) -> mx.array:
            out = mx.fast.scaled_dot_product_attention(q, k, k, scale=0.125, mask="causal")
            return out.astype(mx.float32).sum()

        try:
            mx.eval(mx.grad(loss)(q))
            works = 1.0
        except (RuntimeError, ValueError):
            works = 0.0
        found.append((f"{count} queries", works, "works"))
    return found


def views() -> Answers:
    """How far is a grouped product by views of a joined tensor from one by copies, relative?"""
    s = sizes()
    joined = mx.random.normal((s.experts, 2 * s.inner, s.hidden), s.dtype, key=mx.random.key(0)) * 0.02
    mx.eval(joined)
    gate = mx.split(joined, 2, axis=1)[0]
    mx.eval(gate)
    x, way = _rows(s, 1)
    seen = grouped_matmul(x, gate, way).astype(mx.float32)
    copied = grouped_matmul(x, mx.contiguous(gate), way).astype(mx.float32)
    apart = mx.abs(seen - copied).max() / mx.abs(copied).max()
    return [("largest difference", float(apart.item()), "of the largest number")]


def blocks() -> Answers:
    """Milliseconds of a grouped product and its backward product, by rows in a block."""
    s = sizes()
    weight = mx.random.normal((s.experts, s.inner, s.hidden), s.dtype, key=mx.random.key(0)) * 0.02
    found: Answers = []
    for rows in (1, 16, 64):
        x, way = _rows(s, rows)
        seconds = _seconds(lambda x=x, way=way: mx.grad(lambda x: grouped_matmul(x, weight, way).sum())(x))
        found.append((f"blocks of {rows}", 1000 * seconds, "ms"))
    return found


def restored() -> Answers:
    """Milliseconds of a grouped product by a 4-bit weight: as it is, and restored first."""
    s = sizes()
    weight = mx.random.normal((s.experts, s.inner, s.hidden), s.dtype, key=mx.random.key(0)) * 0.02
    packed, scales, biases = mx.quantize(weight, 64, 4)
    mx.eval(packed, scales, biases)
    found: Answers = []
    for rows in (16, 64):  # single rows of a quantised product cannot be launched for all on CUDA
        x, way = _rows(s, rows)

        def quantised(x: mx.array = x, way: Blocks = way) -> mx.array:
            blocks = x.reshape(-1, way.rows, x.shape[-1])
            return mx.gather_qmm(
                blocks, packed, scales, biases, rhs_indices=way.experts, transpose=True, sorted_indices=True
            )

        def dense(x: mx.array = x, way: Blocks = way) -> mx.array:
            return grouped_matmul(x, mx.dequantize(packed, scales, biases, 64, 4).astype(x.dtype), way)

        found.append((f"quantised, blocks of {rows}", 1000 * _seconds(quantised), "ms"))
        found.append((f"restored, blocks of {rows}", 1000 * _seconds(dense), "ms"))
    return found


def compiled_kernels() -> Answers:
    """Does the device compile our kernels (1), and how far are they from MLX's operations?"""
    s = sizes()
    x, key = mx.random.normal((s.rows, s.hidden), s.dtype, key=mx.random.key(1)), mx.random.key(2)
    slots = mx.arange(s.rows // 2 * 2).reshape(-1, 2)
    here = [kernels.dropped(x, key, 0.05), kernels.sum_of_rows(x, slots, kernel=True)]
    has = kernels._kernel("dropped", ("x", "key", "threshold", "factor"), kernels.DROPOUT) is not None
    kept = (kernels._hashed(x.size, key) >= round(0.05 * 2**32)).reshape(x.shape)
    plain = [mx.where(kept, x * (1 / 0.95), 0.0), kernels.sum_of_rows(x, slots, kernel=False)]
    apart = [float(mx.abs(a - b.astype(a.dtype)).max().item()) for a, b in zip(here, plain, strict=True)]
    return [
        ("compiled", float(has), "yes"),
        ("dropout", apart[0], "apart"),
        ("sum of rows", apart[1], "apart"),
    ]


def precisions() -> Answers:
    """TFLOP/s of a square product by type."""
    found: Answers = []
    size = 256 if backend.name() == "cpu" else 4096
    for dtype in (mx.float32, mx.float16, mx.bfloat16):
        x = mx.ones((size, size), dtype)
        mx.eval(x)
        rate = 2 * size**3 / _seconds(lambda x=x: x @ x) / 1e12
        found.append((str(dtype).removeprefix("mlx.core."), rate, "TFLOP/s"))
    return found


def hosts_wait() -> Answers:
    """Microseconds that a kernel of no work costs, one after another."""
    x = mx.zeros((16,))
    mx.eval(x)

    def chain() -> mx.array:
        y = x
        for _ in range(500):
            y = mx.cumsum(y)  # fused with nothing
        return y

    return [("a launch", _seconds(chain) / 500 * 1e6, "us")]


def _rows(s: Sizes, rows: int) -> tuple[mx.array, Blocks]:
    """Rows of all experts in blocks, evenly."""
    count = s.rows * s.chosen // (s.experts * rows) * s.experts
    experts = mx.repeat(mx.arange(s.experts, dtype=mx.uint32), count // s.experts)
    x = mx.random.normal((count * rows, s.hidden), s.dtype, key=mx.random.key(3))
    mx.eval(x, experts)
    return x, Blocks(experts, rows)


def _seconds(make: Callable[[], mx.array]) -> float:
    """Of the fastest repetition."""
    times = []
    for _ in range(REPETITIONS + 1):
        start = time.perf_counter()
        mx.eval(make())
        times.append(time.perf_counter() - start)
    return min(times[1:])
