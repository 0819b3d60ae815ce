"""Examine the machine: what computations run on, how fast, and how to mend what is slow or missing."""

import os
import platform
import shutil
import sys
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import mlx.core as mx

from lendsafe.mlx_lora import backend

SLOW_GFLOPS = 40.0  # a reference BLAS reaches 2-5 on a CPU, OpenBLAS about 90 a core
PACKAGES = (
    "lendsafe",
    "mlx",
    "mlx-lm",
    "transformers",
    "safetensors",
    "numpy",
    "xgboost",
    "scikit-learn",
    "torch",
    "typst",
)


@dataclass(frozen=True)
class Report:
    """What was found.

    Attributes:
        facts: Name to value.
        findings: What is missing or slow, each with how to mend it.
    """

    facts: dict[str, str]
    findings: list[str]


def examine() -> Report:
    """Measure and look around; takes about a second."""
    speed = matmul_gflops()
    facts = {
        "machine": f"{platform.system()} {platform.release()} {platform.machine()}",
        "chip": backend.device_name(),
        "cores": str(os.cpu_count()),
        "memory": f"{backend.usable_bytes() / 1e9:.1f} GB",
        "python": platform.python_version(),
        "back end": backend.name(),
        "precision": backend.default_precision(),
        "matrix product": f"{speed:.0f} GFLOP/s in float32",
        "OpenBLAS": backend.openblas or "not loaded",
    } | {package: _version(package) for package in PACKAGES}
    return Report(facts, _findings(speed))


def matmul_gflops(size: int = 1024) -> float:
    """Rate of a float32 matrix product, the best of five, in GFLOP/s."""
    a, b = (
        mx.random.normal((size, size), key=mx.random.key(0)),
        mx.random.normal((size, size), key=mx.random.key(1)),
    )
    mx.eval(a, b)
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        mx.eval(a @ b)
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best / 1e9


def _findings(speed: float) -> list[str]:
    found = []
    if backend.name() == "cpu" and sys.platform == "darwin":
        found.append("MLX runs on the CPU although this is a Mac: use an arm64 Python (not under Rosetta).")
    if backend.name() == "cpu" and speed < SLOW_GFLOPS:
        mend = "install it with: apt-get install libopenblas0-pthread (or your system's OpenBLAS)"
        if backend.openblas:
            mend = (
                "OpenBLAS is loaded; is the machine busy, or are OPENBLAS_NUM_THREADS or OMP_NUM_THREADS set?"
            )
        found.append(
            f"Matrix products are slow ({speed:.0f} GFLOP/s; OpenBLAS reaches about 90 a core): {mend}"
        )
    if backend.name() == "cpu" and sys.platform == "linux" and not shutil.which("g++"):
        found.append(
            "No g++: MLX cannot compile fused operations on the CPU. Install it with: apt-get install g++"
        )
    found += [f"{package} is missing. Install it with: pip install {package}" for package in _missing()]
    return found


def _missing() -> list[str]:
    return [package for package in PACKAGES if package != "lendsafe" and _version(package) == "not installed"]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
