"""Two kernels that MLX does not have: a gather that sums, and dropout that stores no mask.

Each is one body of C that Metal and CUDA compile, with the same numbers from MLX's own operations where neither is
there, or where the device refuses it. Dropout is counter-based: whether a number is kept depends on its place and a
key alone, so the backward pass draws the same again.

Shapes: S slots, N rows, K slots of a row, D numbers of a row.
"""

import logging
from functools import cache
from typing import Any

import mlx.core as mx

from lendsafe.mlx_lora import backend

THREADS = 256
# "elem" is the thread's number; T, D and K are template arguments.
SUM_OF_ROWS = """
  if (elem < (size_t)slots_shape[0] * D) {
    size_t row = elem / D, column = elem % D;
    float total = 0.0f;
    for (int k = 0; k < K; ++k) {
      total += (float)y[(size_t)slots[row * K + k] * D + column];
    }
    out[elem] = (T)total;
  }
"""
# Two rounds of a mixing function of 32 bits (C. Wellons, "lowbias32", 2018), a word of the key before each.
DROPOUT = """
  if (elem < (size_t)SIZE) {
    uint32_t h = (uint32_t)elem + key[0];
    for (int round = 0; round < 2; ++round) {
      h ^= h >> 16; h *= 0x7feb352du; h ^= h >> 15; h *= 0x846ca68bu; h ^= h >> 16;
      h ^= round == 0 ? key[1] : 0u;
    }
    out[elem] = h >= threshold[0] ? (T)((float)x[elem] * factor[0]) : (T)0.0f;
  }
"""
INDEX = {
    "metal": "  size_t elem = thread_position_in_grid.x;",
    "cuda": "  size_t elem = cooperative_groups::this_grid().thread_rank();",
}


def sum_of_rows(y_SD: mx.array, slots_NK: mx.array, *, kernel: bool) -> mx.array:
    """Each row's K slots added up in float32: ``(S, D)`` to ``(N, D)``; in a kernel, if there is one. No gradient."""
    rows, copies = slots_NK.shape
    width = int(y_SD.shape[1])
    fused = _kernel("sum_of_rows", ("y", "slots"), SUM_OF_ROWS) if kernel else None
    if fused is None:
        return y_SD[slots_NK].astype(mx.float32).sum(axis=1).astype(y_SD.dtype)
    summed: mx.array = fused(
        inputs=[y_SD, slots_NK.astype(mx.int32)],
        template=[("T", y_SD.dtype), ("D", width), ("K", copies)],
        grid=(rows * width, 1, 1),
        threadgroup=(THREADS, 1, 1),
        output_shapes=[(rows, width)],
        output_dtypes=[y_SD.dtype],
    )[0]
    return summed


def dropped(x: mx.array, key: mx.array, rate: float) -> mx.array:
    """Zero a share ``rate`` of ``x`` and scale the rest by ``1 / (1 - rate)``. No gradient: it is the same map.

    Args:
        x: Any shape of fewer than 2^32 numbers.
        key: Two words of 32 bits.
        rate: In [0, 1).
    """
    threshold = round(rate * 2**32)
    kernel = _kernel("dropped", ("x", "key", "threshold", "factor"), DROPOUT)
    if kernel is None:
        kept = _hashed(x.size, key) >= mx.array(threshold, mx.uint32)
        return mx.where(kept.reshape(x.shape), x * (1 / (1 - rate)), mx.zeros_like(x))
    found: mx.array = kernel(
        inputs=[x, key, mx.array([threshold], mx.uint32), mx.array([1 / (1 - rate)])],
        template=[("T", x.dtype), ("SIZE", x.size)],
        grid=(x.size, 1, 1),
        threadgroup=(THREADS, 1, 1),
        output_shapes=[x.shape],
        output_dtypes=[x.dtype],
    )[0]
    return found


def _hashed(count: int, key: mx.array) -> mx.array:
    """The kernel's hash of 0 to ``count``, as MLX's operations."""
    h = mx.arange(count, dtype=mx.uint32) + key[0]
    for word in (key[1], mx.array(0, mx.uint32)):
        h = h ^ (h >> 16)
        h = h * mx.array(0x7FEB352D, mx.uint32)
        h = h ^ (h >> 15)
        h = h * mx.array(0x846CA68B, mx.uint32)
        h = (h ^ (h >> 16)) ^ word
    return h


@cache
def _kernel(name: str, inputs: tuple[str, ...], body: str) -> Any:
    """The kernel on this back end, or None where it has none or its first use fails."""
    kind = backend.name()
    make = getattr(mx.fast, {"metal": "metal_kernel", "cuda": "cuda_kernel"}.get(kind, ""), None)
    if make is None:
        return None
    try:
        kernel = make(
            name=f"lendsafe_{name}",
            input_names=list(inputs),
            output_names=["out"],
            source=f"{INDEX[kind]}\n{body}",
        )
        mx.eval(_probe(name, kernel))
    except (RuntimeError, ValueError, TypeError) as problem:
        logging.getLogger(__name__).warning("no kernel %s on this device: %s", name, problem)
        return None
    return kernel


def _probe(name: str, kernel: Any) -> Any:
    """Compute a number with a kernel: a device says no only then."""
    one, place = mx.ones((1, 1)), mx.zeros((1, 1), mx.int32)
    word = mx.zeros((1,), mx.uint32)
    inputs, template = {
        "sum_of_rows": ([one, place], [("T", mx.float32), ("D", 1), ("K", 1)]),
        "dropped": (
            [one, mx.zeros((2,), mx.uint32), word, mx.ones((1,))],
            [("T", mx.float32), ("SIZE", 1)],
        ),
    }[name]
    return kernel(
        inputs=inputs,
        template=template,
        grid=(1, 1, 1),
        threadgroup=(1, 1, 1),
        output_shapes=[(1, 1)],
        output_dtypes=[mx.float32],
    )
