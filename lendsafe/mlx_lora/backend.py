"""Everything that differs between MLX's back ends: Metal, CUDA and CPU. Import before ``mlx``.

On Linux, importing this module loads a system OpenBLAS, because the ``mlx-cpu`` wheel links the
reference BLAS: a float32 product then runs at about 190 instead of 5 GFLOP/s on two cores. The
loader resolves ``cblas_*`` to whichever library came first, so this has to happen before MLX loads.
"""

import ctypes
import sys
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

import mlx.core as mx  # noqa: E402  # OpenBLAS has to be in the process first

Backend = Literal["metal", "cuda", "cpu"]


def name() -> Backend:
    """The back end that computations run on."""
    if mx.default_device() == mx.Device(mx.cpu):
        return "cpu"
    return "metal" if mx.metal.is_available() else "cuda"


def default_precision() -> str:
    """``float16`` on a GPU; ``float32`` on the CPU, where MLX has no fp16 ``gather_mm``."""
    return "float32" if name() == "cpu" else "float16"


def expert_rows() -> int:
    """Rows of one expert that are multiplied at a time in a grouped product.

    MLX's GPU kernels take rows one by one. On the CPU ``gather_mm`` is one BLAS call for each index: with a
    row each it reaches 6 GFLOP/s, with 32 rows each 120, as much as one dense product per expert.
    """
    return 32 if name() == "cpu" else 1


def fused_cross_entropy() -> bool:
    """Whether ``mx.fast.cross_entropy`` exists and reduces in float32 on this back end."""
    return name() != "cpu" and hasattr(mx.fast, "cross_entropy")


def memory_bytes() -> int:
    """Memory that a run may use: the recommended working set on Metal, else all of it."""
    info = mx.device_info()
    for key in ("max_recommended_working_set_size", "total_memory", "memory_size"):
        if name() != "cpu" and info.get(key):
            return int(info[key])
    import os

    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def device_name() -> str:
    """Name of the chip that computations run on."""
    return str(mx.device_info().get("device_name", "unknown"))


def synchronize() -> None:
    """Wait until everything submitted has been computed."""
    mx.synchronize()
