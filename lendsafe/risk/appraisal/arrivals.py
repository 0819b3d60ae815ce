"""Does a new file say the same things as the file at development: columns in other units, or not there at all?

Asked before anything is decided or written. Unlike monitoring (:mod:`lendsafe.risk.appraisal.monitoring`) it looks at
every numeric field as it is read, not at features, and only at what no population does by itself.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lendsafe.product import Product
from lendsafe.records import Applicant
from lendsafe.risk.appraisal import metrics
from lendsafe.risk.model.bins import Bins, fields_read
from lendsafe.risk.model.fitted import Training

Floats = NDArray[np.float64]
FEWEST = 50  # applications from which a file can be judged
LEAST = 0.25  # stability index from which a population counts as another one (Siddiqi 2006)
CHANCE = 0.01  # of a warning without any change, shared out among the fields
FACTORS = (12, 100, 1000)  # months and years, cents or percent, thousands
NEAR = 1.35  # a median within this factor of one of those is taken for it


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A field that is not spread as it was at development.

    Attributes:
        field: Its name.
        psi: Population stability index.
        before: Median at development; None if it was never known.
        now: Median in the new file; None if it is never known there.
    """

    field: str
    psi: float
    before: float | None
    now: float | None


def moved(training: Training, columns: Mapping[str, Floats], rows: int) -> tuple[Moved, ...]:
    """Fields whose stability index is too large for chance and for an ordinary change, the most moved first.

    Args:
        training: What the model was trained on.
        columns: Values now by field, ``(rows,)`` each, NaN where not known; a field that is not there is never known.
        rows: Applications; with fewer than 50 nothing is said.
    """
    if rows < FEWEST:
        return ()
    level = CHANCE / max(len(training.fields), 1)
    found = []
    for one in training.fields:
        values = columns.get(one.name, np.full(rows, np.nan))
        drift = metrics.psi(one, values, LEAST, level)
        if drift.drifted:
            now = Bins.of(one.name, values).median
            found.append(Moved(field=one.name, psi=drift.psi, before=one.median, now=now))
    return tuple(sorted(found, key=lambda one: -one.psi))


def columns_of(applicants: "tuple[Applicant, ...] | list[Applicant]", product: Product) -> dict[str, Floats]:
    """The numeric fields of applications as columns, NaN where a value is not known."""
    names = [name for name, one in product.values.items() if one.numeric and one.formula is None]
    return {name: np.array([_number(one.values.get(name)) for one in applicants]) for name in names}


def warning(
    training: Training,
    product: Product,
    applications: "pd.DataFrame | tuple[Applicant, ...] | list[Applicant]",
) -> str:
    """One line about a new file that says other things than the one at development; empty if it does not.

    Args:
        training: What the model was trained on.
        product: What the fields mean.
        applications: The new ones, as a table or as records.
    """
    table = isinstance(applications, pd.DataFrame)
    columns = fields_read(applications, product) if table else columns_of(applications, product)
    found = moved(training, columns, len(applications))
    if not found:
        return ""
    first, others = found[0], ", ".join(f"'{one.field}'" for one in found[1:])
    more = f" Also moved: {others}." if others else ""
    return (
        f"'{first.field}' is not as at development: median {_shown(first.now)}, then {_shown(first.before)} "
        f"(stability index {first.psi:.2f} over {len(applications)} applications). {_advice(first, product)}{more}"
    )


def _advice(one: Moved, product: Product) -> str:
    field = product.fields.get(one.field)
    column = field.columns[0] if field and field.columns else one.field
    if one.now is None:
        return (
            f"Does the file lack its column, or name it otherwise? Columns are named in [fields.{one.field}]."
        )
    if factor := _factor(one):
        return (
            f'If the column is in another unit, such as {factor:g} times: scales = {{ "{column}" = {factor:g} }} in '
            f"[fields.{one.field}]."
        )
    return f"Is the column the same one, in the same unit? 'scales' in [fields.{one.field}] turns units."


def _factor(one: Moved) -> float | None:
    """What now has to be multiplied by to be as before, if that is a factor between common units."""
    if not one.now or not one.before or one.now * one.before < 0:
        return None
    ratio = one.before / one.now
    near = min((float(f) for n in FACTORS for f in (n, 1 / n)), key=lambda f: abs(math.log(ratio / f)))
    return near if abs(math.log(ratio / near)) < math.log(NEAR) else None


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def _shown(value: float | None) -> str:
    return "not known" if value is None else f"{value:,.6g}"
