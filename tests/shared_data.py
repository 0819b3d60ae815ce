"""Real files beside the repository, for tests that read what nobody here wrote."""

import os
from pathlib import Path

import pytest

DEFAULT = Path(__file__).resolve().parents[2] / "shared" / "data"


def shared_data(name: str) -> Path:
    """Path of a shared data file; skips the test if absent, fails it if the folder was named.

    Args:
        name: Path below the data folder, such as ``lending/german_credit.csv``.
    """
    folder = os.environ.get("LENDSAFE_SHARED_DATA")
    path = Path(folder or DEFAULT) / name
    if path.exists():
        return path
    if folder:
        pytest.fail(f"LENDSAFE_SHARED_DATA is set and {path} is missing")
    pytest.skip(f"{path} is not here")
