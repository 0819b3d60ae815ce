"""How far the reasons can be trusted: against the truth where it is known, and redraws."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lendsafe.risk.config import RiskConfig
from lendsafe.risk.model import ranking
from lendsafe.risk.model.engine import RiskEngine
from lendsafe.risk.model.shapley import Attribution

Floats = NDArray[np.float64]


def matches(given: Sequence[Sequence[str]], true: Sequence[Sequence[str]]) -> dict[str, float]:
    """Precision, recall and F1 of reason sets, and how often the first true reason is given first.

    Args:
        given: Reason codes of each application, most adverse first.
        true: The true ones, in the same order; none of them empty.

    Returns:
        ``n``, ``first``, ``precision``, ``recall``, ``f1``; the middle three over all reasons together.

    Raises:
        ValueError: If there are no applications, or an application has no true reason.
    """
    if not true or len(given) != len(true) or not all(true):
        raise ValueError("Reasons of at least one application are needed, each with a true one.")
    both = sum(len(set(a) & set(b)) for a, b in zip(given, true, strict=True))
    named, wanted = sum(map(len, given)), sum(map(len, true))
    return {
        "n": len(true),
        "first": sum(bool(a) and a[0] == b[0] for a, b in zip(given, true, strict=True)) / len(true),
        "precision": both / named if named else 0.0,
        "recall": both / wanted,
        "f1": 2 * both / (named + wanted),
    }


def stability(engine: RiskEngine, values: Floats, backgrounds: Sequence[Floats]) -> dict[str, float]:
    """How often other backgrounds give the same reasons, over applications and backgrounds.

    Args:
        engine: Model whose own background gives the reasons that are compared.
        values: Encoded rows of declined applications, ``(n, columns)``.
        backgrounds: Backgrounds to compare with, each ``(rows, columns)``.

    Returns:
        ``same_set`` and ``same_first``: shares in [0, 1]; ``n`` applications.
    """
    own = _reasons(engine.grouped(values, engine.attribute(values)), engine.config)
    sets, firsts = [], []
    for background in backgrounds:
        attributed = engine.calibration.slope * Attribution(engine.ensemble, background)(values)
        other = _reasons(engine.grouped(values, attributed), engine.config)
        sets += [set(a) == set(b) for a, b in zip(own, other, strict=True)]
        firsts += [a[:1] == b[:1] for a, b in zip(own, other, strict=True)]
    return {"n": len(values), "same_set": float(np.mean(sets)), "same_first": float(np.mean(firsts))}


def redraws(background: Floats, count: int = 5, seed: int = 0) -> list[Floats]:
    """Backgrounds of the same size drawn from one with replacement: the noise of a redraw."""
    rng = np.random.default_rng(seed)
    return [background[rng.integers(0, len(background), len(background))] for _ in range(count)]


def _reasons(contributions: Floats, config: RiskConfig) -> list[list[int]]:
    order, counts = ranking.top(contributions, config)
    return [picked[:count] for picked, count in zip(order.tolist(), counts.tolist(), strict=True)]
