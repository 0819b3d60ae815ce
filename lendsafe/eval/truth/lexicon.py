"""The reviewed words of ``lexicon.toml``, compiled once."""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import pairwise
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
        foreign: Groups named after things that are no factor of the catalogue.
        cues: Groups ``hurt``, ``helped``, ``bad``, ``good``, ``more``, ``less``, ``cause``, ``process``,
            ``contrast``, ``concession``.
        negation: Words that turn what follows.
        wish: Words after which a direction is what the lender would want, not what it found.
        decision: Groups ``declined``, ``approve``, ``approval_noun``, ``counteroffer``, ``incomplete``.
        forbidden: Groups named after rules.
        rules: Message and fact of each rule in ``forbidden``.
        turning: Words that turn the meaning of what stands beside them.
    """

    foreign: re.Pattern[str]
    cues: re.Pattern[str]
    negation: re.Pattern[str]
    wish: re.Pattern[str]
    decision: re.Pattern[str]
    forbidden: re.Pattern[str]
    rules: dict[str, Forbidden]
    turning: frozenset[str]


@cache
def table() -> dict[str, Any]:
    """The lists as they are written."""
    return tomllib.loads((files("lendsafe.eval.truth") / "lexicon.toml").read_text("utf-8"))


@cache
def lexicon() -> Lexicon:
    """Read and compile the lists."""
    lists = table()
    cues = dict(lists["cues"])
    return Lexicon(
        foreign=groups(lists["foreign"]),
        negation=phrases(cues.pop("negation")),
        wish=phrases(cues.pop("wish")),
        cues=groups({name: cues[name] for name in CUE_ORDER}),
        decision=groups(lists["decision"]),
        forbidden=groups({rule: entry["patterns"] for rule, entry in lists["forbidden"].items()}),
        rules={
            rule: Forbidden(entry["message"], entry["fact"]) for rule, entry in lists["forbidden"].items()
        },
        turning=frozenset(word for words in lists["turning"].values() for word in words),
    )


# at one place the first list that matches wins: "enough room" before "room", "less favourable" before "less"
CUE_ORDER = ("contrast", "concession", "hurt", "helped", "bad", "good", "more", "less", "cause", "process")


def phrases(patterns: Iterable[str]) -> re.Pattern[str]:
    """One expression that finds any of the patterns at word boundaries."""
    return re.compile(rf"(?<![\w-])(?:{_alternatives(patterns)})(?!\w)")


def list_of(match: re.Match[str]) -> str:
    """Name of the list that a match of a grouped pattern is from."""
    return (match.lastgroup or "").rpartition(_BUCKET)[0]


def groups(lists: dict[str, list[str]]) -> re.Pattern[str]:
    """One expression over several lists, the first list that matches wins; see :func:`list_of`.

    Patterns that begin with the same letter share a branch, so that at a word only those of its letter are
    tried; those whose first letter cannot be told come last.
    """
    branches: dict[str, dict[str, list[str]]] = {}
    for name, patterns in lists.items():
        for pattern in (head for one in patterns for head in _heads(_spaced(one))):
            letter = pattern[0] if _LITERAL.match(pattern) else ""
            branches.setdefault(letter, {}).setdefault(name, []).append(pattern[len(letter) :])
    rest = branches.pop("", {})
    parts = [letter + _branch(table, letter) for letter, table in branches.items()]
    return re.compile(r"\b(?:" + "|".join([*parts, *([_branch(rest, "")] if rest else [])]) + r")(?!\w)")


_BUCKET = "__of_"
_LITERAL = re.compile(r"[a-z](?![?*{])")
_PREFIX = re.compile(r"(?:\(\?<[!=][^)]*\)|\^)*")


def _branch(table: dict[str, list[str]], letter: str) -> str:
    groups = (f"(?P<{name}{_BUCKET}{letter}>{'|'.join(patterns)})" for name, patterns in table.items())
    return f"(?:{'|'.join(groups)})"


def _heads(pattern: str) -> list[str]:
    """The pattern as alternatives that begin with a literal, as far as its leading group can be opened."""
    prefix = _PREFIX.match(pattern)[0]  # type: ignore[index]  # it matches the empty text
    body = pattern[len(prefix) :]
    if not body.startswith("(?:"):
        return [pattern]
    bars, close = _top_level(body)
    if body[close + 1 : close + 2] in ("?", "*", "{", "+"):
        return [pattern]
    cuts = [2, *bars, close]
    options = [body[a + 1 : b] for a, b in pairwise(cuts)]
    return [head for one in options for head in _heads(prefix + one + body[close + 1 :])]


def _top_level(group: str) -> tuple[list[int], int]:
    """Where the bars of a leading group are, and where it closes."""
    bars: list[int] = []
    depth, at, inside = 0, 0, False
    while at < len(group):
        letter = group[at]
        if letter == "\\":
            at += 1
        elif inside:
            inside = letter != "]"
        elif letter == "[":
            inside = True
        elif letter == "(":
            depth += 1
        elif letter == ")":
            depth -= 1
            if not depth:
                return bars, at
        elif letter == "|" and depth == 1:
            bars.append(at)
        at += 1
    raise ValueError(f"Unbalanced brackets in the pattern {group!r}.")


def _alternatives(patterns: Iterable[str]) -> str:
    return "|".join(map(_spaced, patterns))


def _spaced(pattern: str) -> str:
    """The pattern with its spaces and gaps written out."""
    fixed = _BEHIND.sub(_fixed, pattern).replace(" ~ ", GAP)
    return fixed.replace(" ?", OPTIONAL).replace(" ", SPACE)


def _fixed(match: re.Match[str]) -> str:
    return match[0].replace(" ", r"[\s-]")  # a look-behind needs a fixed width
