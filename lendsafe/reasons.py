"""The catalogue of reasons: code, wording of the notice, and the facts it may show."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonCode:
    """One entry of the catalogue.

    Attributes:
        code: Key, such as ``debt_to_income``.
        statement: The reason as the notice words it when it is adverse.
        source: ``Form C-1`` (12 CFR 1002 appendix C) or ``other``.
        favourable: The same factor when it helps.
        slots: Fields of :class:`~lendsafe.records.Applicant` that a narrative may show for it.
    """

    code: str
    statement: str
    source: str
    favourable: str
    slots: tuple[str, ...]


@cache
def catalogue() -> dict[str, ReasonCode]:
    """Every reason by code, in the fixed order that breaks ties."""
    table = tomllib.loads((files("lendsafe") / "reasons.toml").read_text("utf-8"))
    return {
        code: ReasonCode(
            code=code,
            statement=entry["statement"],
            source=entry["source"],
            favourable=entry["favourable"],
            slots=tuple(entry["slots"]),
        )
        for code, entry in table.items()
    }
