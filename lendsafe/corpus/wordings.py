"""Sentence patterns with alternatives, read from the wording tables beside this module.

A pattern is text with ``(a|b)`` where wordings may vary and ``[a|b]`` where one or several
factors are meant; both nest. Earlier alternatives are drawn more often, so that a style has a
voice of its own and still does not repeat itself.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal, Protocol

from lendsafe import slots

Wording = Literal["train", "held_out", "all"]

# Each alternative is drawn this much more seldom than the one before it. At 1 every wording is as
# likely as any other and no reference can be predicted; near 0 every letter reads the same.
FALLOFF = 0.95

# Share of the lists drawn from the held-out table when every wording is wanted.
HELD_OUT_SHARE = 0.3


class Random(Protocol):
    """What the grammar needs of a generator: ``random.Random`` and ``numpy.random.Generator`` have it."""

    def random(self) -> float:
        """A number in [0, 1)."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A place in a pattern where the text may vary.

    Attributes:
        options: The alternatives, each a sequence of text and further choices.
        by_count: Whether the number of factors, not chance, picks (``[one|several]``).
    """

    options: tuple["Pattern", ...]
    by_count: bool


Pattern = tuple["str | Choice", ...]


def parse(text: str) -> Pattern:
    """Read a pattern.

    Raises:
        ValueError: If a bracket is not closed or was never opened.
    """
    options, rest = _options(text, "")
    if rest or len(options) != 1:
        raise ValueError(f"Unbalanced brackets in the pattern {text!r}.")
    return options[0]


def _options(text: str, close: str) -> tuple[list[Pattern], str]:
    options: list[Pattern] = []
    parts: list[str | Choice] = []
    while text:
        head, text = text[0], text[1:]
        if head in "([":
            inner, text = _options(text, ")" if head == "(" else "]")
            parts.append(Choice(tuple(inner), by_count=head == "["))
        elif head == "|" and close:
            options.append(tuple(parts))
            parts = []
        elif head in ")]":
            if head != close:
                raise ValueError(f"Unexpected '{head}' in a pattern.")
            return [*options, tuple(parts)], text
        elif parts and isinstance(parts[-1], str):
            parts[-1] += head
        else:
            parts.append(head)
    if close:
        raise ValueError(f"'{close}' is missing in a pattern.")
    return [*options, tuple(parts)], ""


def say(pattern: Pattern, rng: Random, *, several: bool = False) -> str:
    """Draw one wording of a pattern.

    Args:
        pattern: What :func:`parse` returned.
        rng: Source of chance.
        several: Whether ``[one|several]`` takes its second alternative.
    """
    words = []
    for part in pattern:
        if isinstance(part, str):
            words.append(part)
        else:
            option = part.options[several] if part.by_count else part.options[pick(len(part.options), rng)]
            words.append(say(option, rng, several=several))
    return "".join(words)


@cache
def shape(pattern: Pattern) -> str:
    """A pattern's likeliest wording without the names of its slots: what two facts may share."""
    return slots.SLOT.sub("{}", say(pattern, _First()))


class _First:
    """Chance that always draws the first alternative."""

    def random(self) -> float:
        return 0.0


def pick(count: int, rng: Random) -> int:
    """Draw an index below ``count``; each is ``FALLOFF`` times as likely as the one before."""
    draw = rng.random() * (1 - FALLOFF**count)
    index = 0
    while index < count - 1 and draw >= 1 - FALLOFF ** (index + 1):
        index += 1
    return index


def patterns(table: Literal["train", "held_out"], path: str, register: str) -> tuple[Pattern, ...]:
    """The alternatives at a dotted path such as ``weight.adverse.strong``.

    Args:
        table: Which wordings; a place that the held-out table leaves out is taken from the other.
        path: Sections, joined by dots.
        register: List below the section; a list named ``any`` serves every register.

    Raises:
        KeyError: If neither table has the place.
    """
    found = _tables()[table].get((path, register)) or _tables()[table].get((path, "any"))
    if found is None and table == "held_out":
        return patterns("train", path, register)
    if found is None:
        raise KeyError(f"No wording for '{path}', register '{register}'.")
    return found


@cache
def purposes() -> dict[str, str]:
    """How each loan purpose is worded after the amount."""
    purpose: dict[str, str] = _read("wordings.toml")["purpose"]
    return purpose


@cache
def _tables() -> dict[str, dict[tuple[str, str], tuple[Pattern, ...]]]:
    return {
        "train": dict(_leaves(_read("wordings.toml"))),
        "held_out": dict(_leaves(_read("wordings_held_out.toml"))),
    }


def _leaves(table: dict[str, Any], path: str = "") -> list[tuple[tuple[str, str], tuple[Pattern, ...]]]:
    leaves: list[tuple[tuple[str, str], tuple[Pattern, ...]]] = []
    for key, value in table.items():
        if isinstance(value, list):
            leaves.append(((path, key), tuple(map(parse, value))))
        elif isinstance(value, dict):
            leaves += _leaves(value, f"{path}.{key}".lstrip("."))
    return leaves


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((files("lendsafe.corpus") / name).read_text("utf-8"))
