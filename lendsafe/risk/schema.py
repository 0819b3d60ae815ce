"""What the columns of a credit file mean: source, unit, parser, range, role; one TOML file each."""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from lendsafe.errors import ConfigError
from lendsafe.fields import build, did_you_mean, knob, parse_toml, read_toml
from lendsafe.records import Applicant
from lendsafe.risk.features import FeatureSet, application_set, read_features
from lendsafe.risk.parsers import PARSERS

SECTIONS: Mapping[str, type[Any]] = {"columns": dict, "reasons": dict, "joint": dict, "aside": list}
PACKAGED = ("lending-club", "german", "boston")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column that is imported.

    Attributes:
        name: Column of the written file.
        source: Names in the source file, the first that is present counts.
        role: What it is for; only ``feature`` ever reaches a model.
        parser: How its cells are read.
        unit: For readers of the schema.
        scales: Factor on the parsed number by source, such as 12 for monthly to yearly; 1 if not named.
        low: Smallest allowed value, after scaling.
        high: Largest.
        missing: Texts that mean "not known", besides the file's own.
        map: Text of the file to the text or number that is written; other texts are refused.
        rest: Value of texts that ``map`` does not name; refused if empty.
        reference: Date column of the source that ``months_since`` counts up to.
        joint_source: Source instead, where the application is a joint one and it is filled.
        reason: Reason code of a feature of a table.
        risk: Business sign of a feature of a table.
        ordered: Whether the texts are in order of ``levels``.
        levels: Texts that a feature may take.
        bands: Cut points of a protected number, such as an age: only the band is written.
        why: Note on a column that is set aside from the features.
    """

    name: str = knob()
    source: tuple[str, ...] = knob()
    role: Literal["feature", "outcome", "decision", "protected", "identifier"] = knob("feature")
    parser: Literal[
        "number", "whole", "percent", "months", "years_in_months", "low_end", "months_since", "text"
    ] = knob("number")
    unit: str = knob("")
    scales: Mapping[str, float] | None = knob(None)
    low: float | None = knob(None)
    high: float | None = knob(None)
    missing: tuple[str, ...] = knob(())
    map: Mapping[str, Any] | None = knob(None)
    rest: str = knob("")
    reference: tuple[str, ...] = knob(())
    joint_source: tuple[str, ...] = knob(())
    reason: str = knob("")
    risk: Literal["+", "-", ""] = knob("")
    ordered: bool = knob(True)
    levels: tuple[str, ...] = knob(())
    bands: tuple[float, ...] = knob(())
    why: str = knob("")


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """Columns that are never imported, and why.

    Attributes:
        columns: Names or patterns with ``*``.
        role: ``leak`` is known only after the decision; ``protected`` or close to it; ``identifier``
            points at a person.
        why: One sentence.
    """

    columns: tuple[str, ...] = knob()
    role: Literal["leak", "protected", "identifier"] = knob()
    why: str = knob()


@dataclass(frozen=True, slots=True, kw_only=True)
class Joint:
    """How a file marks joint applications.

    Attributes:
        source: Column that says so.
        values: Its texts for a joint application.
    """

    source: tuple[str, ...] = knob()
    values: tuple[str, ...] = knob()


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """A schema file.

    Attributes:
        name: For messages and lineage.
        kind: ``application`` fills the fields of an Applicant, ``table`` keeps columns of its own.
        columns: What is imported.
        aside: What is known and never imported.
        reasons: Reason code to wording, for a table.
        missing: Texts that mean "not known" in every column.
        footer: Beginnings of lines that are no rows.
        joint: How joint applications are marked.
    """

    name: str
    kind: Literal["application", "table"]
    columns: tuple[Column, ...]
    aside: tuple[SetAside, ...] = ()
    reasons: Mapping[str, str]
    missing: tuple[str, ...] = ("",)
    footer: tuple[str, ...] = ()
    joint: Joint | None = None

    def set_aside(self, source: str) -> SetAside | None:
        """The entry under which a source column is never imported, or None."""
        return next((one for one in self.aside if any(fnmatchcase(source, p) for p in one.columns)), None)

    def features(self, present: frozenset[str] | None = None) -> FeatureSet:
        """The model's features, of the columns in ``present`` if given.

        Raises:
            ConfigError: If a feature of a table has no reason, or an unknown one.
        """
        if self.kind == "application":
            return application_set()
        table = {
            c.name: {"reason": c.reason, "risk": c.risk, "levels": list(c.levels), "ordered": c.ordered}
            for c in self.columns
            if c.role == "feature" and (present is None or c.name in present)
        }
        features = read_features(table, f"schema {self.name}", tuple(self.reasons))
        return FeatureSet(kind="table", features=features, statements=self.reasons)


def load(name: str) -> Schema:
    """A packaged schema by name, or any other by path.

    Raises:
        ConfigError: Naming what is wrong with the file, or the packaged names if it is none.
    """
    if name in PACKAGED:
        where = f"schema {name}"
        packaged = files("lendsafe.risk") / "schemas" / f"{name.replace('-', '_')}.toml"
        return read(parse_toml(packaged.read_text("utf-8"), where), where)
    path = Path(name)
    if not path.suffix and not path.exists():
        raise ConfigError(
            f"No schema '{name}'.{did_you_mean(name, list(PACKAGED))} "
            f"Packaged: {', '.join(PACKAGED)}; or give a TOML file (`lendsafe data import FILE --guess` writes one)."
        )
    return read(read_toml(path), str(path))


def read(table: Mapping[str, Any], where: str) -> Schema:
    """Build a schema from its table.

    Raises:
        ConfigError: Naming what is wrong and where.
    """
    for key, kind in SECTIONS.items():
        entries: Any = table.get(key, kind())
        if not isinstance(entries, kind) or not all(isinstance(one, dict) for one in entries if kind is list):
            raise ConfigError(
                f"{where}: '{key}' is {entries!r}; expected {'tables' if kind is list else 'a table'}."
            )
    columns = tuple(_column(name, entry, where) for name, entry in table.get("columns", {}).items())
    aside = tuple(build(SetAside, one, f"{where} aside") for one in table.get("aside", ()))
    joint = build(Joint, table["joint"], f"{where} joint") if table.get("joint") else None
    schema = build(Schema, {**table, "columns": columns, "aside": aside, "joint": joint,
                            "reasons": table.get("reasons", {})}, where)  # fmt: skip
    if schema.kind == "application":
        for column in columns:
            if column.role == "feature" and column.name not in Applicant.__dataclass_fields__:
                known = list(Applicant.__dataclass_fields__)
                raise ConfigError(
                    f"{where}: '{column.name}' is no field of an application.{did_you_mean(column.name, known)}"
                )
    schema.features()
    return schema


def application_schema() -> Schema:
    """The schema of ``applications.csv`` itself: columns named as the fields of ``Applicant``."""
    columns = []
    for name, f in Applicant.__dataclass_fields__.items():
        kind = str(f.type)
        entry: dict[str, Any] = {"source": [name], "low": f.metadata["low"], "high": f.metadata["high"]}
        if name == "applicant_id":
            entry |= {"role": "identifier", "parser": "text"}
        elif name == "income_verified":
            entry |= {"parser": "text", "map": TRUTH}
        elif "Literal" in kind or name == "loan_purpose":
            entry |= {"parser": "text"}
        else:
            entry |= {"parser": "whole" if "int" in kind else "number"}
        columns.append(_column(name, entry, "application"))
    columns.append(outcome_column("application"))
    return Schema(name="application", kind="application", columns=tuple(columns), reasons={}, missing=MISSING)


TRUTH = {"True": 1, "False": 0, "true": 1, "false": 0, "1": 1, "0": 0}
MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "None", "null")


def outcome_column(where: str) -> Column:
    """The outcome as our own files carry it."""
    return _column(
        "defaulted",
        {"source": ["defaulted"], "role": "outcome", "parser": "whole", "low": 0, "high": 1},
        where,
    )


def _column(name: str, entry: Any, where: str) -> Column:
    if not isinstance(entry, Mapping):
        raise ConfigError(f"{where}: column '{name}' is {entry!r}; expected a table.")
    column = build(Column, {"name": name, "source": [name], **entry}, f"{where} [columns.{name}]")
    if column.parser not in PARSERS or (column.parser == "months_since" and not column.reference):
        raise ConfigError(f"{where} [columns.{name}]: 'months_since' needs a 'reference' column.")
    return column
