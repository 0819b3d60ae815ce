"""Pages from records: templates, and how a value with its interval is written."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from lendsafe.risk.appraisal import alternatives, fairness, metrics, overrides, vintages

DASH = "–"


def render(template: str, **values: Any) -> str:
    """A page as HTML, every value escaped.

    Args:
        template: Name in ``pages``, without its ending.
        values: What the template shows.
    """
    found: str = _environment().get_template(f"{template}.html.j2").render(**values)
    return found


def shown(one: metrics.Interval | None, digits: int = 3) -> str:
    """A value with its interval: ``0.812 [0.790, 0.834]``; a dash for none."""
    if one is None or one.value != one.value:
        return DASH
    if one.low != one.low:
        return f"{one.value:.{digits}f}"
    return f"{one.value:.{digits}f} [{one.low:.{digits}f}, {one.high:.{digits}f}]"


def percent(one: metrics.Rate | float | None) -> str:
    """A share in percent, with its interval and n if it has them: ``65.4% [54.6, 74.9], n 81``."""
    if one is None or one != one:
        return DASH
    if isinstance(one, metrics.Rate):
        return f"{100 * one.value:.1f}% [{100 * one.low:.1f}, {100 * one.high:.1f}], n {one.n:,}"
    return f"{100 * one:.1f}%"


def group_cells(one: fairness.GroupFigures) -> list[str]:
    """A group's decisions as a row."""
    return [
        one.group + (" (reference)" if one.group == one.reference else ""),
        percent(one.approval_rate),
        percent(one.counteroffer_rate and one.counteroffer_rate.value),
        percent(one.incomplete_rate and one.incomplete_rate.value),
        shown(one.adverse_impact_ratio, 2),
        shown(one.marginal_effect),
        shown(one.standardised_mean_difference, 2),
    ]


def error_cells(one: fairness.GroupFigures) -> list[str]:
    """A group's outcomes and errors as a row."""
    return [
        one.group,
        percent(one.default_rate),
        shown(one.calibration_gap),
        percent(one.false_positive_rate),
        percent(one.false_negative_rate),
    ]


def alternative_cells(one: alternatives.Alternative) -> list[str]:
    """A model that was tried as a row."""
    cells = [one.name, f"{one.selected.adverse_impact_ratio:.3f}", f"{one.selected.auc:.3f}"]
    if one.reported is None:
        return [*cells, *[DASH] * 5]
    base = one.reported.auc_cost.value == one.reported.air_gain.value == 0
    return [
        *cells,
        shown(one.reported.adverse_impact_ratio),
        "" if base else shown(one.reported.air_gain),
        shown(one.reported.auc),
        "" if base else shown(one.reported.auc_cost),
        "" if base else "yes" if one.reported.significant else "no",
    ]


def vintage_cells(one: vintages.Vintage) -> list[str]:
    """A period as a row."""
    return [
        one.period,
        f"{one.n:,}",
        percent(one.in_training),
        percent(one.approved and one.approved.value),
        percent(one.predicted),
        percent(one.defaulted),
        shown(one.auc),
        shown(one.calibration.slope if one.calibration else None, 2),
        shown(one.calibration.intercept if one.calibration else None, 2),
    ]


def override_cells(one: overrides.Cell) -> list[str]:
    """Applications decided in one way by lender and model as a row."""
    return [one.lender, one.model, f"{one.n:,}", percent(one.predicted), percent(one.defaulted)]


def profile_cells(one: overrides.Profile) -> list[str]:
    """How those turned away differ on a feature as a row."""
    return [one.feature, f"{one.declined:,.4g}", f"{one.approved:,.4g}", shown(one.difference, 2)]


def drift_cells(one: metrics.Drift) -> list[str]:
    """How far a score or feature moved as a row."""
    return [
        one.name,
        f"{one.psi:.3f}",
        f"{one.threshold:.3f}",
        f"{one.limit:.3f}",
        "drifted" if one.drifted else "no",
    ]


def reason_cells(one: tuple[str, float, float]) -> list[str]:
    """A first reason with its share at development and now as a row."""
    return [one[0], percent(one[1]), percent(one[2])]


_FILTERS: Mapping[str, Any] = {
    "shown": shown,
    "percent": percent,
    "group_cells": group_cells,
    "error_cells": error_cells,
    "alternative_cells": alternative_cells,
    "vintage_cells": vintage_cells,
    "override_cells": override_cells,
    "profile_cells": profile_cells,
    "drift_cells": drift_cells,
    "reason_cells": reason_cells,
}


@cache
def _environment() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("lendsafe.risk.appraisal", "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= _FILTERS
    return environment
