"""What a model is worth: its numbers, its groups, its reasons, and the pages that show them."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lendsafe.risk.appraisal.measure import appraise

_HOMES = {"appraise": "measure"}

__all__ = ["appraise"]


def __getattr__(name: str) -> Any:
    """Import a name from its home when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
