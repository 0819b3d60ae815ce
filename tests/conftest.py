"""What every test needs: this folder on the path, no network at run time."""

import os
import sys
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
sys.path.insert(0, str(Path(__file__).parent))

import lendsafe.mlx_lora.backend  # noqa: F401  # loads OpenBLAS, which has to happen before MLX loads
