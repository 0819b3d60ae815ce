"""granite-tiny: a toy Granite mixture of experts that knows only lending prose, shipped in the package.

The folder itself is the model, in Hugging Face's format; ``README.md`` is its card and ``make.py`` made it.
"""

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any


def path() -> Path:
    """Folder of the model, for transformers, mlx-lm or LendSafe."""
    return Path(str(files(__name__)))


def recipe() -> dict[str, Any]:
    """Its own fine-tuning settings, which override the defaults of ``TrainConfig``."""
    table: dict[str, Any] = tomllib.loads((path() / "recipe.toml").read_text("utf-8"))
    return dict(table["train"])
