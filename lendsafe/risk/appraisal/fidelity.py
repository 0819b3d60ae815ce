"""How far the reasons can be trusted: against the truth where it is known, redraws, and refits."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lendsafe.risk.config import RiskConfig
from lendsafe.risk.model import ranking, training
from lendsafe.risk.model.classifier import RiskModel
from lendsafe.risk.model.engine import RiskEngine
from lendsafe.risk.model.unknown import filled

Floats = NDArray[np.float64]
KEPT = 0.9  # share of the training rows that a refit sees


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    """How given reasons match true ones.

    Attributes:
        n: Applications.
        first: Share whose first true reason is given first.
        precision: Of all reasons given, the share that is true.
        recall: Of all true reasons, the share that is given.
        f1: Harmonic mean of the two.
    """

    n: int
    first: float
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Stability:
    """How often something else gives the same reasons.

    Attributes:
        n: Applications.
        same_set: Share of the same reasons in any order, over applications and repetitions.
        same_first: Share of the same first reason.
    """

    n: int
    same_set: float
    same_first: float


def matches(given: Sequence[Sequence[str]], true: Sequence[Sequence[str]]) -> Matches:
    """Precision, recall and F1 of reason sets, and how often the first true reason is given first.

    Args:
        given: Reason codes of each application, most adverse first.
        true: The true ones, in the same order; none of them empty.

    Raises:
        ValueError: If there are no applications, or an application has no true reason.
    """
    if not true or len(given) != len(true) or not all(true):
        raise ValueError("Reasons of at least one application are needed, each with a true one.")
    both = sum(len(set(a) & set(b)) for a, b in zip(given, true, strict=True))
    named, wanted = sum(map(len, given)), sum(map(len, true))
    return Matches(
        n=len(true),
        first=sum(bool(a) and a[0] == b[0] for a, b in zip(given, true, strict=True)) / len(true),
        precision=both / named if named else 0.0,
        recall=both / wanted,
        f1=2 * both / (named + wanted),
    )


def stability(engine: RiskEngine, values: Floats, backgrounds: Sequence[Floats]) -> Stability:
    """How often other backgrounds give the same reasons.

    Args:
        engine: Model whose own background gives the reasons that are compared.
        values: Encoded rows of declined applications, ``(n, columns)``.
        backgrounds: Backgrounds to compare with, each ``(rows, columns)``.
    """
    own = reasons(engine, values)
    others = [reasons(dataclasses.replace(engine, background=one), values) for one in backgrounds]
    return _compared(own, [[(i, row) for i, row in enumerate(other)] for other in others])


def redraws(background: Floats, count: int = 5, seed: int = 0) -> list[Floats]:
    """Backgrounds of the same size drawn from one with replacement: the noise of a redraw."""
    rng = np.random.default_rng(seed)
    return [background[rng.integers(0, len(background), len(background))] for _ in range(count)]


def refits(
    engine: RiskEngine,
    values: Floats,
    train: tuple[Floats, NDArray[np.int64], NDArray[np.bool_]],
    count: int = 10,
    seed: int = 0,
) -> Stability:
    """How often refits on nine tenths of the training rows give the same reasons.

    Depth and number of trees stay, cut-off and calibration too; trees and background are new. Compared
    are applications that both decline.

    Args:
        engine: Model.
        values: Encoded rows of applications that it declines, ``(n, columns)``.
        train: Encoded training rows, their outcomes, and which of them a rule blocks.
        count: Refits.
        seed: Of the draws.
    """
    own = reasons(engine, values)
    others = []
    for other in refitted(engine, train, count, seed):
        both = np.flatnonzero(other.default_probability(values) > engine.cutoff)
        others.append(list(zip(both.tolist(), reasons(other, values[both]), strict=True)))
    return _compared(own, others)


def refitted(
    engine: RiskEngine,
    train: tuple[Floats, NDArray[np.int64], NDArray[np.bool_]],
    count: int,
    seed: int = 0,
) -> list[RiskEngine]:
    """The model again, fitted on draws of nine tenths of its training rows."""
    rows, outcome, out = train
    seen = filled(rows, engine.features, engine.config)
    found = []
    for k in range(count):
        drawn = np.random.default_rng([seed, k]).permutation(len(rows))[: int(KEPT * len(rows))]
        model = RiskModel.from_config(engine.config, [f.constraint for f in engine.features.columns])
        model.refit(seen[drawn], outcome[drawn], depth=engine.training.depth, trees=engine.training.trees)
        other = dataclasses.replace(engine, ensemble=model.ensemble_)
        probability = other.default_probability(rows[drawn])
        background = training.background(rows[drawn], probability, out[drawn], engine.cutoff, engine.config)
        found.append(dataclasses.replace(other, background=background))
    return found


def reasons(engine: RiskEngine, values: Floats) -> list[list[int]]:
    """Material reasons of encoded rows as numbers of codes, most adverse first."""
    return _listed(engine.grouped(values, engine.attribute(values)), engine.config)


def _compared(own: Sequence[list[int]], others: Sequence[Sequence[tuple[int, list[int]]]]) -> Stability:
    pairs = [(own[i], row) for other in others for i, row in other]
    if not pairs:
        return Stability(n=0, same_set=float("nan"), same_first=float("nan"))
    return Stability(
        n=len(own),
        same_set=float(np.mean([set(a) == set(b) for a, b in pairs])),
        same_first=float(np.mean([a[:1] == b[:1] for a, b in pairs])),
    )


def _listed(contributions: Floats, config: RiskConfig) -> list[list[int]]:
    order, counts = ranking.top(contributions, config)
    return [picked[:count] for picked, count in zip(order.tolist(), counts.tolist(), strict=True)]
