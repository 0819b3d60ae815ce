"""What a window asks of a GPU before it computes anything: kernels, nodes, host time, reads; counted on any machine.

The gradient of one window is built for a model of the real shape's depth and structure but small matrices, as Metal
would get it: attention, norms, rotation, cross-entropy and our kernels are single operations there. What MLX fuses is
counted as one.
"""

import io
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from bench import data, models
from bench.harness import table
from lendsafe.mlx_lora.config import TrainConfig
from lendsafe.mlx_lora.exchange.targets import add_adapters
from lendsafe.mlx_lora.planning import footprint
from lendsafe.mlx_lora.step import kernels
from lendsafe.mlx_lora.step.batches import windows
from lendsafe.mlx_lora.step.gradient import Gradient
from lendsafe.mlx_lora.step.layout import packed
from lendsafe.mlx_lora.step.techniques import Techniques

import mlx.core as mx  # isort: skip  # after OpenBLAS

# Operations that move no number: they are views, or order others.
FREE = {
    "AsStrided", "Broadcast", "BroadcastAxes", "Copy", "CustomTransforms", "Depends", "ExpandDims", "Flatten",
    "NumberOfElements", "Reshape", "Slice", "Split", "Squeeze", "StopGradient", "Transpose", "Unflatten",
}  # fmt: skip
SMALL = {"hidden_size": 64, "intermediate_size": 32, "num_attention_heads": 2, "num_key_value_heads": 1}
GPU = Techniques(buckets=True, late=True, kernels=True, one_product=True, one_a=True)
WAYS = {
    "all but compilation": replace(GPU, compiled=False),
    "none of the techniques for GPUs": Techniques(),
    "all": replace(GPU, compiled=True),
    "one product off": replace(GPU, compiled=True, one_product=False),
    "one A off": replace(GPU, compiled=True, one_a=False),
    "kernels off": replace(GPU, compiled=True, kernels=False),
}


def count(arrays: list[mx.array]) -> Counter[str]:
    """Operations that lead to arrays, by name."""
    text = io.StringIO()
    mx.export_to_dot(text, *arrays)
    return Counter(
        "Compiled" if name.startswith("Compiled") else name
        for name in re.findall(r'label ="?(\w+)[^\]]*?shape=rectangle', text.getvalue())
    )


def launches(found: Counter[str]) -> int:
    """Those that a GPU launches a kernel for."""
    return sum(number for name, number in found.items() if name not in FREE)


@contextmanager
def as_on_metal() -> Iterator[None]:
    """Build graphs as for Metal; they cannot be computed."""
    with ExitStack() as stack:
        stack.enter_context(patch("lendsafe.mlx_lora.backend.name", lambda: "metal"))
        stack.enter_context(patch("lendsafe.mlx_lora.backend.device_name", lambda: "Apple M2"))
        for name, backward in (("rms_norm", 1), ("rope", 1), ("scaled_dot_product_attention", 4)):
            stack.enter_context(patch.object(mx.fast, name, _single(getattr(mx.fast, name), backward)))
        stack.enter_context(patch.object(kernels, "sum_of_rows", _summed))
        stack.enter_context(patch("lendsafe.mlx_lora.step.rows.sum_of_rows", _summed))
        stack.enter_context(patch.object(kernels, "_kernel", lambda *_: None))
        stack.enter_context(patch.object(kernels, "dropped", lambda x, *_: _opaque(x)))
        yield


def _opaque(x: mx.array) -> mx.array:
    """One operation that MLX fuses with no other, of the shape of ``x``."""
    return mx.cumsum(x, axis=-1)


def _summed(y: mx.array, slots: mx.array, *, kernel: bool) -> mx.array:
    if not kernel:
        return y[slots].astype(mx.float32).sum(axis=1).astype(y.dtype)
    return _opaque(mx.broadcast_to(y[:1], (slots.shape[0], y.shape[1])))


def _single(_: Any, backward: int) -> Callable[..., mx.array]:
    """A stand-in: one operation forward, some backward."""

    def call(x: mx.array, *others: Any, **__: Any) -> mx.array:
        arrays = [
            one for one in others if isinstance(one, mx.array) and one.dtype == x.dtype and one.ndim == x.ndim
        ]

        @mx.custom_function
        def operation(x: mx.array, *arrays: mx.array) -> mx.array:
            return _opaque(mx.depends(x, list(arrays)) if arrays else x)

        @operation.vjp
        def operation_vjp(primals: Any, cotangent: mx.array, output: Any) -> Any:  # noqa: ARG001
            kept = [primals] if isinstance(primals, mx.array) else list(primals)
            toward = cotangent
            for _ in range(max(backward - len(kept) + 1, 1)):
                toward = _opaque(toward)
            rest = [_opaque(mx.depends(one, toward)) for one in kept[1:]]
            return [toward, *rest] if rest else toward

        return operation(x, *arrays)  # type: ignore[return-value]  # its stub says object

    return call


def window_counts(model: str, techniques: Techniques) -> dict[str, float]:
    """Kernels, nodes and host milliseconds of the gradient of one window of 4 x 4 in one micro-batch."""
    known = footprint.published_shapes()[model]
    shape = footprint.granite_moe({**known, **SMALL})
    weights = models.random_weights(shape, "float16")
    network = models.model_with(shape, weights)
    keys = add_adapters(network, TrainConfig(targets=("attention",))).keys
    mx.eval(network.parameters())
    window = data.in_windows(data.examples(64, vocabulary=shape["vocab_size"]), 16)[0]
    with as_on_metal():
        gradient = Gradient(network, keys, techniques)
        first = gradient(window, mx.array(1.0), mx.random.key(0))  # traces and compiles
        arrays = [first[0], *_flat(first[1])]
        start = time.process_time()
        gradient(window, mx.array(1.0), mx.random.key(0))
        host = time.process_time() - start
    found = count(arrays)
    return {"kernels": launches(found), "nodes": sum(found.values()), "host_ms": 1000 * host}


def shapes(*, rounded: bool) -> int:
    """Distinct extents of the windows of an epoch of the recipe."""
    made = data.examples(1350, vocabulary=49155)
    order = windows(len(made), 16, 42, 0)
    return len({packed([made[i] for i in one], rounded=rounded).extent for one in order})


def run(model: str, *, say: Callable[[str], None] = print) -> None:
    """Count and print."""
    rows = [["", "kernels a window", "graph nodes", "host ms a window"]]
    for name, techniques in WAYS.items():
        found = window_counts(model, techniques)
        rows.append([name, f"{found['kernels']:,.0f}", f"{found['nodes']:,.0f}", f"{found['host_ms']:.0f}"])
    say(f"{model}, depth and structure of the real shape, one window of 16\n\n{table(rows)}")
    say(
        f"\ndistinct shapes of an epoch's 85 windows: {shapes(rounded=False)} exact, {shapes(rounded=True)} rounded"
    )


def _flat(tree: Any) -> list[mx.array]:
    from mlx.utils import tree_flatten

    return [array for _, array in tree_flatten(tree)]
