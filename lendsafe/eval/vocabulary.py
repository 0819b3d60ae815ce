"""The words that a model was taught, so that a word of its own invention does not pass.

A list of forbidden wordings finds what its author has thought of. A generated text comes from a model that learned
from texts a lender has read: a word that none of them holds is no evidence of an error, but nobody has approved it.
"""

import re
from collections.abc import Iterable

from lendsafe import slots

_WORD = re.compile(r"[a-z]+(?:'[a-z]+)*")


def words(text: str) -> set[str]:
    """The words of a text in lower case; no figures, no slots; both parts of a hyphenated word."""
    return {word for _, _, word in places(text.lower())}


def places(lowered: str) -> list[tuple[int, int, str]]:
    """Where each word of a lower-case text begins and ends."""
    plain = slots.SLOT.sub(lambda match: " " * len(match[0]), lowered.replace("\u2019", "'"))
    return [(match.start(), match.end(), match[0]) for match in _WORD.finditer(plain)]


def vocabulary(texts: Iterable[str]) -> frozenset[str]:
    """All words of some texts."""
    return frozenset(word for text in texts for word in words(text))
