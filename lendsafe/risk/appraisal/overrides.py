"""What the lender decided beside what the model decides: overrides, and whom they turned away."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lendsafe.risk.appraisal import fairness, metrics
from lendsafe.risk.model.bins import inputs
from lendsafe.risk.model.engine import RiskEngine

Floats = NDArray[np.float64]
NO_INFERENCE = (
    "No reject inference: the model learns from applications with an outcome alone and says nothing that was "
    "learned about those who were turned away. Where they differ, its probabilities for people like them are "
    "an extrapolation."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Applications on which the lender and the model decided in one way.

    Attributes:
        lender: What the lender decided.
        model: What the model decides.
        n: Applications.
        predicted: Mean default probability.
        defaulted: Share of defaults where outcomes are known.
    """

    lender: str
    model: str
    n: int
    predicted: float
    defaulted: metrics.Rate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How those turned away differ on one feature.

    Attributes:
        feature: Its name.
        declined: Mean of those whom the lender declined.
        approved: Mean of those whom the lender approved.
        difference: Difference over the standard deviation of both together, with its interval.
    """

    feature: str
    declined: float
    approved: float
    difference: metrics.Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """The lender's decisions beside the model's.

    Attributes:
        n: Applications that both approved or declined.
        agreement: Share decided alike.
        high_side: Share that the lender declined of those whom the model approves.
        low_side: Share that the lender approved of those whom the model declines.
        cells: Each combination.
        profile: How those turned away differ, most different first.
        outcomes_of_declined: Applications that the lender declined and whose outcome is known.
        reject_inference: What was done about those whose outcome is not known.
    """

    n: int
    agreement: metrics.Rate | None
    high_side: metrics.Rate | None
    low_side: metrics.Rate | None
    cells: tuple[Cell, ...]
    profile: tuple[Profile, ...]
    outcomes_of_declined: int
    reject_inference: str


def compare(
    engine: RiskEngine,
    values: Floats,
    lender: NDArray[Any],
    model: NDArray[Any],
    probability: Floats,
    outcome: Floats,
) -> Overrides | None:
    """Compare decisions; None if the lender's are not known of anybody.

    Args:
        engine: Model.
        values: Encoded rows, ``(n, columns)``.
        lender: ``approved``, ``declined`` or another word, ``(n,)``; None where not known.
        model: The model's decisions, ``(n,)``.
        probability: Default probabilities, ``(n,)``.
        outcome: 0, 1, NaN where not known, ``(n,)``.
    """
    both = np.isin(lender, ("approved", "declined"))
    if not both.any():
        return None
    passed, passes = lender == "approved", model == "approved"
    decided = both & np.isin(model, ("approved", "declined"))
    cells = []
    for theirs in ("approved", "declined"):
        for ours in ("approved", "counteroffer", "declined", "incomplete"):
            rows = (lender == theirs) & (model == ours)
            if rows.any():
                known = outcome[rows][~np.isnan(outcome[rows])]
                cells.append(
                    Cell(
                        lender=theirs,
                        model=ours,
                        n=int(rows.sum()),
                        predicted=float(probability[rows].mean()),
                        defaulted=metrics.rate(known == 1),
                    )
                )
    return Overrides(
        n=int(decided.sum()),
        agreement=metrics.rate((passed == passes)[decided]),
        high_side=metrics.rate(~passed[decided & passes]),
        low_side=metrics.rate(passed[decided & ~passes]),
        cells=tuple(cells),
        profile=_profile(engine, values[both], ~passed[both]),
        outcomes_of_declined=int((~np.isnan(outcome) & (lender == "declined")).sum()),
        reject_inference=NO_INFERENCE,
    )


def _profile(engine: RiskEngine, values: Floats, declined: NDArray[np.bool_]) -> tuple[Profile, ...]:
    found = []
    for name, column in inputs(values, engine.features).items():
        known = ~np.isnan(column)
        if declined[known].any() and not declined[known].all():
            found.append(
                Profile(
                    feature=name,
                    declined=float(column[known & declined].mean()),
                    approved=float(column[known & ~declined].mean()),
                    difference=fairness.difference_interval(column[known], declined[known]),
                )
            )
    kept = [one for one in found if np.isfinite(one.difference.value)]
    return tuple(sorted(kept, key=lambda one: -abs(one.difference.value)))
