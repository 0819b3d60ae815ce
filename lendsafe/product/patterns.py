"""Sentence patterns with alternatives: ``(a|b)`` where wordings may vary, ``[a|b]`` for one or several.

Both nest. Earlier alternatives are drawn more often, so that a style has a voice of its own and still does
not repeat itself.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Protocol

# Each alternative is drawn this much more seldom than the one before it. At 1 every wording is as
# likely as any other and no reference can be predicted; near 0 every letter reads the same.
FALLOFF = 0.95
_SLOT = re.compile(r"\{[a-z][a-z0-9_]*\}")


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
    return _SLOT.sub("{}", say(pattern, _First()))


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


def first(pattern: Pattern, *, several: bool = False) -> str:
    """A pattern's likeliest wording."""
    return say(pattern, _First(), several=several)


def every(pattern: Pattern, *, several: bool = False) -> Iterator[str]:
    """Every wording of a pattern.

    Args:
        pattern: What :func:`parse` returned.
        several: Whether ``[one|several]`` takes its second alternative.
    """
    options = [[part] if isinstance(part, str) else list(_every(part, several=several)) for part in pattern]
    yield from map("".join, product(*options))


def _every(choice: Choice, *, several: bool) -> Iterator[str]:
    for option in [choice.options[several]] if choice.by_count else choice.options:
        yield from every(option, several=several)
