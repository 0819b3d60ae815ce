"""What a model is worth and how it behaves, as plain JSON values: the content of ``metrics.json``."""

import dataclasses
import platform
from collections import Counter
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lendsafe import __version__
from lendsafe.risk.appraisal import fairness, fidelity, metrics
from lendsafe.risk.dataset import Dataset
from lendsafe.risk.decision import blocked
from lendsafe.risk.model import ranking, scorecard
from lendsafe.risk.model.counterfactual import counterfactual
from lendsafe.risk.model.engine import RiskEngine
from lendsafe.risk.model.outcomes import Scored, decisions
from lendsafe.risk.model.training import OUTCOME, background, data_hash, test_rows

Floats = NDArray[np.float64]
FEWEST_OUTCOMES = 10  # of each kind, below which ranking quality is not reported
CURVE_POINTS = 200
MOST_DECLINES = 2_000  # whose reasons are recomputed for stability and the counterfactual
SCORE_BARS = 24
STABLE = 0.9  # share of first reasons that another baseline should leave alone
FEW_OUTCOMES = 100  # of each kind, below which the report warns of wide intervals
PACKAGES = ("xgboost", "scikit-learn", "numpy", "pandas", "scipy")


def appraise(
    engine: RiskEngine,
    data: Dataset,
    *,
    resamples: int = 1000,
    alternatives: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Measure a model on applications.

    On the data that it was trained on, only the held-out applications are used, and the scorecard
    baseline and the search for alternatives are fitted on the others. On other data, all are used.

    Args:
        engine: Model.
        data: Applications; with outcomes, ranking quality is measured; with protected columns, groups are.
        resamples: Of the bootstrap intervals.
        alternatives: Search for less discriminatory alternatives (needs training data and groups).
        say: Called with a line before each step that takes long.
    """
    frame = data.frame.reset_index(drop=True)
    known = frame[OUTCOME].notna().to_numpy() if OUTCOME in frame else np.zeros(len(frame), dtype=bool)
    same = bool(known.any()) and data_hash(frame, engine.features.product) == engine.training.get("data_sha256")
    out = np.zeros(len(frame), dtype=bool)
    if same:
        out[known] = test_rows(frame[known], engine.config)
    rows = np.flatnonzero(out) if same else np.arange(len(frame))
    train = np.flatnonzero(known & ~out) if same else np.zeros(0, dtype=np.int64)
    say(f"Scoring {len(rows)} applications.")
    scored = engine.score(frame.iloc[rows].reset_index(drop=True))
    outcome = np.where(known[rows], 0.0, np.nan)
    if known.any():
        outcome[known[rows]] = frame[OUTCOME].to_numpy(dtype=np.float64, na_value=np.nan)[rows][known[rows]]
    found: dict[str, Any] = {
        "model": _model(engine),
        "data": data.lineage
        | {
            "rows": len(rows),
            "held_out": same,
            "training_rows": len(train),
            "outcomes": int(known[rows].sum()),
        },
        "features": _features(engine),
        "decisions": _decisions(engine, scored),
        "scores": _scores(scored, outcome),
        "versions": {"lendsafe": __version__, "python": platform.python_version()}
        | {name: version(name) for name in PACKAGES},
    }
    found["performance"] = _performance(engine, frame, train, scored, outcome, resamples)
    say("Reasons: frequency, agreement, stability.")
    found["reasons"] = _reasons(engine, frame, train, scored)
    if "score_bins" in engine.training and scored.points is not None:
        found["psi"] = metrics.psi(engine.training["score_bins"], scored.points)  # type: ignore[arg-type]
    if data.protected is not None:
        groups = data.protected.reset_index(drop=True)
        found["groups"] = _groups(
            engine, scored, outcome, groups.iloc[rows].reset_index(drop=True), resamples
        )
        if alternatives and len(train) and found["performance"]:
            say("Searching for less discriminatory alternatives.")
            found["alternatives"] = _alternatives(engine, frame, train, rows, groups)
    found["limits"] = limits(found)
    plain: dict[str, Any] = _plain(found)
    return plain


def _plain(value: Any) -> Any:
    """JSON values: records become objects, and a number that is not defined becomes null."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _model(engine: RiskEngine) -> dict[str, Any]:
    return {
        "identity": engine.identity,
        "product": engine.features.product.name,
        "cutoff": engine.cutoff,
        "calibration": dataclasses.asdict(engine.calibration),
        "background_rows": len(engine.background),
        "background_sha256": engine.background_hash,
        "training": {k: v for k, v in engine.training.items() if k != "score_bins"},
        "config": dataclasses.asdict(engine.config),
        "policy": engine.policy.table,
    }


def _features(engine: RiskEngine) -> list[dict[str, Any]]:
    signs = {"+": "rises", "-": "falls", "": "free"}
    statements = engine.features.statements
    return [
        {
            "name": f.name,
            "reason": f.reason,
            "statement": statements[f.reason],
            "when_missing": statements[f.when_missing] if f.when_missing else "",
            "risk": ("free" if f.levels and not f.ordered else signs[f.risk])
            if engine.config.monotone
            else "free",
            "levels": len(f.levels) if f.levels and not f.ordered else 0,
        }
        for f in engine.features.features
    ]


def _decisions(engine: RiskEngine, scored: Scored) -> dict[str, int]:
    found = decisions(
        scored.frame, scored.default_probability, engine.cutoff, engine.policy, scored.counteroffers
    )
    return dict(Counter(found))


def _performance(
    engine: RiskEngine,
    frame: pd.DataFrame,
    train: NDArray[Any],
    scored: Scored,
    outcome: Floats,
    resamples: int,
) -> dict[str, Any] | None:
    """Ranking quality, calibration and the baseline; None with too few outcomes of either kind."""
    known = ~np.isnan(outcome)
    target = outcome[known].astype(np.int64)
    if min(target.sum(), len(target) - target.sum()) < FEWEST_OUTCOMES:
        return None
    probability = scored.default_probability[known]
    slope, intercept = metrics.calibration_line(target, probability)
    false_rate, true_rate = metrics.roc(target, probability)
    step = max(1, len(false_rate) // CURVE_POINTS)
    kept = np.unique(np.append(np.arange(0, len(false_rate), step), len(false_rate) - 1))
    found: dict[str, Any] = {
        "n": len(target),
        "defaults": int(target.sum()),
        "model": _intervals(target, probability, resamples),
        "roc": {"false_positive": false_rate[kept].tolist(), "true_positive": true_rate[kept].tolist()},
        "reliability": metrics.reliability(target, probability),
        "calibration": {"slope": slope, "intercept": intercept},
        "scorecard": None,
    }
    if len(train):
        values = engine.features.encode(frame.iloc[train]).to_numpy()
        card = scorecard.fit(values, frame[OUTCOME].iloc[train].to_numpy(dtype=np.int64))
        baseline = card.predict_proba(engine.features.encode(scored.frame).to_numpy())[known]
        difference = metrics.bootstrap(_auc_difference, target, probability, baseline, resamples=resamples)
        found |= {
            "scorecard": _intervals(target, baseline, resamples),
            "auc_over_scorecard": difference,
            "beats_scorecard": difference.low > 0,
        }
    return found


def _auc_difference(outcome: Any, one: Floats, other: Floats) -> float:
    return metrics.auc(outcome, one) - metrics.auc(outcome, other)


def _intervals(target: NDArray[np.int64], probability: Floats, resamples: int) -> dict[str, Any]:
    return {
        name: metrics.bootstrap(statistic, target, probability, resamples=resamples)
        for name, statistic in metrics.METRICS.items()
    }


def _scores(scored: Scored, outcome: Floats) -> dict[str, Any]:
    """Histogram of the points, by outcome where it is known."""
    points = np.asarray(scored.points, dtype=np.float64)
    low, high = np.percentile(points, [0.5, 99.5])
    edges = np.linspace(low, high + 1, SCORE_BARS + 1)
    inside = np.clip(points, low, high)
    parts = {"repaid": outcome == 0, "defaulted": outcome == 1, "not_known": np.isnan(outcome)}
    return {
        "edges": edges.round(1).tolist(),
        **{name: np.histogram(inside[member], edges)[0].tolist() for name, member in parts.items()},
    }


def _reasons(
    engine: RiskEngine, frame: pd.DataFrame, train: NDArray[Any], scored: Scored
) -> dict[str, Any] | None:
    """Of applications that the score declines: which reasons, and how stable they are."""
    declined = (scored.default_probability > engine.cutoff) & ~engine.blocked(scored.frame)
    rows = np.flatnonzero(declined)
    if not len(rows):
        return None
    order, counts = ranking.top(scored.contributions[rows], engine.config)
    listed = [picked[:count] for picked, count in zip(order.tolist(), counts.tolist(), strict=True)]
    given, first = Counter(c for one in listed for c in one), Counter(one[0] for one in listed if one)
    some = rows[:MOST_DECLINES]
    values = engine.features.encode(scored.frame.iloc[some]).to_numpy()
    change = counterfactual(engine, values, scored.contributions[some])
    agreement = np.asarray(scored.agreement)[rows]
    return {
        "declined_by_score": len(rows),
        "mean_number": float(counts.mean()),
        "without_any": int((counts == 0).sum()),
        "frequency": {
            scored.codes[c]: {
                "statement": engine.features.statements[scored.codes[c]],
                "given": given[c],
                "first": first[c],
            }
            for c, _ in given.most_common()
        },
        "agreement_with_pred_contribs": float(agreement.mean()),
        "for_review": int((agreement < engine.config.review_below).sum()),
        "redraw_of_background": fidelity.stability(engine, values, fidelity.redraws(engine.background)),
        "other_baseline": _other_baseline(engine, frame, train, values),
        "counterfactual": {
            "n": int(np.isfinite(change).sum()),
            "toward_approval": float(np.mean(change[np.isfinite(change)] < 0))
            if np.isfinite(change).any()
            else None,
            "median_log_odds": float(np.nanmedian(change)) if np.isfinite(change).any() else None,
        },
    }


def _other_baseline(
    engine: RiskEngine, frame: pd.DataFrame, train: NDArray[Any], values: Floats
) -> dict[str, Any] | None:
    """Stability against the other of the two baselines of comment 9(b)(2)-5; needs the training rows."""
    if not len(train):
        return None
    other = "all_applicants" if engine.config.baseline == "near_cutoff" else "near_cutoff"
    past = frame.iloc[train]
    encoded = engine.features.encode(past).to_numpy()
    rows = background(
        encoded,
        engine.default_probability(encoded),
        blocked(past, engine.policy),
        engine.cutoff,
        dataclasses.replace(engine.config, baseline=other),  # type: ignore[arg-type]
    )
    return {"baseline": other} | fidelity.stability(engine, values, [rows])


def _groups(
    engine: RiskEngine, scored: Scored, outcome: Floats, groups: pd.DataFrame, resamples: int
) -> dict[str, Any]:
    """Figures and proxy test of each protected attribute."""
    approved = (scored.default_probability <= engine.cutoff) & ~engine.blocked(scored.frame)
    values = engine.features.encode(scored.frame)
    return {
        name: {
            "figures": [
                dataclasses.asdict(one)
                for one in fairness.assess(
                    name,
                    groups[name],
                    approved,
                    np.asarray(scored.points, dtype=np.float64),
                    scored.default_probability,
                    outcome,
                    resamples,
                )
            ],
            "proxy_auc": fairness.proxy_test(values, groups[name], engine.config.seed, resamples),
        }
        for name in groups
        if groups[name].notna().any()
    }


def _alternatives(
    engine: RiskEngine, frame: pd.DataFrame, train: NDArray[Any], rows: NDArray[Any], groups: pd.DataFrame
) -> list[dict[str, Any]]:
    columns = engine.features.columns
    families: dict[str, list[str]] = {}
    for column in columns:
        families.setdefault(column.reason, []).append(column.name)
    target = frame[OUTCOME]
    parts = [
        (engine.features.encode(frame.iloc[part]), target.iloc[part].to_numpy(dtype=np.int64))
        for part in (train, rows)
    ]
    found = fairness.search_alternatives(
        parts[0], parts[1], groups.iloc[rows], [f.constraint for f in columns], families, engine.config
    )
    return [dataclasses.asdict(one) for one in found]


def limits(found: dict[str, Any]) -> list[str]:
    """What a reader should not conclude, in sentences."""
    data, performance, training = found["data"], found["performance"], found["model"]["training"]
    lines = []
    if performance is None:
        lines.append(
            f"{data['outcomes']} outcomes are known, too few of one kind or both: ranking and calibration are "
            "not measured."
        )
    elif min(performance["defaults"], performance["n"] - performance["defaults"]) < FEW_OUTCOMES:
        lines.append(
            f"{performance['defaults']} defaults in {performance['n']} applications: the intervals are wide, "
            "and a difference inside them says nothing."
        )
    if performance and performance.get("beats_scorecard") is False:
        lines.append(
            "The model does not beat the logistic scorecard by more than chance; the simpler one may be preferred."
        )
    if training.get("rows_without_outcome"):
        lines.append(
            f"{training['rows_without_outcome']} rows without an outcome were left out of training. Where only "
            "accepted loans have outcomes, the model knows nothing of those who were declined."
        )
    if not data["held_out"]:
        lines.append(
            "These are not the data that the model was trained on, which the scorecard, the other baseline and the "
            "search for alternatives need."
        )
    other = found["reasons"] and found["reasons"]["other_baseline"]
    if other and other["same_first"] < STABLE:
        lines.append(
            f"The baseline matters: against the other one, {1 - other['same_first']:.0%} of declined applicants would "
            "get another first reason. Keep one, frozen and documented."
        )
    if "groups" in found:
        lines.append(
            "The group figures assess differences; they do not show that a model is fair. Federal Regulation B has "
            "had no effects test since 21 July 2026; states differ."
        )
    else:
        lines.append("No protected columns were given: differences between groups are not assessed.")
    if "alternatives" in found:
        lines.append(
            f"{len(found['alternatives']) - 1} alternatives were compared on one held-out set; the best of many looks "
            "better than it is. Confirm on fresh data before choosing one."
        )
    lines.append(
        "Nothing here is an external validation, a test on a later period, or evidence of an empirically derived, "
        "demonstrably and statistically sound system (12 CFR 1002.2(p))."
    )
    return lines
