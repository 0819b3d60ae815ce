"""Everything that differs between MLX's back ends: Metal, CUDA and CPU. Import before ``mlx``.

On Linux, importing this module loads a system OpenBLAS, because the ``mlx-cpu`` wheel links the
reference BLAS: a float32 product then runs at about 190 instead of 5 GFLOP/s on two cores. The
loader resolves ``cblas_*`` to whichever library came first, so this has to happen before MLX loads.
"""

import ctypes
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from glob import glob
from typing import Literal

OPENBLAS_PATTERNS = (
    "/usr/lib/*/openblas-pthread/libopenblas.so.0",
    "/usr/lib/*/libopenblas.so.0",
    "/usr/lib64/libopenblasp.so.0",
    "/usr/lib64/libopenblas.so.0",
)


def _load_openblas() -> str | None:
    """Load a system OpenBLAS into the process; its path, or None where there is none or no need."""
    if sys.platform != "linux" or "mlx.core" in sys.modules:
        return None
    for pattern in OPENBLAS_PATTERNS:
        for path in sorted(glob(pattern)):  # noqa: PTH207  # the pattern is absolute
            try:
                ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
            except OSError:
                continue
            return path
    return None


openblas = _load_openblas()
_openblas_library = ctypes.CDLL(openblas) if openblas else None
_MMAP_MAX, _TRIM_THRESHOLD, _ARENA_MAX = -4, -1, -8  # options of mallopt

import mlx.core as mx  # noqa: E402  # OpenBLAS has to be in the process first

from lendsafe.errors import TooLargeError  # noqa: E402

Backend = Literal["metal", "cuda", "cpu"]
# How MLX words an allocation that failed and a command buffer that the driver gave up.
_DEVICE_FAILURE = re.compile(
    r"malloc|out of memory|insufficient memory|command buffer|bad_alloc", re.IGNORECASE
)


def name() -> Backend:
    """The back end that computations run on."""
    if mx.default_device() == mx.Device(mx.cpu):
        return "cpu"
    return "metal" if mx.metal.is_available() else "cuda"


# MLX orders a graph breadth first while no more than this many operations are open, else depth first. Two
# micro-batches are computed side by side only if their operations take turns.
if name() == "cpu":
    os.environ.setdefault("MLX_BFS_MAX_WIDTH", "1000")


def default_precision() -> str:
    """``float16`` on a GPU; ``float32`` on the CPU, where MLX has no fp16 ``gather_mm``."""
    return "float32" if name() == "cpu" else "float16"


def expert_rows(mean: float) -> int:
    """Rows of one expert that are multiplied at a time in a grouped product.

    MLX's GPU kernels take rows one by one. On the CPU ``gather_mm`` is one BLAS call for each index. Large blocks
    are faster, yet half of each expert's last block is computed for nothing; measured best at a sixth of its rows.

    Args:
        mean: Rows of an expert, on average.
    """
    return rows_in_block(mean) if name() == "cpu" else 1


def rows_in_block(mean: float) -> int:
    """Rows of a block on the CPU: 16, 32 or 64."""
    return 16 if mean < 100 else 32 if mean < 300 else 64


def logit_rows(vocabulary: int, *, cpu: bool) -> int:
    """Rows that are projected to the vocabulary at a time.

    4 MB of float32 in the CPU's cache, 67 MB of float16 on a GPU; fewer than 64 rows would be slow to multiply.
    """
    return max((1 << 20 if cpu else 1 << 25) // vocabulary, 64)


def workers() -> int:
    """Micro-batches that are computed side by side: one a core on the CPU, else one.

    BLAS alone keeps a second core busy for the matrix products only, two thirds of a step; MLX's CPU back end
    does all else on one core.
    """
    return (os.cpu_count() or 1) if name() == "cpu" else 1


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Let OpenBLAS multiply in the calling thread alone, because every core has a worker of its own."""
    if not _openblas_library or name() != "cpu":
        yield
        return
    before = _openblas_library.openblas_get_num_threads()
    _openblas_library.openblas_set_num_threads(1)
    try:
        yield
    finally:
        _openblas_library.openblas_set_num_threads(before)


@cache
def keep_freed_memory() -> None:
    """Let the C library keep what it frees, on the CPU back end under Linux; once a process.

    MLX's CPU back end asks for every array anew. Above 32 MB the GNU C library then maps fresh pages, which the
    kernel has to clear: an addition of two 36 MB arrays takes 21 ms with that and 2 without.
    """
    if sys.platform != "linux" or name() != "cpu":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # not in every C library
    if mallopt:
        for option, value in ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_ARENA_MAX, 1)):
            mallopt(option, value)


def fused_cross_entropy() -> bool:
    """Whether ``mx.fast.cross_entropy`` exists and reduces in float32 on this back end."""
    return name() != "cpu" and hasattr(mx.fast, "cross_entropy")


def memory_bytes() -> int:
    """Memory that a run may use: the recommended working set on Metal, else all of it."""
    info = mx.device_info()
    for key in ("max_recommended_working_set_size", "total_memory", "memory_size"):
        if name() != "cpu" and info.get(key):
            return int(info[key])
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def device_name() -> str:
    """Name of the chip that computations run on."""
    return str(mx.device_info().get("device_name", "unknown"))


def is_device_failure(problem: BaseException) -> bool:
    """Whether an exception says that the device ran out of memory or gave up, after which nothing more will run."""
    return isinstance(problem, TooLargeError | MemoryError) or bool(_DEVICE_FAILURE.search(str(problem)))


@contextmanager
def device_errors() -> Iterator[None]:
    """Turn a failed allocation or command buffer inside the block into a :class:`TooLargeError`.

    The process cannot go on after one: Metal's command queue is poisoned. A new process can.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as problem:
        if isinstance(problem, RuntimeError) and not _DEVICE_FAILURE.search(str(problem)):
            raise
        reason = " ".join(str(problem).split()) or "out of memory"
        raise TooLargeError(
            f"The device failed: {reason[:200]}. Resume with a smaller --token-budget or --recompute layer;"
            " --supervise does so by itself."
        ) from problem


def synchronize() -> None:
    """Wait until everything submitted has been computed."""
    mx.synchronize()
