"""What every test needs: this folder on the path, no network at run time, no deadline by the clock."""

import os
import sys
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
sys.path.insert(0, str(Path(__file__).parent))

from hypothesis import HealthCheck, settings

import lendsafe.mlx_lora.backend  # noqa: F401  # loads OpenBLAS, which has to happen before MLX loads

# How long a draw takes says how busy the machine is, not whether the law holds.
settings.register_profile("lendsafe", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("lendsafe")
