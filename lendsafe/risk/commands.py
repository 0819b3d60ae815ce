"""The risk module from files to files: what the commands do."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from lendsafe.errors import ConfigError, DataError
from lendsafe.fields import read_toml
from lendsafe.files import csv_cell, refuse_existing, write_atomically
from lendsafe.product import load
from lendsafe.product.table import CUSTOMER, DATE, IDENTIFIER, WEIGHT, listed
from lendsafe.risk import dataset
from lendsafe.risk.appraisal import document, monitoring, report
from lendsafe.risk.appraisal.records import Sample
from lendsafe.risk.config import RiskConfig
from lendsafe.risk.model.engine import RiskEngine
from lendsafe.risk.model.explanation import explain

SHOWN = 10  # applications that are explained if none is named


def import_into(file: Path, product: str, out: Path, *, strict: bool = False) -> dict[str, Any]:
    """Import a raw file by a product; returns the account of it."""
    return dataset.import_file(file, load(product), out, strict=strict).lineage


def lineage_in_words(lineage: dict[str, Any], out: Path) -> str:
    """The account of an import as lines for a terminal."""
    footers = f", {lineage['footer_rows']} footer rows left out" if lineage["footer_rows"] else ""
    lines = [f"{out}: {lineage['rows']} applications, {lineage['outcomes']} with an outcome{footers}"]
    if lineage["rejected_rows"]:
        lines.append(f"{lineage['rejected_rows']} rows left out; why is in {out.with_suffix('')}.rejects.csv")
    by_reason: dict[str, list[str]] = {}
    for name, why in lineage["set_aside"].items():
        by_reason.setdefault(why, []).append(name)
    if by_reason:
        lines.append("Set aside, never a feature:")
        lines += [f"  {why}: {', '.join(names)}" for why, names in sorted(by_reason.items())]
    for key, title in (("unmapped", "Not in the product"), ("absent", "Not in the file")):
        if lineage[key]:
            lines.append(f"{title}: {', '.join(lineage[key])}")
    return "\n".join(lines)


def train_into(
    applications: Path,
    out: Path,
    config: RiskConfig,
    product: str = "consumer",
    *,
    say: Callable[[str], None] = lambda _: None,
) -> RiskEngine:
    """Fit a model on a file and save it.

    Args:
        applications: Past applications with outcomes, raw or imported.
        out: New or empty folder.
        config: Settings.
        product: Packaged product, or path of one.
        say: Called with what a person should know of the file.

    Raises:
        ExistsError: If ``out`` holds something already.
        ConfigError: If a score is to be disclosed that the model does not use.
        DataError: If the file cannot be used, or a column alone tells the outcome.
    """
    refuse_existing(out)
    chosen = load(product)
    data = dataset.read(applications, chosen)
    if data.rejects:
        say(f"{len({one.line for one in data.rejects})} rows left out: {listed(data.rejects)}")
    if config.target == "decision":
        data = dataset.with_decision_as_outcome(data)
    if found := dataset.leaks(data):
        name, area = found[0]
        raise DataError(
            f"{applications}: '{name}' alone tells the outcome (area under the curve {area:.3f}): it was known only "
            f'after the decision. Give it role = "leak" in the product.'
        )
    whose = {"groups": CUSTOMER, "weights": WEIGHT, "dates": DATE}
    known = {name: _complete(data.frame, column) for name, column in whose.items()}
    engine = RiskEngine.fit(data.frame, config, data.features, **known)
    if config.score_disclosed == "bureau" and not engine.uses_score:
        raise ConfigError(
            f"score_disclosed is 'bureau', and the model and the policy do not use "
            f"'{chosen.score.field or 'a score'}': a letter cannot say that it was used. Set none or proprietary."
        )
    engine.save(out)
    return engine


def score_file(
    applications: Path, risk: Path, out: Path | None = None, *, strict: bool = False
) -> tuple[str, dict[str, int]]:
    """Decide every application of a file; rows that cannot be read are left out and counted.

    Returns:
        The decisions as CSV, which is written to ``out`` if given, and the count of each decision.
    """
    engine = RiskEngine.load(risk)
    data = dataset.read(applications, engine.features.product, engine.features, strict=strict)
    decided = engine.decide(data.frame)
    decided[IDENTIFIER] = decided[IDENTIFIER].map(csv_cell)
    content = decided.to_csv(index=False, lineterminator="\n", float_format="%.9g")
    if out:
        write_atomically(out, content)
    counts = Counter(decided["decision"])
    if data.rejects:
        counts["left out"] = len({one.line for one in data.rejects})
        if out:
            write_atomically(out.with_suffix(".rejects.csv"), dataset.rejects_csv(data.rejects))
    if "review" in decided and (flagged := int(decided["review"].sum())):
        return content, dict(counts) | {"for review": flagged}
    return content, dict(counts)


def explain_file(applications: Path, risk: Path, ids: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Explain the named applications of a file, or its first ten.

    Raises:
        DataError: If an application is not in the file.
    """
    engine = RiskEngine.load(risk)
    frame = dataset.read(applications, engine.features.product, engine.features).frame
    if not ids:
        return [asdict(one) for one in explain(engine, frame.head(SHOWN))]
    place = {name: i for i, name in enumerate(frame[IDENTIFIER].astype(str))}
    if absent := [one for one in ids if one not in place]:
        raise DataError(f"{applications}: no application '{absent[0]}'. The first is '{next(iter(place))}'.")
    chosen = frame.iloc[[place[one] for one in ids]].reset_index(drop=True)
    return [asdict(one) for one in explain(engine, chosen)]


def report_into(  # noqa: PLR0913  # one argument a flag
    applications: Path,
    risk: Path,
    protected: Path | None,
    out: Path,
    *,
    resamples: int = 1000,
    alternatives: bool = True,
    references: Mapping[str, str] | None = None,
    facts: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Write what a report holds of a model on a file; returns the content of ``metrics.json``.

    Args:
        applications: CSV of applications.
        risk: Folder of the model.
        protected: CSV of groups by ``applicant_id``.
        out: Folder to write into.
        resamples: Of the intervals.
        alternatives: Whether to search for less discriminatory ones.
        references: Reference group by attribute.
        facts: TOML file of the model document; none is written if None.
        say: Called with a line before each step that takes long.
    """
    engine = RiskEngine.load(risk)
    stated = document.read_facts(read_toml(facts), str(facts)) if facts else None
    sample = _sample(applications, engine, protected, references)
    found = report.write(out, engine, sample, resamples=resamples, search=alternatives, say=say)
    if stated:
        document.write(out, found, stated)
    return report.to_json(found)


def monitor_into(
    applications: Path,
    risk: Path,
    protected: Path | None,
    out: Path,
    *,
    references: Mapping[str, str] | None = None,
    limits: Path | None = None,
) -> monitoring.Monitoring:
    """Compare new applications with those at development; writes ``monitor.html`` and ``monitor.json``."""
    engine = RiskEngine.load(risk)
    chosen = monitoring.read_limits(read_toml(limits), str(limits)) if limits else None
    found = monitoring.monitor(engine, _sample(applications, engine, protected, references), chosen)
    monitoring.write(out, found)
    return found


def _sample(
    applications: Path,
    engine: RiskEngine,
    protected: Path | None,
    references: Mapping[str, str] | None,
) -> Sample:
    data = dataset.read(applications, engine.features.product, engine.features, protected)
    if engine.config.target == "decision":
        data = dataset.with_decision_as_outcome(data)
    return Sample(
        frame=data.frame,
        protected=data.protected,
        lineage=data.lineage,
        dates=_complete(data.frame, DATE),
        references=references or {},
    )


def _complete(frame: pd.DataFrame, column: str) -> list[Any] | None:
    """A column of which every value is known, or None."""
    return frame[column].tolist() if column in frame and frame[column].notna().all() else None


def in_words(one: dict[str, Any]) -> str:
    """An explanation as lines for a terminal."""
    lines = [
        f"{one['applicant_id']}: {one['decision']}, default probability {one['default_probability']:.3f} "
        f"(approved up to {one['cutoff']:.3f}), score {one['score']}"
    ]
    if one["missing"]:
        lines.append(f"  missing: {', '.join(one['missing'])}")
    if one["counteroffer_amount"]:
        lines.append(f"  would be approved for {one['counteroffer_amount']:,.0f}")
    for title, factors in (("against", one["reasons"]), ("in favour", one["strengths"])):
        for number, factor in enumerate(factors, start=1):
            values = ", ".join(f"{f['name']} {_shown(f['value'])}" for f in factor["features"])
            rule = "rule, " if factor["knockout"] else ""
            lines.append(
                f"  {title} {number}. {factor['statement']} ({rule}{factor['contribution']:+.2f} log-odds)"
                + (f": {values}" if values else "")
            )
    if one["counterfactual"] is not None:
        lines.append(f"  with those against at the baseline's values: {one['counterfactual']:+.2f} log-odds")
    if one["review"]:
        lines.append(f"  for a person: two attributions agree on {one['agreement']:.0%} of the reasons only")
    return "\n".join(lines)


def _shown(value: float | str | None) -> str:
    if value is None:
        return "not known"
    return f"'{value}'" if isinstance(value, str) else f"{value:,.6g}"
