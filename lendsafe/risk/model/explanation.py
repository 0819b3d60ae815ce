"""One application after the other: decision, signed reasons, the values behind them, and how firm they are."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lendsafe.product.table import IDENTIFIER
from lendsafe.records import Reason
from lendsafe.risk.features import code_index
from lendsafe.risk.model.counterfactual import counterfactual
from lendsafe.risk.model.engine import RiskEngine
from lendsafe.risk.model.outcomes import reasons_of, strengths_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """A feature behind a factor: its value, None where not known, and its push on the log-odds."""

    name: str
    value: float | str | None
    contribution: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """A reason or a strength with what it sums.

    Attributes:
        code: Reason.
        statement: Its wording.
        contribution: Push on the log-odds of default; positive is adverse.
        strength: How large that is, in a word.
        knockout: Whether a rule, not the score, made it a reason.
        features: What it sums; those that push nothing are left out.
    """

    code: str
    statement: str
    contribution: float
    strength: str
    knockout: bool
    features: tuple[Input, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """One application: the decision and everything behind it.

    Attributes:
        applicant_id: Its identifier, or its row.
        decision: ``approved``, ``declined``, ``counteroffer`` or ``incomplete``.
        default_probability: Calibrated.
        cutoff: Largest probability that is approved.
        score: Points.
        reasons: Adverse factors that are given, first the most adverse.
        strengths: Favourable factors.
        missing: Required items that are not known.
        counteroffer_amount: Amount that would be approved; None where none.
        agreement: Share of the reasons on which two attributions agree.
        review: Whether a person should look.
        counterfactual: Change of the log-odds with the reasons' features at the background's values.
        risk_model: Identity of the model.
    """

    applicant_id: str
    decision: str
    default_probability: float
    cutoff: float
    score: int
    reasons: tuple[Factor, ...]
    strengths: tuple[Factor, ...]
    missing: tuple[str, ...]
    counteroffer_amount: float | None
    agreement: float
    review: bool
    counterfactual: float | None
    risk_model: str


def explain(engine: RiskEngine, frame: pd.DataFrame) -> list[Explained]:
    """Explain every application of a frame, in its order.

    Args:
        engine: Model.
        frame: Applications; further columns are ignored.

    Raises:
        DataError: If a column is absent or a value cannot be used.
    """
    scored = engine.score(frame)
    values = engine.features.matrix(frame)
    pushes = engine.attribute(values)
    index = code_index(values, engine.features.columns, engine.features.codes)
    decided = engine.decide(frame)
    reasons = reasons_of(scored, engine.cutoff, list(decided["decision"]), engine.config)
    strengths = strengths_of(scored, engine.config)
    change = counterfactual(engine, values, scored.contributions)
    inputs = _inputs(engine)
    texts = {f.name for f in engine.features.features if f.levels}

    def factor(row: int, one: Reason) -> Factor:
        member = index[row] == scored.codes.index(one.code)
        summed = [(name, columns, pushes[row, columns][member[columns]].sum()) for name, columns in inputs]
        return Factor(
            code=one.code,
            statement=engine.features.statements[one.code],
            contribution=one.contribution,
            strength=one.strength,
            knockout=one.knockout,
            features=tuple(
                Input(
                    name=name,
                    value=_text(frame[name].iloc[row]) if name in texts else _number(values[row, columns[0]]),
                    contribution=float(push),
                )
                for name, columns, push in summed
                if push
            ),
        )

    found = []
    for i, row in enumerate(decided.to_dict("records")):
        incomplete = row["decision"] == "incomplete"
        found.append(
            Explained(
                applicant_id=str(row.get(IDENTIFIER, i)),
                decision=row["decision"],
                default_probability=row["default_probability"],
                cutoff=engine.cutoff,
                score=int(row["score"]),
                reasons=tuple(factor(i, one) for one in reasons[i]),
                strengths=() if incomplete else tuple(factor(i, one) for one in strengths[i]),
                missing=tuple(
                    n for n, out in zip(engine.policy.required, scored.facts.missing[i], strict=True) if out
                )
                if incomplete
                else (),
                counteroffer_amount=_number(row.get("counteroffer_amount", np.nan)),
                agreement=float(row["agreement"]),
                review=bool(row["review"]),
                counterfactual=None if incomplete or np.isnan(change[i]) else float(change[i]),
                risk_model=engine.identity,
            )
        )
    return found


def _inputs(engine: RiskEngine) -> list[tuple[str, list[int]]]:
    """Features with the columns of the encoded matrix that they fill."""
    found, at = [], 0
    for f in engine.features.features:
        width = len(f.levels) if f.levels and not f.ordered else 1
        found.append((f.name, list(range(at, at + width))))
        at += width
    return found


def _text(value: Any) -> str | None:
    return None if pd.isna(value) else str(value)


def _number(value: float) -> float | None:
    """A number, whole ones without a fraction; None where it is not known."""
    if np.isnan(value):
        return None
    return int(value) if float(value).is_integer() else float(value)
