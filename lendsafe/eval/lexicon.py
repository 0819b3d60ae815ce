"""The reviewed words of ``lexicon.toml``, compiled once."""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

GAP = r"[\s-]+(?:[\w'{}$%]+(?:[.,]\d+)*%?[\s-]+){0,4}?"
SPACE = r"[\s-]+"
OPTIONAL = r"[\s-]?"
_BEHIND = re.compile(r"\(\?<[!=][^)]*\)")


@dataclass(frozen=True, slots=True)
class Forbidden:
    """What a narrative never says under one rule."""

    message: str
    fact: str


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Compiled phrase lists; the name of the matching group says which list matched.

    Attributes:
        factors: Groups ``CODE__adverse``, ``CODE__favourable``, ``CODE__neutral``, ``CODE__weak``.
        foreign: Groups named after things that are no factor of the catalogue.
        cues: Groups ``hurt``, ``helped``, ``bad``, ``good``, ``more``, ``less``, ``cause``, ``process``,
            ``contrast``, ``concession``.
        negation: Words that turn what follows.
        wish: Words after which a direction is what the lender would want, not what it found.
        decision: Groups ``declined``, ``approve``, ``approval_noun``, ``counteroffer``, ``incomplete``.
        forbidden: Groups named after rules.
        rules: Message and fact of each rule in ``forbidden``.
        more_is_adverse: Codes for which "high", "many" or "long" speak against the applicant.
    """

    factors: re.Pattern[str]
    foreign: re.Pattern[str]
    cues: re.Pattern[str]
    negation: re.Pattern[str]
    wish: re.Pattern[str]
    decision: re.Pattern[str]
    forbidden: re.Pattern[str]
    rules: dict[str, Forbidden]
    more_is_adverse: frozenset[str]


@cache
def lexicon() -> Lexicon:
    """Read and compile the lists."""
    table = tomllib.loads((files("lendsafe.eval") / "lexicon.toml").read_text("utf-8"))
    cues = dict(table["cues"])
    return Lexicon(
        factors=_groups(_factor_lists(table["factors"])),
        foreign=_groups(table["foreign"]),
        negation=phrases(cues.pop("negation")),
        wish=phrases(cues.pop("wish")),
        cues=_groups({name: cues[name] for name in CUE_ORDER}),
        decision=_groups(table["decision"]),
        forbidden=_groups({rule: entry["patterns"] for rule, entry in table["forbidden"].items()}),
        rules={
            rule: Forbidden(entry["message"], entry["fact"]) for rule, entry in table["forbidden"].items()
        },
        more_is_adverse=frozenset(
            code for code, entry in table["factors"].items() if entry["more"] == "adverse"
        ),
    )


# at one place the first list that matches wins: "enough room" before "room", "less favourable" before "less"
CUE_ORDER = ("contrast", "concession", "hurt", "helped", "bad", "good", "more", "less", "cause", "process")


def phrases(patterns: Iterable[str]) -> re.Pattern[str]:
    """One expression that finds any of the patterns at word boundaries."""
    return re.compile(rf"(?<![\w-])(?:{_alternatives(patterns)})(?!\w)")


def _groups(lists: dict[str, list[str]]) -> re.Pattern[str]:
    return re.compile(
        r"\b(?:" + "|".join(f"(?P<{name}>{_alternatives(one)})" for name, one in lists.items()) + r")(?!\w)"
    )


def _alternatives(patterns: Iterable[str]) -> str:
    return "|".join(
        _BEHIND.sub(_fixed, one).replace(" ~ ", GAP).replace(" ?", OPTIONAL).replace(" ", SPACE)
        for one in patterns
    )


def _fixed(match: re.Match[str]) -> str:
    return match[0].replace(" ", r"[\s-]")  # a look-behind needs a fixed width


def _factor_lists(table: dict[str, Any]) -> dict[str, list[str]]:
    # intrinsic phrases of every code come before neutral ones, and weak words last
    return {
        f"{code}__{kind}": entry[kind]
        for kind in ("adverse", "favourable", "neutral", "weak")
        for code, entry in table.items()
        if entry.get(kind)
    }
