"""What consumer credit calls things: Form C-1's statements and what columns are named after (``form_c1.toml``)."""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from lendsafe.fields import build, knob

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Concept:
    """One thing that lenders weigh.

    Attributes:
        code: Code of its reason.
        words: Parts of a column's name that suggest it, joined by ``_``.
        statement: Words of the notice.
        form: ``Form C-1`` where they are that form's.
        favorable: The same when it helps.
        against: Noun phrase when it is adverse.
        in_favor: Noun phrase when it helps.
        risk: Usual business sign.
        kind: Usual kind of field.
        noun: Noun for one and for many.
        label: What a person calls the field.
        origin: Who it usually comes from.
        none_in_favor: Whether it helps only where there is none.
    """

    code: str = knob()
    words: tuple[str, ...] = knob()
    statement: str = knob()
    form: str = knob("other")
    favorable: str = knob("")
    against: str = knob()
    in_favor: str = knob()
    risk: str = knob("")
    kind: str = knob("")
    noun: tuple[str, ...] = knob(())
    label: str = knob("")
    origin: str = knob("applicant")
    none_in_favor: bool = knob(False)


@cache
def concepts() -> tuple[Concept, ...]:
    """Every concept, in the order in which names are tried."""
    table = tomllib.loads((files("lendsafe.product") / "form_c1.toml").read_text("utf-8"))
    return tuple(build(Concept, one) for one in table["concepts"])


def of_statement(statement: str) -> Concept | None:
    """The concept with these words of the notice, whatever their capitals."""
    plain = " ".join(statement.lower().split()).rstrip(".")
    return next((one for one in concepts() if one.statement.lower() == plain), None)


def of_column(name: str) -> Concept | None:
    """The concept that a column's name suggests; the longest match counts, then the first."""
    plain = f"_{'_'.join(parts(name))}_"
    best, length = None, 0
    for one in concepts():
        for word in one.words:
            if f"_{word}_" in plain and len(word) > length:
                best, length = one, len(word)
    return best


def parts(name: str) -> list[str]:
    """The words of a column's name in lower case: ``RevUtil`` is rev, util; ``DQ_24M`` is dq, 24, m."""
    return [one.lower() for one in _WORD.findall(name)]


def has_part(name: str, words: Iterable[str]) -> str:
    """The first of ``words`` (joined by ``_``) that is a whole part of a name; empty if none is."""
    plain = f"_{'_'.join(parts(name))}_"
    return next((word for word in words if f"_{word}_" in plain), "")
