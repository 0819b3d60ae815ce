"""The model document: what a model is for, who answers for it, what it was measured to be.

The facts that no measurement knows (purpose, owner, assumptions, changes, approvals) come from a TOML
file; the rest comes from the appraisal. The same sections are written as HTML and as DOCX.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from lendsafe.errors import ConfigError
from lendsafe.fields import build, knob
from lendsafe.files import disk_errors, replace_file, write_atomically
from lendsafe.risk.appraisal.html import alternative_cells, group_cells, percent, shown, vintage_cells
from lendsafe.risk.appraisal.html import render as page
from lendsafe.risk.appraisal.limits import limits
from lendsafe.risk.appraisal.records import Appraisal


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One line of the change log."""

    date: str = knob()
    what: str = knob()
    by: str = knob()


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """Who approved the model, as what, and when."""

    name: str = knob()
    role: str = knob()
    date: str = knob()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What no measurement knows."""

    title: str = knob("Credit risk model", "Title of the document.")
    purpose: str = knob(help="What the model decides, and what it must not be used for.")
    owner: str = knob(help="Who answers for it.")
    prepared_by: str = knob(help="Who prepared the document.")
    version: str = knob(help="Version of the document.")
    date: str = knob(help="Its date, YYYY-MM-DD.")
    users: tuple[str, ...] = knob((), "Who uses it.")
    assumptions: tuple[str, ...] = knob((), "What is taken for granted.")
    alternatives: tuple[str, ...] = knob((), "Other models and designs that were considered.")
    limits: tuple[str, ...] = knob((), "Limits beside those that were measured.")
    changes: tuple[Change, ...] = knob(())
    approvals: tuple[Approval, ...] = knob(())


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of a section: names of the columns, and rows of texts."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A section of the document, in the order it is read."""

    title: str
    paragraphs: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()


def read_facts(table: Mapping[str, Any], where: str) -> Facts:
    """Facts from a TOML table.

    Raises:
        ConfigError: Naming what is wrong or absent.
    """
    facts = build(Facts, table, where)
    for name in ("purpose", "owner", "prepared_by", "version"):
        if not getattr(facts, name).strip():
            raise ConfigError(f"{where}: '{name}' is empty.")
    for day in [facts.date, *(c.date for c in facts.changes), *(a.date for a in facts.approvals)]:
        try:
            date.fromisoformat(day)
        except ValueError as problem:
            raise ConfigError(f"{where}: a date is {day!r}; expected YYYY-MM-DD.") from problem
    return facts


def write(folder: Path | str, found: Appraisal, facts: Facts) -> None:
    """Write ``document.html`` and ``document.docx``.

    Raises:
        DiskError: If a file cannot be written.
    """
    parts, place = sections(found, facts), Path(folder)
    with disk_errors(place):
        place.mkdir(parents=True, exist_ok=True)
    write_atomically(place / "document.html", render(found, facts))
    replace_file(place / "document.docx", lambda temporary: _docx(facts, found, parts).save(str(temporary)))


def render(found: Appraisal, facts: Facts) -> str:
    """The document as HTML, every value escaped."""
    return page("document", facts=facts, identity=found.model.identity, sections=sections(found, facts))


def sections(found: Appraisal, facts: Facts) -> list[Section]:
    """Everything that the document says, in order."""
    return [
        Section(title="Purpose and use", paragraphs=(facts.purpose,), items=facts.users),
        Section(title="Owner", paragraphs=(facts.owner,)),
        _data(found),
        Section(
            title="Assumptions",
            paragraphs=() if facts.assumptions else ("None were stated.",),
            items=facts.assumptions,
        ),
        _design(found),
        _performance(found),
        _reasons(found),
        _groups(found),
        _alternatives(found, facts),
        Section(title="Limits", items=(*facts.limits, *limits(found))),
        Section(
            title="Monitoring",
            paragraphs=(
                "New applications are compared with those at development by `lendsafe risk monitor`: stability of "
                "the score and of each feature, first reasons, calibration by month, approval by group.",
            ),
        ),
        Section(
            title="Changes",
            paragraphs=() if facts.changes else ("None were recorded.",),
            tables=_log(("Date", "Change", "By"), [(c.date, c.what, c.by) for c in facts.changes]),
        ),
        Section(
            title="Approvals",
            paragraphs=() if facts.approvals else ("Not approved yet.",),
            tables=_log(("Name", "Role", "Date"), [(a.name, a.role, a.date) for a in facts.approvals]),
        ),
    ]


def _log(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> tuple[Table, ...]:
    return (Table(head=head, rows=tuple(rows)),) if rows else ()


def _data(found: Appraisal) -> Section:
    data, training = found.data, found.model.training
    paragraphs = [
        f"Trained on {training.rows:,} applications with {training.defaults:,} defaults, held out {training.split}; "
        f"measured on {data.rows:,} others of {data.source}, {data.outcomes:,} of them with an outcome.",
    ]
    if training.until:
        paragraphs.append(f"The latest training application is of {training.until}.")
    if training.rows_without_outcome:
        paragraphs.append(
            f"{training.rows_without_outcome:,} applications without an outcome were left out. "
            "No reject inference was made."
        )
    if training.duplicates:
        paragraphs.append(f"{training.duplicates:,} rows repeat another one under another identifier.")
    rows = tuple((name, why) for name, why in data.set_aside)
    return Section(title="Data", paragraphs=tuple(paragraphs), tables=_log(("Column set aside", "Why"), rows))


def _design(found: Appraisal) -> Section:
    model = found.model
    words = {"rises": "risk rises", "falls": "risk falls", "free": "not constrained"}
    rows = tuple((f.name, words[f.risk], f.statement) for f in found.features)
    return Section(
        title="Design",
        paragraphs=(
            f"Boosted trees of depth {model.training.depth} ({model.training.trees} of them), "
            f"{'monotone where the business sign is known' if model.config.monotone else 'without constraints'}; "
            f"an application is approved up to a default probability of {model.cutoff:.4f} ({model.cutoff_points} "
            "points) unless a rule declines it or a required item is missing.",
            "A value that is not known counts as no safer than any that is."
            if model.config.unknown_is_riskier
            else "A value that is not known goes where the past had it.",
        ),
        tables=_log(("Feature", "As it rises", "Reason"), rows),
    )


def _performance(found: Appraisal) -> Section:
    p = found.performance
    if p is None:
        return Section(title="Performance", paragraphs=("Too few outcomes are known to measure it.",))
    names = {"auc": "AUC", "ks": "KS", "brier": "Brier score", "log_loss": "Log loss, nats"}
    head = ("Measure", "Model", *(("Scorecard",) if p.scorecard else ()))
    rows = [
        (name, shown(getattr(p.model, key)), *((shown(getattr(p.scorecard, key)),) if p.scorecard else ()))
        for key, name in names.items()
    ]
    rows += [
        ("Calibration slope", shown(p.calibration.slope, 2), *(("",) if p.scorecard else ())),
        ("Calibration intercept", shown(p.calibration.intercept, 2), *(("",) if p.scorecard else ())),
    ]
    tables = [Table(head=head, rows=tuple(rows))]
    if found.vintages:
        names_ = (
            "Quarter",
            "n",
            "In training",
            "Approved",
            "Predicted",
            "Defaulted",
            "AUC",
            "Slope",
            "Intercept",
        )
        tables.append(Table(head=names_, rows=tuple(tuple(vintage_cells(v)) for v in found.vintages)))
    advice = {
        "model": "The model ranks better than the scorecard by more than chance.",
        "scorecard": "The model does not rank better than the scorecard by more than chance; the scorecard is "
        "recommended.",
        "": "No challenger could be fitted, because the training rows were not at hand.",
    }
    return Section(
        title="Performance",
        paragraphs=(f"{p.n:,} applications with {p.defaults:,} defaults.", advice[p.recommended]),
        tables=tuple(tables),
    )


def _reasons(found: Appraisal) -> Section:
    r = found.reasons
    if r is None:
        return Section(title="Reasons", paragraphs=("The score declines nobody here.",))
    rows = [
        (
            "Background redrawn: same reasons, same first",
            f"{percent(r.redraw.same_set)}, {percent(r.redraw.same_first)}",
        )
    ]
    if r.refit:
        rows.append(
            (
                "Refitted: same reasons, same first",
                f"{percent(r.refit.same_set)}, {percent(r.refit.same_first)}",
            )
        )
    if r.interventions:
        rows += [
            ("Stated reasons suffice", percent(r.interventions.sufficient)),
            ("A stated reason is needed", percent(r.interventions.needed)),
            ("A stronger factor was not stated", percent(r.interventions.omitted)),
        ]
    return Section(
        title="Reasons",
        paragraphs=(
            f"Exact interventional Shapley values against {found.model.background_rows:,} frozen rows, summed by "
            f"reason; of {r.declined_by_score:,} declines.",
        ),
        tables=(Table(head=("How far they hold", "Share"), rows=tuple(rows)),),
    )


def _groups(found: Appraisal) -> Section:
    head = ("Group", "Approved of those decided", "Counteroffer", "Incomplete", "Adverse impact ratio",
            "Marginal effect", "Standardised mean difference")  # fmt: skip
    tables = tuple(
        Table(
            head=(f"{table.attribute}: {head[0].lower()}", *head[1:]),
            rows=tuple(tuple(group_cells(g)) for g in table.figures),
        )
        for table in found.groups
    )
    words = () if tables else ("No protected columns were given: differences are not assessed.",)
    return Section(title="Groups", paragraphs=words, tables=tables)


def _alternatives(found: Appraisal, facts: Facts) -> Section:
    head = ("Model", "Chosen by: ratio", "AUC", "Held-out ratio", "Gain", "AUC", "AUC cost", "Significant")
    rows = tuple(tuple(alternative_cells(one)) for one in found.alternatives)
    return Section(title="Alternatives", items=facts.alternatives, tables=_log(head, rows))


def _docx(facts: Facts, found: Appraisal, parts: Sequence[Section]) -> Any:
    """The document for a word processor."""
    import docx

    made = docx.Document()
    made.core_properties.title = facts.title
    made.core_properties.author = facts.prepared_by
    made.core_properties.version = facts.version
    made.add_heading(facts.title, level=0)
    made.add_paragraph(_signature(facts, found.model.identity))
    for part in parts:
        made.add_heading(part.title, level=1)
        for text in part.paragraphs:
            made.add_paragraph(text)
        for text in part.items:
            made.add_paragraph(text, style="List Bullet")
        for table in part.tables:
            grid = made.add_table(rows=1, cols=len(table.head), style="Table Grid")
            for cell, text in zip(grid.rows[0].cells, table.head, strict=True):
                cell.text = text
            for row in table.rows:
                for cell, text in zip(grid.add_row().cells, row, strict=True):
                    cell.text = text
            made.add_paragraph()
    return made


def _signature(facts: Facts, identity: str) -> str:
    return f"Model {identity}. Version {facts.version}, {facts.date}, prepared by {facts.prepared_by}."
