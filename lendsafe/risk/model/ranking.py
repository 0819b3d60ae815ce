"""From contributions on the log-odds to ranked reasons. Pure: arrays in, records out.

Contributions that share a reason are summed before anything is ranked; only adverse sums at or
above the materiality floor become reasons, at most four, never padded; equal sums keep the
order of the catalogue. The favourable side is ranked the same way.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lendsafe.records import Reason, Strength
from lendsafe.risk.config import RiskConfig

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def grouped(contributions: Floats, code_index: Integers, codes: int) -> Floats:
    """Sum the contributions of features that share a reason.

    Args:
        contributions: Per feature, ``(n, features)``, on the log-odds of default.
        code_index: Reason of each feature for each applicant, ``(n, features)``, in ``[0, codes)``;
            it varies by applicant because a value that is not known has a reason of its own.
        codes: Number of reasons.

    Returns:
        Per reason, ``(n, codes)``.
    """
    rows = np.arange(len(contributions))[:, None] * codes
    flat = np.bincount(
        (rows + code_index).ravel(), weights=contributions.ravel(), minlength=len(contributions) * codes
    )
    return flat.astype(np.float64).reshape(len(contributions), codes)


def rank(contributions: Floats, codes: Sequence[str], config: RiskConfig) -> list[tuple[Reason, ...]]:
    """Adverse reasons of each applicant, most adverse first.

    Args:
        contributions: Per reason, ``(n, codes)``, against the baseline; positive is adverse.
            Negate it to rank strengths, and the reported contributions stay as given.
        codes: Reasons in the fixed order that breaks ties.
        config: Floor, thresholds and the largest number of reasons.
    """
    order, counts = top(contributions, config)
    return [
        tuple(_reason(codes[c], float(row[c]), 1.0, config) for c in picked[:count])
        for row, picked, count in zip(contributions, order.tolist(), counts.tolist(), strict=True)
    ]


def rank_strengths(
    contributions: Floats, codes: Sequence[str], config: RiskConfig
) -> list[tuple[Reason, ...]]:
    """Favourable factors of each applicant, most favourable first; contributions stay negative."""
    order, counts = top(-contributions, config)
    return [
        tuple(_reason(codes[c], float(row[c]), -1.0, config) for c in picked[:count])
        for row, picked, count in zip(contributions, order.tolist(), counts.tolist(), strict=True)
    ]


def most_adverse(contributions: Floats, codes: Sequence[str], config: RiskConfig) -> tuple[Reason, ...]:
    """The one factor that pushes an application most, ``(codes,)``, however little; none if none is adverse."""
    at = int(np.argmax(np.round(contributions, 9)))
    push = float(contributions[at])
    return (_reason(codes[at], push, 1.0, config),) if push > 0 else ()


def top(contributions: Floats, config: RiskConfig) -> tuple[Integers, Integers]:
    """Columns of the largest contributions and how many of them are material.

    Returns:
        Columns ``(n, max_reasons)``, largest first, and counts ``(n,)`` of leading columns to use.
    """
    # Rounding makes sums that differ only by floating point noise tie, so the fixed order decides.
    order = np.argsort(-np.round(contributions, 9), axis=1, kind="stable")[:, : config.max_reasons]
    counts = np.count_nonzero(np.take_along_axis(contributions, order, axis=1) >= config.materiality, axis=1)
    return order.astype(np.int64), counts.astype(np.int64)


def strength(push: float, config: RiskConfig) -> Strength:
    """Say in a word how large a push on the log-odds is."""
    size = abs(push)
    if size >= config.strong:
        return "strong"
    return "moderate" if size >= config.moderate else "slight"


def _reason(code: str, contribution: float, sign: float, config: RiskConfig) -> Reason:
    return Reason(code=code, contribution=contribution, strength=strength(sign * contribution, config))
