"""What a measurement depends on besides the code: chip, memory, versions, power, heat, other work."""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from lendsafe.mlx_lora import backend

import mlx.core as mx  # isort: skip  # after OpenBLAS

PACKAGES = ("lendsafe", "mlx", "mlx-lm", "torch", "transformers", "peft", "numpy", "xgboost")
SAME = (
    "chip",
    "cores",
    "gpu_cores",
    "memory_gb",
    "backend",
)  # runs that differ in one of them are never compared


@dataclass(frozen=True)
class Machine:
    """Where a measurement was taken; no name of a host or a user is part of it.

    Attributes:
        chip: Name of the processor, or of the GPU that MLX runs on.
        cores: Processor cores that this process may use.
        gpu_cores: Of an Apple GPU; None where it has none or does not say.
        memory_gb: Memory of the machine, or of a graphics card of its own.
        system: Operating system and its version.
        backend: MLX's back end.
        power: ``mains``, ``battery`` or None if it cannot be read.
        thermal: ``nominal``, ``throttled``, a temperature, or None if it cannot be read.
        load: Load average of the last minute when the result was made, in cores; the measurement is part of it.
    """

    chip: str
    cores: int
    gpu_cores: int | None
    memory_gb: int
    system: str
    backend: str
    power: str | None
    thermal: str | None
    load: float

    @property
    def folder(self) -> str:
        """Name of the folder of results: by chip, never by host."""
        if self.backend == "cpu":
            kind = f"{platform.system()}-{platform.machine()}-{self.cores}core"
        else:
            kind = f"{self.chip}-{self.gpu_cores}core" if self.gpu_cores else self.chip
            kind += f"-{self.memory_gb}gb"
        return re.sub(r"[^a-z0-9_]+", "-", kind.lower()).strip("-")

    def differences(self, other: "Machine") -> list[str]:
        """What makes the two unlike, in words."""
        pairs = [(name, getattr(self, name), getattr(other, name)) for name in SAME]
        return [f"{name} {mine} and {theirs}" for name, mine, theirs in pairs if mine != theirs]

    def __str__(self) -> str:
        facts = [self.chip, f"{self.gpu_cores} GPU cores" if self.gpu_cores else f"{self.cores} cores"]
        facts += [f"{self.memory_gb} GB", self.system, f"MLX on {self.backend}"]
        facts += [f"on {self.power}"] if self.power else []
        facts += [self.thermal] if self.thermal else []
        return ", ".join(facts)


def this_machine() -> Machine:
    """Read what can be read."""
    on_gpu = backend.name() != "cpu"
    memory = mx.device_info()["total_memory"] if backend.name() == "cuda" else _physical_memory()
    return Machine(
        chip=backend.device_name() if on_gpu else _processor(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        gpu_cores=apple_gpu_cores(_output("system_profiler", "-json", "SPDisplaysDataType")),
        memory_gb=round(int(memory) / 1024**3),
        system=f"macOS {platform.mac_ver()[0]}"
        if sys.platform == "darwin"
        else f"Linux {platform.release().split('-')[0]}",
        backend=backend.name(),
        power=apple_power(_output("pmset", "-g", "batt")) if sys.platform == "darwin" else _linux_power(),
        thermal=thermal_state(),
        load=round(os.getloadavg()[0], 1),
    )


def versions() -> dict[str, str]:
    """Versions that a result depends on."""
    found = {"python": platform.python_version(), "blas": Path(backend.openblas or "none").name}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def as_dict(machine: Machine) -> dict[str, object]:
    """For a line of results."""
    return asdict(machine)


def thermal_state() -> str | None:
    """``nominal`` or ``throttled`` on a Mac, degrees elsewhere, None if nothing says."""
    if sys.platform == "darwin":
        return apple_thermal(_output("pmset", "-g", "therm"))
    degrees = _output("nvidia-smi", "--query-gpu=temperature.gpu", "--format=csv,noheader")
    if degrees and backend.name() == "cuda":
        return f"{degrees.split()[0]} °C"
    zones = [int(one.read_text()) / 1000 for one in Path("/sys/class/thermal").glob("thermal_zone*/temp")]
    return f"{max(zones):.0f} °C" if zones else None


def cool_down(longest: float = 60.0, pause: float = 2.0) -> float:
    """Wait until the machine no longer throttles, or is below 70 °C; the seconds waited. ``BENCH_COOL=0``: never."""
    start = time.monotonic()
    if os.environ.get("BENCH_COOL") == "0":
        return 0.0
    while time.monotonic() - start < longest and is_hot(thermal_state()):
        time.sleep(pause)
    return time.monotonic() - start


def is_hot(state: str | None) -> bool:
    """Whether a measurement had better wait."""
    if state is None or state == "nominal":
        return False
    return state == "throttled" or float(state.split()[0]) >= 70


def apple_gpu_cores(report: str) -> int | None:
    """Cores in the output of ``system_profiler -json SPDisplaysDataType``."""
    try:
        return int(json.loads(report)["SPDisplaysDataType"][0]["sppci_cores"])
    except (ValueError, KeyError, IndexError, TypeError):
        return None


def apple_power(report: str) -> str | None:
    """Source in the output of ``pmset -g batt``."""
    found = re.search(r"drawing from '(AC|Battery) Power'", report)
    return {"AC": "mains", "Battery": "battery"}[found[1]] if found else None


def apple_thermal(report: str) -> str | None:
    """State in the output of ``pmset -g therm``: a limit below 100 or a recorded warning means throttled."""
    if not report:
        return None
    limits = [
        int(one)
        for one in re.findall(r"(?:CPU_Speed_Limit|CPU_Available_CPUs_Limit)\s*=\s*(\d+)", report)[:1]
    ]
    warned = re.search(r"thermal warning level\s*=\s*([1-9])", report, re.IGNORECASE)
    return "throttled" if warned or any(limit < 100 for limit in limits) else "nominal"


def _linux_power() -> str | None:
    for source in sorted(Path("/sys/class/power_supply").glob("*/online")):
        return "mains" if source.read_text().strip() == "1" else "battery"
    return None


def _physical_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _processor() -> str:
    if sys.platform == "darwin":
        return _output("sysctl", "-n", "machdep.cpu.brand_string").strip() or platform.processor()
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def _output(*command: str) -> str:
    """What a program prints; empty if it is not there or fails."""
    if not shutil.which(command[0]):
        return ""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    except (subprocess.SubprocessError, OSError):
        return ""
