"""Is a model still what it was: new applications beside those at development, with limits.

The limits know the sample sizes: what chance alone moves is no alarm, and what is proven but too small
to matter is none either. Each check cries wolf once in a hundred files in which nothing changed; the
features share one such chance among them (Bonferroni).
"""

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lendsafe.errors import ConfigError
from lendsafe.fields import build, knob
from lendsafe.files import disk_errors, write_atomically, write_json
from lendsafe.risk.appraisal import charts, fairness, metrics, vintages
from lendsafe.risk.appraisal.html import render as page
from lendsafe.risk.appraisal.records import Sample, plain
from lendsafe.risk.features import numbers
from lendsafe.risk.model import ranking, training
from lendsafe.risk.model.bins import inputs
from lendsafe.risk.model.engine import RiskEngine
from lendsafe.risk.model.outcomes import Scored, decisions

Floats = NDArray[np.float64]
CHANCE = 0.01  # of an alarm without any change, for each check
SURE = 2.575829  # standard errors of that chance


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """From where on a change matters, if it is no chance."""

    score_psi: float = knob(0.1, "Population stability index of the score.", low=0)
    feature_psi: float = knob(0.1, "Population stability index of a feature.", low=0)
    reason_psi: float = knob(0.1, "Population stability index of first reasons.", low=0)
    calibration: float = knob(
        0.02, "Difference of observed and predicted share of defaults.", unit="probability", low=0
    )
    approval: float = knob(0.05, "Difference of the approval rate from development.", unit="share", low=0)
    ratio: float = knob(0.8, "Adverse impact ratio that a group has to stay above.", low=0, high=1)


@dataclass(frozen=True, kw_only=True)
class Monitoring:
    """New applications beside those at development.

    Attributes:
        model: Identity of the model.
        source: Where the applications come from.
        n: How many.
        limits: What counts.
        score: Drift of the points.
        features: Drift of each feature, most moved first.
        reasons: Drift of first reasons; None without declines now or at development.
        reason_shares: First reasons: statement, share at development, share now.
        approved: Share that the model approves now.
        approved_before: Share at development.
        months: Calibration by month; empty without dates.
        calibration: Observed less predicted share of defaults; None without outcomes.
        groups: Figures of each group.
        exceeded: What is beyond its limit, in sentences; empty if nothing is.
    """

    model: str
    source: str
    n: int
    limits: Limits
    score: metrics.Drift
    features: tuple[metrics.Drift, ...]
    reasons: metrics.Drift | None
    reason_shares: tuple[tuple[str, float, float], ...]
    approved: metrics.Rate | None
    approved_before: float
    months: tuple[vintages.Vintage, ...]
    calibration: metrics.Interval | None
    groups: tuple[tuple[str, tuple[fairness.GroupFigures, ...]], ...]
    exceeded: tuple[str, ...]


def monitor(engine: RiskEngine, sample: Sample, limits: Limits | None = None) -> Monitoring:
    """Compare new applications with those at development.

    Args:
        engine: Model.
        sample: New applications; outcomes, dates and groups where they are known.
        limits: From where on a change matters.

    Raises:
        DataError: If a value, a date or an outcome cannot be used.
    """
    chosen = limits or Limits()
    frame = sample.frame.reset_index(drop=True)
    scored = engine.score(frame)
    values = engine.features.encode(frame).to_numpy()
    decided = np.array(
        decisions(scored.default_probability, engine.cutoff, scored.facts, scored.counteroffers),
        dtype=object,
    )
    outcome = numbers(frame, training.OUTCOME) if training.OUTCOME in frame else np.full(len(frame), np.nan)
    reasons, shares = _reasons(engine, scored, chosen)
    found = Monitoring(
        model=engine.identity,
        source=str(sample.lineage.get("source", "a table")),
        n=len(frame),
        limits=chosen,
        score=metrics.psi(engine.training.scores, scored.points, chosen.score_psi, CHANCE),
        features=_features(engine, values, chosen),
        reasons=reasons,
        reason_shares=shares,
        approved=metrics.rate(decided == "approved"),
        approved_before=engine.training.approval_rate,
        months=_months(sample, scored, decided, outcome),
        calibration=_calibration(scored.default_probability, outcome),
        groups=_groups(sample, scored, decided, outcome),
        exceeded=(),
    )
    return _with_alarms(found)


def write(folder: Path | str, found: Monitoring) -> None:
    """Write ``monitor.html`` and ``monitor.json``.

    Raises:
        DiskError: If a file cannot be written.
    """
    html, place = render(found), Path(folder)
    with disk_errors(place):
        place.mkdir(parents=True, exist_ok=True)
    write_json(place / "monitor.json", plain(found))
    write_atomically(place / "monitor.html", html)


def render(found: Monitoring) -> str:
    """The page as HTML, every value escaped."""
    drawn: dict[str, Any] = {}
    ratios = [
        (f"{one.group} ({name}, n {one.n})", one.adverse_impact_ratio)
        for name, table in found.groups
        for one in table
        if one.adverse_impact_ratio and one.adverse_impact_ratio.high == one.adverse_impact_ratio.high
    ]
    if ratios:
        marks = [(found.limits.ratio, f"{found.limits.ratio:g}"), (1.0, "equal")]
        drawn["ratios"] = charts.intervals(ratios, marks, "Adverse impact ratio")
    return page("monitor", m=found, pictures=drawn)


def read_limits(table: Mapping[str, Any], where: str) -> Limits:
    """Limits from a table of a TOML file.

    Raises:
        ConfigError: Naming what is wrong.
    """
    return build(Limits, table, where, ConfigError)


def _features(engine: RiskEngine, values: Floats, limits: Limits) -> tuple[metrics.Drift, ...]:
    """Drift of each feature; chance is shared out among them."""
    columns = inputs(values, engine.features)
    known = [one for one in engine.training.inputs if one.name in columns]
    level = CHANCE / max(len(known), 1)
    found = [metrics.psi(one, columns[one.name], limits.feature_psi, level) for one in known]
    return tuple(sorted(found, key=lambda one: -one.psi))


def _reasons(
    engine: RiskEngine, scored: Scored, limits: Limits
) -> tuple[metrics.Drift | None, tuple[tuple[str, float, float], ...]]:
    """Drift of the first reasons of those whom the score declines."""
    rows = (scored.default_probability > engine.cutoff) & ~engine.blocked(scored.frame)
    before = {one.name: one.count for one in engine.training.reasons}
    if not rows.any() or not before:
        return None, ()
    order, _ = ranking.top(scored.contributions[rows], engine.config)
    now = Counter(scored.codes[c] for c in order[:, 0].tolist())
    codes = [code for code in engine.features.codes if before.get(code) or now.get(code)]
    pair = np.array([[one.get(code, 0) for code in codes] for one in (before, now)], dtype=np.float64)
    shares = pair / pair.sum(axis=1, keepdims=True)
    listed = sorted(zip(codes, *shares.tolist(), strict=True), key=lambda one: -one[2])
    return (
        metrics.drift("first reasons", pair, limits.reason_psi, CHANCE),
        tuple((engine.features.statements[code], a, b) for code, a, b in listed),
    )


def _months(
    sample: Sample, scored: Scored, decided: NDArray[Any], outcome: Floats
) -> tuple[vintages.Vintage, ...]:
    if sample.dates is None:
        return ()
    approved = decided == "approved"
    return tuple(vintages.vintages(sample.dates, scored.default_probability, approved, outcome, period="M"))


def _calibration(probability: Floats, outcome: Floats) -> metrics.Interval | None:
    """Observed less predicted share of defaults, its error that of the outcomes about their probabilities."""
    known = ~np.isnan(outcome)
    if not known.any():
        return None
    p = probability[known]
    error = float(np.sqrt(np.sum(p * (1 - p))) / len(p))
    return metrics.normal(float((outcome[known] - p).mean()), error)


def _groups(
    sample: Sample, scored: Scored, decided: NDArray[Any], outcome: Floats
) -> tuple[tuple[str, tuple[fairness.GroupFigures, ...]], ...]:
    if sample.protected is None:
        return ()
    observed = fairness.Observed(
        decisions=decided,
        score=np.asarray(scored.points, dtype=np.float64),
        probability=scored.default_probability,
        outcome=outcome,
    )
    return tuple(
        (
            str(name),
            tuple(
                fairness.assess(str(name), sample.protected[name], observed, sample.references.get(str(name)))
            ),
        )
        for name in sample.protected
        if sample.protected[name].notna().any()
    )


def _with_alarms(found: Monitoring) -> Monitoring:
    """The same, with everything beyond its limit in a sentence."""
    drifts = [("The score", found.score), *((f"'{one.name}'", one) for one in found.features)]
    if found.reasons:
        drifts.append(("The first reasons of declines", found.reasons))
    lines = [
        f"{what} moved: stability index {one.psi:.3f}, limit {one.limit:.3f}."
        for what, one in drifts
        if one.drifted
    ]
    gap = found.calibration
    if gap and abs(gap.value) > max(found.limits.calibration, SURE / metrics.Z * (gap.high - gap.value)):
        lines.append(
            f"Defaults are {gap.value:+.1%} off what was predicted [{gap.low:+.1%}, {gap.high:+.1%}]."
        )
    rate, before = found.approved, found.approved_before
    if rate:
        error = SURE * math.sqrt(before * (1 - before) / rate.n)
        if abs(rate.value - before) > max(found.limits.approval, error):
            lines.append(f"{rate.value:.1%} are approved; at development {before:.1%}.")
    lines += [
        f"{one.group} ({name}): adverse impact ratio {ratio.value:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]."
        for name, table in found.groups
        for one in table
        if (ratio := one.adverse_impact_ratio) and ratio.value < found.limits.ratio and ratio.high < 1
    ]
    return dataclasses.replace(found, exceeded=tuple(lines))
