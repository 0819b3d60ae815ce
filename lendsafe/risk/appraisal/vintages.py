"""Out of time: how a model does on applications of each quarter."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lendsafe.risk.appraisal import metrics
from lendsafe.risk.model.training import days

Floats = NDArray[np.float64]
FEWEST = 10  # outcomes of each kind below which nothing is fitted


@dataclass(frozen=True, slots=True, kw_only=True)
class Vintage:
    """Applications of one period.

    Attributes:
        period: ``2026Q3`` or ``2026-07``.
        n: Applications.
        outcomes: Those whose outcome is known.
        in_training: Share that the model was fitted on.
        approved: Share that the model approves.
        predicted: Mean default probability of those with an outcome.
        defaulted: Share of defaults.
        auc: Ranking quality; None with fewer than ten of either outcome.
        calibration: Slope and intercept of the outcome on the log-odds; None likewise.
    """

    period: str
    n: int
    outcomes: int
    in_training: float
    approved: metrics.Rate | None
    predicted: float
    defaulted: metrics.Rate | None
    auc: metrics.Interval | None
    calibration: metrics.Line | None


def vintages(
    dates: Sequence[Any],
    probability: Floats,
    approved: NDArray[np.bool_],
    outcome: Floats,
    seen: NDArray[np.bool_] | None = None,
    *,
    period: str = "Q",
    resamples: int = 500,
) -> list[Vintage]:
    """Figures of each period, oldest first.

    Args:
        dates: Date of each application, ``(n,)``.
        probability: Default probability, ``(n,)``.
        approved: Decision of the model, ``(n,)``.
        outcome: 0, 1, NaN where not known, ``(n,)``.
        seen: Which the model was fitted on, ``(n,)``.
        period: ``Q`` for quarters, ``M`` for months.
        resamples: Of the intervals.
    """
    label = pd.Series(days(dates)).dt.to_period(period).astype(str).to_numpy()
    fitted = np.zeros(len(label), dtype=bool) if seen is None else seen
    return [
        _vintage(one, probability[rows], approved[rows], outcome[rows], fitted[rows], resamples)
        for one in sorted(set(label))
        if len(rows := np.flatnonzero(label == one))
    ]


def _vintage(
    period: str,
    probability: Floats,
    approved: NDArray[np.bool_],
    outcome: Floats,
    seen: NDArray[np.bool_],
    resamples: int,
) -> Vintage:
    known = ~np.isnan(outcome)
    target, risk = outcome[known].astype(np.int64), probability[known]
    enough = min(target.sum(), len(target) - target.sum()) >= FEWEST
    return Vintage(
        period=period,
        n=len(probability),
        outcomes=int(known.sum()),
        in_training=float(seen.mean()),
        approved=metrics.rate(approved),
        predicted=float(risk.mean()) if len(risk) else float("nan"),
        defaulted=metrics.rate(target == 1),
        auc=metrics.compare(target, [risk], resamples=resamples)[0][0].auc if enough else None,
        calibration=metrics.calibration_line(target, risk) if enough else None,
    )
