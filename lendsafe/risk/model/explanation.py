"""One application after the other: decision, signed reasons, the values behind them, and how firm they are."""

from typing import Any

import numpy as np
import pandas as pd

from lendsafe.product.table import IDENTIFIER
from lendsafe.risk.features import code_index
from lendsafe.risk.model.counterfactual import counterfactual
from lendsafe.risk.model.engine import RiskEngine
from lendsafe.risk.model.outcomes import reasons_of, strengths_of


def explain(engine: RiskEngine, frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Explain every application of a frame, as JSON values.

    Each has ``applicant_id``, ``decision``, ``default_probability``, ``score``, ``reasons`` and
    ``strengths`` (``code``, ``statement``, ``contribution`` on the log-odds, ``knockout``, and the
    ``features`` that it sums with their values and contributions), ``missing`` items, ``agreement``
    with the second attribution, ``review``, ``counteroffer_amount``, and ``counterfactual``: the
    change of the log-odds with the reasons' features at the background's values.
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

    def factor(row: int, one: Any) -> dict[str, Any]:
        member = index[row] == scored.codes.index(one.code)
        summed = [(name, columns, pushes[row, columns][member[columns]].sum()) for name, columns in inputs]
        return {
            "code": one.code,
            "statement": engine.features.statements[one.code],
            "contribution": one.contribution,
            "strength": one.strength,
            "knockout": one.knockout,
            "features": [
                {
                    "name": name,
                    "value": _text(frame[name].iloc[row])
                    if name in texts
                    else _value(values[row, columns[0]]),
                    "contribution": float(push),
                }
                for name, columns, push in summed
                if push
            ],
        }

    found = []
    for i, row in enumerate(decided.to_dict("records")):
        incomplete = row["decision"] == "incomplete"
        found.append(
            {
                "applicant_id": str(row.get(IDENTIFIER, i)),
                "decision": row["decision"],
                "default_probability": row["default_probability"],
                "cutoff": engine.cutoff,
                "score": int(row["score"]),
                "reasons": [factor(i, one) for one in reasons[i]],
                "strengths": [] if incomplete else [factor(i, one) for one in strengths[i]],
                "missing": [
                    n for n, out in zip(engine.policy.required, scored.facts.missing[i], strict=True) if out
                ]
                if incomplete
                else [],
                "counteroffer_amount": _value(row.get("counteroffer_amount", np.nan)),
                "agreement": row["agreement"],
                "review": bool(row["review"]),
                "counterfactual": None if incomplete else _value(change[i]),
                "risk_model": engine.identity,
            }
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


def _value(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
