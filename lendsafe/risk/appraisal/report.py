"""``report.html``, ``metrics.json`` and the scorecard's exports: what is written about a model."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lendsafe.files import disk_errors, write_atomically, write_json
from lendsafe.risk.appraisal import charts
from lendsafe.risk.appraisal.html import render as page
from lendsafe.risk.appraisal.limits import limits
from lendsafe.risk.appraisal.measure import appraise
from lendsafe.risk.appraisal.records import Appraisal, Sample, plain
from lendsafe.risk.model import scorecard, scorecard_export
from lendsafe.risk.model.engine import RiskEngine

MEASURES = {
    "auc": "AUC",
    "gini": "Gini",
    "ks": "KS",
    "brier": "Brier score",
    "log_loss": "Log loss, nats",
}
MOST_REASONS = 12
MOST_RATIOS = 24


def write(
    folder: Path | str,
    engine: RiskEngine,
    sample: Sample,
    *,
    resamples: int = 1000,
    search: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> Appraisal:
    """Appraise a model and write what was found.

    ``report.html`` and ``metrics.json``; with the training rows in the file also ``scorecard.csv`` (the
    points), ``scorecard.sql`` and ``scorecard.py``, which compute the challenger's probabilities.

    Raises:
        DiskError: If a file cannot be written.
        DataError: If nothing is left to measure on.
    """
    found = appraise(engine, sample, resamples=resamples, search=search, say=say)
    html = render(found)
    place = Path(folder)
    with disk_errors(place):
        place.mkdir(parents=True, exist_ok=True)
    write_json(place / "metrics.json", to_json(found))
    if found.card is not None:
        points = scorecard.table(found.card, engine.config)
        write_atomically(place / "scorecard.csv", points.to_csv(index=False, lineterminator="\n"))
        write_atomically(place / "scorecard.sql", scorecard_export.to_sql(found.card))
        write_atomically(place / "scorecard.py", scorecard_export.to_python(found.card))
    write_atomically(place / "report.html", html)
    return found


def to_json(found: Appraisal) -> dict[str, Any]:
    """The content of ``metrics.json``: the record as JSON values, with the limits in words."""
    table: dict[str, Any] = plain(dataclasses.replace(found, card=None))
    table.pop("card")
    return table | {"limits": limits(found)}


def render(found: Appraisal) -> str:
    """The page as HTML, every value escaped."""
    return page(
        "report",
        m=found,
        pictures=pictures(found),
        measures=MEASURES,
        limits=limits(found),
        settings=dataclasses.asdict(found.model.config),
    )


def pictures(found: Appraisal) -> dict[str, Any]:
    """The pictures that these numbers allow, by name."""
    drawn: dict[str, Any] = {"scores": charts.scores(found.scores, found.model.cutoff_points)}
    if found.performance:
        drawn |= {
            "roc": charts.roc(found.performance),
            "calibration": charts.calibration(found.performance.reliability),
        }
    if found.reasons:
        rows = [(one.statement, one.given, one.first) for one in found.reasons.frequency]
        drawn["reasons"] = charts.bars(
            rows[:MOST_REASONS], found.reasons.declined_by_score, ("given first", "given second to fourth")
        )
    ratios = [
        (f"{one.group} ({table.attribute}, n {one.n})", one.adverse_impact_ratio)
        for table in found.groups
        for one in table.figures
        if one.adverse_impact_ratio and one.adverse_impact_ratio.high == one.adverse_impact_ratio.high
    ]
    if ratios:
        marks = [(0.8, "0.80"), (1.0, "equal")]
        drawn["ratios"] = charts.intervals(ratios[:MOST_RATIOS], marks, "Adverse impact ratio")
    return drawn
