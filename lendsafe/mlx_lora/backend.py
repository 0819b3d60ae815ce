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
from dataclasses import dataclass
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


def expert_rows(mean: float, *, quantised: bool, width: int) -> int:
    """Rows of one expert that are multiplied at a time in a grouped product, on this machine (:func:`expert_block`)."""
    return expert_block(mean, name(), device_name(), quantised=quantised, width=width)


def expert_block(mean: float, kind: Backend, chip: str, *, quantised: bool, width: int) -> int:
    """Rows of one expert that are multiplied at a time in a grouped product.

    On the CPU ``gather_mm`` is one BLAS call for each index. Large blocks are faster, yet half of each expert's last
    block is computed for nothing; measured best at a sixth of its rows. On a GPU, by the sources of MLX 0.32.4: Metal
    multiplies single rows in tiles of 16 by 64 (M1 to M4) and blocks of 64 in tiles of 64 by 64, which pays if an
    expert fills two; the M5's own kernels take single rows in half precision, quantised weights excepted. CUDA groups
    single rows by itself, but gives each row of a quantised product a place in a grid of no more than 65,535, and a
    tile of 16; blocks of more than 64 rows do not fit its shared memory in float32.

    Args:
        mean: Rows of an expert, on average.
        kind: Back end.
        chip: Name of its device.
        quantised: Whether weights are multiplied in their quantised form.
        width: Bytes of an activation.
    """
    if kind == "cpu":
        return rows_in_block(mean)
    if kind == "cuda":
        return 64 if quantised else 1
    single = re.match(r"Apple M(?:[5-9]|\d\d)", chip) and width == 2 and not quantised
    return 1 if single or mean < 128 else 64


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


def usable_bytes() -> int:
    """Memory that a run may use: on Metal what is left for it (:func:`usable_on_metal`), else all of it."""
    info, physical = mx.device_info(), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if name() == "metal":
        return usable_on_metal(int(info["max_recommended_working_set_size"]), int(info["memory_size"]))
    return int(info.get("total_memory") or physical) if name() == "cuda" else physical


def usable_on_metal(recommended: int, physical: int) -> int:
    """Bytes for a run on a Mac that pages nothing: macOS needs 3.5 GB, Python and MLX's kernels 0.6 GB.

    At 0.95 of the recommended size MLX collects its cache at every allocation: 0.8 stays clear of that.

    Args:
        recommended: Working set that Metal recommends.
        physical: Memory of the machine.
    """
    return max(int(min(0.8 * recommended, physical - 3.5e9) - 0.6e9), 0)


@dataclass(frozen=True, slots=True)
class Limits:
    """What MLX is to hold, in bytes.

    Attributes:
        wired: Stays resident, so that nothing of the run is paged.
        memory: From here on MLX waits for what is under way before it allocates more.
        cache: Freed memory that it may keep for the next allocation.
    """

    wired: int
    memory: int
    cache: int


@contextmanager
def limited(limits: Limits | None) -> Iterator[None]:
    """Hold a GPU to limits inside the block; the CPU back end knows none."""
    if limits is None or name() == "cpu":
        yield
        return
    before = (mx.set_memory_limit(limits.memory), mx.set_cache_limit(limits.cache))
    wired = mx.set_wired_limit(limits.wired) if name() == "metal" else None
    try:
        yield
    finally:
        mx.set_memory_limit(before[0])
        mx.set_cache_limit(before[1])
        if wired is not None:
            mx.set_wired_limit(wired)


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
