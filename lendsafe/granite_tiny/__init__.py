"""granite-tiny: a toy Granite mixture of experts that knows only lending prose, shipped in the package.

The folder itself is the model, in Hugging Face's format; ``README.md`` is its card and ``make.py`` made it.
"""

from importlib.resources import files
from pathlib import Path


def path() -> Path:
    """Folder of the model, for transformers, mlx-lm or LendSafe."""
    return Path(str(files(__name__)))
