"""The model: trees, calibration, decisions and reasons; fitted, kept in a folder, explained.

Names are imported when they are used, so that a module of this wing can be had without the others.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lendsafe.risk.model.classifier import RiskModel
    from lendsafe.risk.model.engine import RiskEngine
    from lendsafe.risk.model.explanation import explain
    from lendsafe.risk.model.outcomes import Scored, assessments

_HOMES = {
    "RiskEngine": "engine",
    "RiskModel": "classifier",
    "Scored": "outcomes",
    "assessments": "outcomes",
    "explain": "explanation",
}

__all__ = ["RiskEngine", "RiskModel", "Scored", "assessments", "explain"]


def __getattr__(name: str) -> Any:
    """Import a name from its home when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
