"""What the kernels compute: the C that a GPU gets, compiled here, equals MLX's operations and a twin in NumPy."""

import ctypes
import shutil
import subprocess
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lendsafe.mlx_lora.step import kernels

quick = settings(max_examples=30, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)

# The body of a kernel as a function of one thread's number.
PROGRAM = """
#include <cstddef>
#include <cstdint>
typedef float T;
extern "C" void sum_of_rows(
    size_t threads, const T* y, const int32_t* slots, const int* slots_shape, int D, int K, T* out) {
  for (size_t elem = 0; elem < threads; ++elem) { %s }
}
extern "C" void dropped(
    size_t threads, const T* x, const uint32_t* key, const uint32_t* threshold, const float* factor, size_t SIZE,
    T* out) {
  for (size_t elem = 0; elem < threads; ++elem) { %s }
}
"""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory) -> ctypes.CDLL:
    """Both bodies, compiled by the C++ compiler that is here."""
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    folder: Path = tmp_path_factory.mktemp("kernels")
    source = folder / "kernels.cpp"
    source.write_text(PROGRAM % (kernels.SUM_OF_ROWS, kernels.DROPOUT))
    library = folder / "kernels.so"
    subprocess.run(
        [compiler, "-O1", "-Wall", "-Werror", "-shared", "-fPIC", source, "-o", library], check=True
    )
    return ctypes.CDLL(str(library))


def pointer(array: np.ndarray) -> ctypes.c_void_p:
    return array.ctypes.data_as(ctypes.c_void_p)


@quick
@given(seed=seeds, rows=st.integers(1, 7), copies=st.integers(1, 4), width=st.integers(1, 5))
def test_the_sum_of_rows_is_that_of_its_twin(compiled, seed, rows, copies, width):
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(rows * copies + 3, width)).astype(np.float32)
    slots = rng.permutation(len(y))[: rows * copies].reshape(rows, copies).astype(np.int32)
    out = np.full((rows, width), np.nan, np.float32)
    compiled.sum_of_rows(
        ctypes.c_size_t(out.size + 11),  # more threads than numbers, as the last group of a grid has
        pointer(y),
        pointer(slots),
        pointer(np.array(slots.shape, np.int32)),
        width,
        copies,
        pointer(out),
    )
    twin = np.zeros((rows, width), np.float32)
    for k in range(copies):
        twin += y[slots[:, k]]
    np.testing.assert_array_equal(out, twin)
    ours = kernels.sum_of_rows(mx.array(y), mx.array(slots), kernel=True)
    np.testing.assert_allclose(np.array(ours), twin, rtol=1e-6, atol=1e-6)


def hashed(count: int, key: np.ndarray) -> np.ndarray:
    """The hash, in NumPy."""
    with np.errstate(over="ignore"):
        h = np.arange(count, dtype=np.uint32) + key[0]
        for word in (key[1], np.uint32(0)):
            h ^= h >> np.uint32(16)
            h *= np.uint32(0x7FEB352D)
            h ^= h >> np.uint32(15)
            h *= np.uint32(0x846CA68B)
            h ^= h >> np.uint32(16)
            h ^= word
    return h


@quick
@given(seed=seeds, size=st.integers(1, 300), rate=st.sampled_from([0.05, 0.3, 0.5, 0.95]))
def test_dropout_is_that_of_its_twin(compiled, seed, size, rate):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=size).astype(np.float32)
    key = rng.integers(0, 2**32, 2, dtype=np.uint32)
    out = np.full(size, np.nan, np.float32)
    compiled.dropped(
        ctypes.c_size_t(size + 5),
        pointer(x),
        pointer(key),
        pointer(np.array([round(rate * 2**32)], np.uint32)),
        pointer(np.array([1 / (1 - rate)], np.float32)),
        ctypes.c_size_t(size),
        pointer(out),
    )
    kept = hashed(size, key) >= round(rate * 2**32)
    twin = np.where(kept, x * np.float32(1 / (1 - rate)), np.float32(0))
    np.testing.assert_array_equal(out, twin)
    ours = np.array(kernels.dropped(mx.array(x), mx.array(key), rate))
    np.testing.assert_array_equal(ours, twin)


def test_dropout_keeps_its_share_and_no_place_tells_about_the_next():
    x = mx.ones((400, 500))
    masks = [np.array(kernels.dropped(x, mx.random.key(seed), 0.3)) > 0 for seed in (0, 1, 2**40)]
    for mask in masks:
        assert mask.mean() == pytest.approx(0.7, abs=0.004)
        for shift in (1, 2, 500):
            pairs = np.corrcoef(mask.ravel()[:-shift], mask.ravel()[shift:])[0, 1]
            assert abs(pairs) < 0.01
    assert abs(np.corrcoef(masks[0].ravel(), masks[1].ravel())[0, 1]) < 0.01
    assert abs(np.corrcoef(masks[0].ravel(), masks[2].ravel())[0, 1]) < 0.01


def test_a_device_that_refuses_a_kernel_gets_the_same_numbers(monkeypatch, caplog):
    """A Metal that compiles nothing: its first use fails, and MLX's own operations take over."""

    def refuse(**_):
        return lambda **_: (_ for _ in ()).throw(RuntimeError("no function was found in the library"))

    x, key = mx.arange(12.0).reshape(3, 4), mx.random.key(3)
    expected = np.array(kernels.dropped(x, key, 0.5))
    monkeypatch.setattr("lendsafe.mlx_lora.backend.name", lambda: "metal")
    monkeypatch.setattr(mx.fast, "metal_kernel", refuse)
    kernels._kernel.cache_clear()
    try:
        np.testing.assert_array_equal(np.array(kernels.dropped(x, key, 0.5)), expected)
        summed = kernels.sum_of_rows(x, mx.array([[0, 2]]), kernel=True)
        assert summed.tolist() == [[8.0, 10.0, 12.0, 14.0]]
        assert "no kernel dropped on this device" in caplog.text
    finally:
        kernels._kernel.cache_clear()


def test_both_back_ends_get_the_same_body_under_their_own_index():
    assert set(kernels.INDEX) == {"metal", "cuda"}
    assert all("size_t elem" in line for line in kernels.INDEX.values())
