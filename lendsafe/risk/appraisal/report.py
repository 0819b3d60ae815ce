"""``report.html`` and ``metrics.json``: one page about a model, from the numbers alone."""

import math
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from lendsafe.files import disk_errors, write_atomically, write_json
from lendsafe.risk.appraisal import appraise, charts
from lendsafe.risk.config import RiskConfig
from lendsafe.risk.dataset import Dataset
from lendsafe.risk.model.engine import RiskEngine
from lendsafe.risk.model.scale import points

MEASURES = {
    "auc": "AUC",
    "gini": "Gini",
    "ks": "KS",
    "brier": "Brier score",
    "log_loss": "Log loss, nats",
}
MOST_REASONS = 12


def write(
    folder: Path,
    engine: RiskEngine,
    data: Dataset,
    *,
    resamples: int = 1000,
    alternatives: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Appraise a model and write both files; returns the content of ``metrics.json``.

    Raises:
        DiskError: If a file cannot be written.
    """
    found = appraise(engine, data, resamples=resamples, alternatives=alternatives, say=say)
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    html = render(found)
    write_json(folder / "metrics.json", found)
    write_atomically(folder / "report.html", html)
    return found


def render(found: dict[str, Any]) -> str:
    """The page as HTML, every value escaped."""
    html: str = _template().render(
        m=found, pictures=pictures(found), measures=MEASURES, cutoff_points=_cutoff_points(found["model"])
    )
    return html


def pictures(found: dict[str, Any]) -> dict[str, Any]:
    """The pictures that these numbers allow, by name."""
    drawn: dict[str, Any] = {"scores": charts.scores(found["scores"], _cutoff_points(found["model"]))}
    if performance := found["performance"]:
        drawn |= {"roc": charts.roc(performance), "calibration": charts.calibration(performance)}
    if reasons := found["reasons"]:
        rows = [(one["statement"], one["given"], one["first"]) for one in reasons["frequency"].values()]
        drawn["reasons"] = charts.bars(
            rows[:MOST_REASONS], reasons["declined_by_score"], ("given first", "given second to fourth")
        )
    ratios = [
        (f"{one['group']} ({attribute}, n {one['n']})", one["adverse_impact_ratio"])
        for attribute, table in found.get("groups", {}).items()
        for one in table["figures"]
        if one["adverse_impact_ratio"] and None not in one["adverse_impact_ratio"].values()
    ]
    if ratios:
        drawn["ratios"] = charts.intervals(ratios, [(0.8, "0.80"), (1.0, "equal")], "Adverse impact ratio")
    return drawn


def _cutoff_points(model: dict[str, Any]) -> float:
    import numpy as np

    log_odds = math.log(model["cutoff"] / (1 - model["cutoff"]))
    return float(points(np.array([log_odds]), RiskConfig(**model["config"]))[0])


def shown(one: dict[str, float | None] | None, digits: int = 3) -> str:
    """A value with its interval: ``0.812 [0.790, 0.834]``; a dash for none."""
    if one is None or one["value"] is None:
        return "–"
    if one["low"] is None:
        return f"{one['value']:.{digits}f}"
    return f"{one['value']:.{digits}f} [{one['low']:.{digits}f}, {one['high']:.{digits}f}]"


def percent(one: dict[str, Any] | float | None) -> str:
    """A share in percent, with its interval and n if it has them: ``65.4% [54.6, 74.9], n 81``."""
    if one is None:
        return "–"
    if isinstance(one, dict):
        n = f", n {one['n']:,}" if "n" in one else ""
        return f"{100 * one['value']:.1f}% [{100 * one['low']:.1f}, {100 * one['high']:.1f}]{n}"
    return f"{100 * one:.1f}%"


@cache
def _template() -> Any:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"shown": shown, "percent": percent}
    return environment.from_string((files("lendsafe.risk.appraisal") / "report.html.j2").read_text("utf-8"))
