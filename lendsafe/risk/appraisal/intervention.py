"""Proof by intervention: are the stated reasons the ones that decide?

The features of reasons are set to the values of applicants just above the cut-off (rows of the frozen
background, each of which supplies all replaced features together), and the model decides again. The
stated reasons are *sufficient* if the score then passes; one of them is *needed* if with all the others
replaced, and not this one, it fails; and there is an *omission* if a factor that was not stated would
move the score more than the weakest one that was.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import logit

from lendsafe.risk.appraisal import metrics
from lendsafe.risk.features import code_index
from lendsafe.risk.model.engine import RiskEngine

Floats = NDArray[np.float64]
ROWS = 32  # background rows that supply values
TIED = 0.05  # log-odds that an unstated factor may move more without being an omission


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervention:
    """What happens to one application if factors take the background's values.

    Attributes:
        reasons: Codes that were stated.
        before: Log-odds of default less the cut-off's; above 0 the score fails.
        after: The same, in the mean, with the stated reasons' features replaced.
        sufficient: Whether the score then passes.
        needed: By stated reason, whether the score fails if all others are replaced and it is not.
        stronger: Code of a factor that was not stated and moves the score more than the weakest stated
            one; empty if there is none.
    """

    reasons: tuple[str, ...]
    before: float
    after: float
    sufficient: bool
    needed: tuple[bool, ...]
    stronger: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Interventions:
    """How often the stated reasons hold, over applications that the score declined.

    Attributes:
        n: Applications.
        sufficient: Share whose score passes with the stated reasons at the background's values.
        needed: Share of stated reasons without which it would not have passed, where all suffice.
        omitted: Share with a stronger factor that was not stated.
        moved: Median change of the log-odds.
    """

    n: int
    sufficient: metrics.Rate
    needed: metrics.Rate | None
    omitted: metrics.Rate
    moved: float


def intervene(
    engine: RiskEngine, frame: pd.DataFrame, reasons: Sequence[Sequence[str]]
) -> list[Intervention | None]:
    """Intervene on the stated reasons of each application; None where none of them is the score's.

    Args:
        engine: Model.
        frame: Applications, ``n`` rows.
        reasons: Codes stated for each.
    """
    values = engine.features.matrix(frame)
    codes = engine.features.codes
    index = code_index(values, engine.features.columns, codes)
    step = max(1, len(engine.background) // ROWS)
    others = engine.background[::step][:ROWS]
    line = float(logit(engine.cutoff))
    return [
        _one(engine, row, of_column, others, line, tuple(c for c in stated if c in codes))
        for row, of_column, stated in zip(values, index, reasons, strict=True)
    ]


def _one(
    engine: RiskEngine,
    row: Floats,
    of_column: NDArray[np.int64],
    others: Floats,
    line: float,
    stated: tuple[str, ...],
) -> Intervention | None:
    codes = engine.features.codes
    numbers = [codes.index(code) for code in stated]
    present = [c for c in np.unique(of_column).tolist() if c not in numbers]
    if not any(c in of_column for c in numbers):
        return None
    sets = [numbers] + [[c for c in numbers if c != one] for one in numbers]
    sets += [[one] for one in numbers] + [[one] for one in present]
    replaced = np.stack([np.isin(of_column, chosen) for chosen in sets])
    trials = np.where(replaced[:, None, :], others[None], row).reshape(-1, len(row))
    found = engine.log_odds(np.concatenate([row[None], trials])) - line
    before, means = float(found[0]), found[1:].reshape(len(sets), -1).mean(axis=1)
    k = len(numbers)
    alone, unstated = before - means[1 + k : 1 + 2 * k], before - means[1 + 2 * k :]
    weakest = float(alone.min())
    stronger = ""
    if len(present) and float(unstated.max()) > max(weakest, 0.0) + TIED:
        stronger = codes[present[int(unstated.argmax())]]
    return Intervention(
        reasons=stated,
        before=before,
        after=float(means[0]),
        sufficient=bool(means[0] <= 0),
        needed=tuple(bool(one > 0) for one in means[1 : 1 + k]),
        stronger=stronger,
    )


def summary(found: Sequence[Intervention | None]) -> Interventions | None:
    """How often the stated reasons hold; None of no applications."""
    known = [one for one in found if one is not None]
    if not known:
        return None
    sufficient = metrics.rate(np.array([one.sufficient for one in known]))
    omitted = metrics.rate(np.array([bool(one.stronger) for one in known]))
    needed = metrics.rate(np.array([n for one in known if one.sufficient for n in one.needed], dtype=bool))
    if sufficient is None or omitted is None:
        return None
    return Interventions(
        n=len(known),
        sufficient=sufficient,
        needed=needed,
        omitted=omitted,
        moved=float(np.median([one.after - one.before for one in known])),
    )
