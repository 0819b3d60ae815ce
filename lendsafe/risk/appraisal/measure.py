"""Measure what a model is worth and how it behaves."""

import dataclasses
import platform
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lendsafe import __version__
from lendsafe.errors import DataError
from lendsafe.risk.appraisal import (
    alternatives,
    fairness,
    fidelity,
    intervention,
    metrics,
    overrides,
    unknowns,
    vintages,
)
from lendsafe.risk.appraisal.records import (
    Appraisal,
    DataFacts,
    FeatureFacts,
    GroupTable,
    Histogram,
    ModelFacts,
    Performance,
    ReasonFrequency,
    Reasons,
    Sample,
)
from lendsafe.risk.features import numbers
from lendsafe.risk.model import ranking, scorecard, seen, training
from lendsafe.risk.model.counterfactual import counterfactual
from lendsafe.risk.model.engine import RiskEngine
from lendsafe.risk.model.outcomes import Scored, decisions
from lendsafe.risk.model.scale import cutoff_points

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
FEWEST_OUTCOMES = 10  # of each kind, below which ranking quality is not reported
CURVE_POINTS = 200
MOST_DECLINES = 1_000  # whose reasons are recomputed for stability, and the counterfactual
MOST_INTERVENTIONS = 400
REFITS = 10  # on few rows; on many, reasons hold better and a refit costs more
FEWEST_REFITS = 3
MOST_REFITTED = 300_000  # rows of all refits together
SCORE_BARS = 24
WHOLE = 0.9  # share of the training rows in a file from which it can stand for them
PACKAGES = ("xgboost", "scikit-learn", "numpy", "pandas", "scipy")


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """Applications that are measured on, and the training rows of the same file."""

    frame: pd.DataFrame
    rows: Rows
    scored: Scored
    values: Floats
    outcome: Floats
    decided: NDArray[Any]
    train: alternatives.Part | None
    train_frame: pd.DataFrame


def appraise(
    engine: RiskEngine,
    sample: Sample,
    *,
    resamples: int = 1000,
    search: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> Appraisal:
    """Measure a model on applications.

    Applications that it was trained on are known by their content, whatever the file, and left out.
    Where the file holds (nearly) all of them, the scorecard, the other baseline, the refits and the
    search for alternatives are fitted on them.

    Args:
        engine: Model.
        sample: Applications; with outcomes, ranking quality is measured; with groups, groups are.
        resamples: Of the bootstrap intervals.
        search: Look for less discriminatory alternatives (needs training rows, outcomes and groups).
        say: Called with a line before each step that takes long.

    Raises:
        DataError: If nothing is left to measure on.
    """
    fitted = _fitted_on(engine, sample.frame)
    say(
        f"Scoring {int((~fitted).sum())} applications; {int(fitted.sum())} were in training and are left out."
    )
    part = _measured(engine, sample, fitted)
    performance, card = _performance(engine, part, resamples)
    say("Reasons: frequency, stability, interventions.")
    reasons = _reasons(engine, part)
    declined = (part.scored.default_probability > engine.cutoff) & ~part.scored.facts.blocked
    points = np.asarray(part.scored.points, dtype=np.float64)
    groups, crossed = _groups(engine, part, sample, resamples)
    return Appraisal(
        model=model_facts(engine),
        data=_data(sample, part, fitted),
        features=feature_facts(engine),
        decisions=dict(Counter(part.decided.tolist())),
        scores=_histogram(points, part.outcome),
        performance=performance,
        reasons=reasons,
        drift=metrics.psi(engine.training.scores, points),
        unknowns=unknowns.measure(
            engine,
            part.values[declined],
            None if part.train is None else (part.train.values, part.train.outcome),
        ),
        groups=groups,
        intersections=crossed,
        alternatives=_alternatives(engine, part, sample, resamples, say) if search and performance else (),
        vintages=_vintages(engine, sample, fitted, resamples),
        overrides=_overrides(engine, part),
        versions={"lendsafe": __version__, "python": platform.python_version()}
        | {name: version(name) for name in PACKAGES},
        card=card,
    )


def model_facts(engine: RiskEngine) -> ModelFacts:
    """The model as the report shows it; the hashes of its training rows stay in its folder."""
    return ModelFacts(
        identity=engine.identity,
        product=engine.features.product.name,
        cutoff=engine.cutoff,
        cutoff_points=cutoff_points(engine.cutoff, engine.config),
        calibration=engine.calibration,
        background_rows=len(engine.background),
        background_sha256=engine.background_hash,
        training=dataclasses.replace(engine.training, seen=""),
        config=engine.config,
        policy=engine.policy.table,
    )


def feature_facts(engine: RiskEngine) -> tuple[FeatureFacts, ...]:
    """The features as the report shows them."""
    signs = {"+": "rises", "-": "falls", "": "free"}
    statements = engine.features.statements
    return tuple(
        FeatureFacts(
            name=f.name,
            reason=f.reason,
            statement=statements[f.reason],
            when_missing=statements[f.when_missing] if f.when_missing else "",
            risk="free" if not engine.config.monotone or (f.levels and not f.ordered) else signs[f.risk],
            levels=len(f.levels) if f.levels and not f.ordered else 0,
        )
        for f in engine.features.features
    )


def _fitted_on(engine: RiskEngine, frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Which applications the model was trained on, by content, ``(n,)``."""
    content = seen.hashes(engine.features.matrix(frame))
    return seen.among(content, seen.unpacked(engine.training.seen))


def _measured(engine: RiskEngine, sample: Sample, fitted: NDArray[np.bool_]) -> _Measured:
    frame = sample.frame.reset_index(drop=True)
    rows = np.flatnonzero(~fitted)
    if not len(rows):
        raise DataError(
            f"The model was trained on all {len(frame)} applications of this file; nothing is left to measure on."
        )
    left = frame.iloc[rows].reset_index(drop=True)
    scored = engine.score(left)
    decided = decisions(scored.default_probability, engine.cutoff, scored.facts, scored.counteroffers)
    outcome = _outcome(left)
    inside = np.flatnonzero(fitted & ~np.isnan(_outcome(frame)))
    train, past = None, frame.iloc[inside].reset_index(drop=True)
    if len(inside) >= WHOLE * engine.training.rows:
        groups = pd.DataFrame(index=range(len(inside)))
        if sample.protected is not None:
            groups = sample.protected.reset_index(drop=True).iloc[inside].reset_index(drop=True)
        train = alternatives.Part(
            values=engine.features.matrix(past),
            outcome=_outcome(past).astype(np.int64),
            blocked=engine.blocked(past),
            protected=groups,
        )
    return _Measured(
        frame=frame,
        rows=rows,
        scored=scored,
        values=engine.features.matrix(left),
        outcome=outcome,
        decided=np.array(decided, dtype=object),
        train=train,
        train_frame=past,
    )


def _outcome(frame: pd.DataFrame) -> Floats:
    """0, 1, NaN where not known, ``(n,)``."""
    if training.OUTCOME not in frame:
        return np.full(len(frame), np.nan)
    training.with_outcome(frame)  # refuses what is neither
    return numbers(frame, training.OUTCOME)


def _data(sample: Sample, part: _Measured, fitted: NDArray[np.bool_]) -> DataFacts:
    lineage = sample.lineage
    absent = []
    if sample.protected is not None:
        table = sample.protected.reset_index(drop=True)
        for name in table:
            left = set(table[name].iloc[part.rows].dropna().astype(str))
            absent += [f"{name} {one}" for one in sorted(set(table[name].dropna().astype(str)) - left)]
    return DataFacts(
        source=str(lineage.get("source", "a table")),
        product=str(lineage.get("product", "")),
        sha256=str(lineage.get("sha256", "")),
        edited_since_import=bool(lineage.get("edited_since_import", False)),
        set_aside=tuple(sorted(dict(lineage.get("set_aside", {})).items())),
        unmapped=tuple(lineage.get("unmapped", ())),
        absent=tuple(lineage.get("absent", ())),
        rows=len(part.rows),
        left_out=int(fitted.sum()),
        held_out=part.train is not None,
        outcomes=int((~np.isnan(part.outcome)).sum()),
        groups_absent=tuple(absent),
    )


def _histogram(points: Floats, outcome: Floats) -> Histogram:
    low, high = np.percentile(points, [0.5, 99.5])
    edges = np.linspace(low, high + 1, SCORE_BARS + 1)
    inside = np.clip(points, low, high)
    parts = {"repaid": outcome == 0, "defaulted": outcome == 1, "not_known": np.isnan(outcome)}
    return Histogram(
        edges=tuple(edges.round(1).tolist()),
        **{name: tuple(np.histogram(inside[member], edges)[0].tolist()) for name, member in parts.items()},
    )


def _performance(
    engine: RiskEngine, part: _Measured, resamples: int
) -> tuple[Performance | None, scorecard.Scorecard | None]:
    """Ranking quality, calibration and the challenger; None with too few outcomes of either kind."""
    card = None
    if part.train is not None:
        card = scorecard.fit(part.train.values, part.train.outcome, engine.features, engine.config)
    known = ~np.isnan(part.outcome)
    target = part.outcome[known].astype(np.int64)
    if min(target.sum(), len(target) - target.sum()) < FEWEST_OUTCOMES:
        return None, card
    probability = part.scored.default_probability[known]
    risks = [probability] if card is None else [probability, card.predict_proba(part.values[known])]
    qualities, over = metrics.compare(target, risks, resamples=resamples)
    false_rate, true_rate = metrics.roc(target, probability)
    step = max(1, len(false_rate) // CURVE_POINTS)
    kept = np.unique(np.append(np.arange(0, len(false_rate), step), len(false_rate) - 1))
    found = Performance(
        n=len(target),
        defaults=int(target.sum()),
        model=qualities[0],
        false_positive=tuple(false_rate[kept].tolist()),
        true_positive=tuple(true_rate[kept].tolist()),
        reliability=metrics.reliability(target, probability),
        calibration=metrics.calibration_line(target, probability),
        scorecard=qualities[1] if card else None,
        auc_over_scorecard=over[0] if card else None,
        recommended="" if not card else "model" if over[0].low > 0 else "scorecard",
    )
    return found, card


def _reasons(engine: RiskEngine, part: _Measured) -> Reasons | None:
    """Of applications that the score declines: which reasons, and how stable they are."""
    scored = part.scored
    rows = np.flatnonzero((scored.default_probability > engine.cutoff) & ~scored.facts.blocked)
    if not len(rows):
        return None
    order, counts = ranking.top(scored.contributions[rows], engine.config)
    listed = [picked[: max(count, 1)] for picked, count in zip(order.tolist(), counts.tolist(), strict=True)]
    given, first = Counter(c for one in listed for c in one), Counter(one[0] for one in listed)
    some = rows[:MOST_DECLINES]
    values = part.values[some]
    change = counterfactual(engine, values, scored.contributions[some])
    finite = change[np.isfinite(change)]
    agreement = np.asarray(scored.agreement)[rows]
    stated = [[scored.codes[c] for c in one] for one in listed[:MOST_INTERVENTIONS]]
    proof = intervention.intervene(engine, scored.frame.iloc[rows[:MOST_INTERVENTIONS]], stated)
    other = "all_applicants" if engine.config.baseline == "near_cutoff" else "near_cutoff"
    return Reasons(
        declined_by_score=len(rows),
        mean_number=float(np.mean([len(one) for one in listed])),
        without_material=int((counts == 0).sum()),
        frequency=tuple(
            ReasonFrequency(
                code=scored.codes[c],
                statement=engine.features.statements[scored.codes[c]],
                given=given[c],
                first=first[c],
            )
            for c, _ in given.most_common()
        ),
        agreement=float(agreement.mean()),
        for_review=int((agreement < engine.config.review_below).sum()),
        redraw=fidelity.stability(engine, values, fidelity.redraws(engine.background)),
        refit=_refits(engine, part, values),
        refits=_refit_count(part),
        other_baseline=other,
        other=_other_baseline(engine, part, values, other),
        toward_approval=float(np.mean(finite < 0)) if len(finite) else None,
        counterfactuals=len(finite),
        median_change=float(np.median(finite)) if len(finite) else None,
        interventions=intervention.summary(proof),
    )


def _refits(engine: RiskEngine, part: _Measured, values: Floats) -> fidelity.Stability | None:
    if part.train is None:
        return None
    past = (part.train.values, part.train.outcome, part.train.blocked)
    return fidelity.refits(engine, values, past, _refit_count(part))


def _refit_count(part: _Measured) -> int:
    rows = 0 if part.train is None else len(part.train.outcome)
    return int(np.clip(MOST_REFITTED // max(rows, 1), FEWEST_REFITS, REFITS))


def _other_baseline(
    engine: RiskEngine, part: _Measured, values: Floats, other: str
) -> fidelity.Stability | None:
    """Stability against the other of the two baselines of comment 9(b)(2)-5; needs the training rows."""
    if part.train is None:
        return None
    rows = training.background(
        part.train.values,
        engine.default_probability(part.train.values),
        part.train.blocked,
        engine.cutoff,
        dataclasses.replace(engine.config, baseline=other),  # type: ignore[arg-type]
    )
    return fidelity.stability(engine, values, [rows])


def _groups(
    engine: RiskEngine, part: _Measured, sample: Sample, resamples: int
) -> tuple[tuple[GroupTable, ...], tuple[GroupTable, ...]]:
    """Figures and proxy test of each protected attribute, and figures of each pair of them."""
    if sample.protected is None:
        return (), ()
    groups = sample.protected.reset_index(drop=True).iloc[part.rows].reset_index(drop=True)
    groups = groups[[name for name in groups if groups[name].notna().any()]]
    observed = fairness.Observed(
        decisions=part.decided,
        score=np.asarray(part.scored.points, dtype=np.float64),
        probability=part.scored.default_probability,
        outcome=part.outcome,
    )
    lender = _lender(part)
    theirs = None if lender is None else fairness.Observed(decisions=lender, outcome=part.outcome)
    values = pd.DataFrame(part.values, columns=[f.name for f in engine.features.columns])

    def table(name: str, labels: pd.Series, proxy: bool) -> GroupTable:
        reference = sample.references.get(name)
        return GroupTable(
            attribute=name,
            figures=tuple(fairness.assess(name, labels, observed, reference)),
            lender=() if theirs is None else tuple(fairness.assess(name, labels, theirs, reference)),
            proxy_auc=fairness.proxy_test(values, labels, engine.config.seed, resamples) if proxy else {},
        )

    crossed = fairness.intersections(groups)
    return (
        tuple(table(str(name), groups[name], True) for name in groups),
        tuple(table(name, labels, False) for name, labels in crossed.items()),
    )


def _lender(part: _Measured) -> NDArray[Any] | None:
    """The lender's own decisions, ``(n,)``; None if the file has none."""
    if "decision" not in part.scored.frame:
        return None
    found = part.scored.frame["decision"].astype(object)
    words = np.asarray(found.where(found.notna(), "not known").astype(str), dtype=object)
    return words if np.isin(words, ("approved", "declined")).any() else None


def _alternatives(
    engine: RiskEngine, part: _Measured, sample: Sample, resamples: int, say: Callable[[str], None]
) -> tuple[alternatives.Alternative, ...]:
    if part.train is None or sample.protected is None or not part.train.protected.notna().any(axis=None):
        return ()
    known = np.flatnonzero(~np.isnan(part.outcome))
    groups = sample.protected.reset_index(drop=True).iloc[part.rows[known]].reset_index(drop=True)
    test = alternatives.Part(
        values=part.values[known],
        outcome=part.outcome[known].astype(np.int64),
        blocked=part.scored.facts.blocked[known],
        protected=groups,
    )
    return tuple(
        alternatives.search(
            part.train,
            test,
            engine.features,
            engine.config,
            depth=engine.training.depth,
            trees=engine.training.trees,
            references=sample.references,
            resamples=resamples,
            say=say,
        )
    )


def _vintages(
    engine: RiskEngine, sample: Sample, fitted: NDArray[np.bool_], resamples: int
) -> tuple[vintages.Vintage, ...]:
    """Every quarter of the file, training rows included and said, so that time is seen whole."""
    if sample.dates is None:
        return ()
    frame = sample.frame.reset_index(drop=True)
    probability = engine.default_probability(engine.features.matrix(frame))
    passed = (probability <= engine.cutoff) & ~engine.blocked(frame)
    return tuple(
        vintages.vintages(
            sample.dates, probability, passed, _outcome(frame), fitted, resamples=min(resamples, 500)
        )
    )


def _overrides(engine: RiskEngine, part: _Measured) -> overrides.Overrides | None:
    lender = _lender(part)
    if lender is None:
        return None
    return overrides.compare(
        engine, part.values, lender, part.decided, part.scored.default_probability, part.outcome
    )
