"""LendSafe: true, specific explanations of lending decisions, on the lender's own machine.

    import lendsafe

    outcome = lendsafe.explain("application.json", risk="risk", adapter="run", lender="lender.toml")
    print(outcome.decision, outcome.text)
    outcome.write_letter("letter.pdf")

Names are imported when they are used: ``import lendsafe`` itself loads nothing heavy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

if TYPE_CHECKING:
    from lendsafe.errors import LendSafeError
    from lendsafe.eval.truth.checks import check
    from lendsafe.mlx_lora.config import TrainConfig
    from lendsafe.pipeline.applications import Application, read_applications
    from lendsafe.pipeline.letters import Explainer, Outcome, explain
    from lendsafe.pipeline.training import train
    from lendsafe.records import Applicant, Assessment, Explanation, Finding, Reason, Style
    from lendsafe.risk.model.engine import RiskEngine, fit_risk, score

_HOMES = {
    "Applicant": "lendsafe.records",
    "Application": "lendsafe.pipeline.applications",
    "Assessment": "lendsafe.records",
    "Explainer": "lendsafe.pipeline.letters",
    "Explanation": "lendsafe.records",
    "Finding": "lendsafe.records",
    "LendSafeError": "lendsafe.errors",
    "Outcome": "lendsafe.pipeline.letters",
    "Reason": "lendsafe.records",
    "RiskEngine": "lendsafe.risk.model.engine",
    "Style": "lendsafe.records",
    "TrainConfig": "lendsafe.mlx_lora.config",
    "check": "lendsafe.eval.truth.checks",
    "explain": "lendsafe.pipeline.letters",
    "fit_risk": "lendsafe.risk.model.engine",
    "read_applications": "lendsafe.pipeline.applications",
    "score": "lendsafe.risk.model.engine",
    "train": "lendsafe.pipeline.training",
}

__all__ = [
    "Applicant",
    "Application",
    "Assessment",
    "Explainer",
    "Explanation",
    "Finding",
    "LendSafeError",
    "Outcome",
    "Reason",
    "RiskEngine",
    "Style",
    "TrainConfig",
    "check",
    "explain",
    "fit_risk",
    "read_applications",
    "score",
    "train",
]


def __getattr__(name: str) -> Any:
    """Import a name from its home when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module 'lendsafe' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
