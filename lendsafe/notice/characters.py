"""What other people wrote, made fit to be shown: one line of visible characters.

Escaping for HTML and for typst is done where these are written (``render``); here goes what no
medium escapes: line breaks, control, bidirectional and zero-width characters, and look-alike blanks.
"""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

# Cc control, Cf format (bidi, zero-width, tags), Cs surrogate, Co private use, Cn unassigned
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_BLANK_LETTERS = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f")
_PICTOGRAPHS = re.compile("[\u2600-\u27bf\U0001f000-\U0001faff]")
_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_MARK = "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
_STACKED_MARKS = re.compile(f"({_MARK}{{2}}){_MARK}+")


def visible(text: str) -> str:
    """The text as one line: composed (NFC), without characters that nobody sees, blanks collapsed.

    No pictographs and at most two combining marks in a row: a name needs no more, and a mark that
    leaves its line would write over the text around it.
    """
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    spaced = "".join(" " if char.isspace() else char for char in unicodedata.normalize("NFC", text))
    shown = (
        char for char in spaced if unicodedata.category(char) not in _UNSEEN and char not in _BLANK_LETTERS
    )
    plain = _PICTOGRAPHS.sub("", _SELECTORS.sub("", "".join(shown)))
    return " ".join(_STACKED_MARKS.sub(r"\1", plain).split())


def paragraphs(text: str) -> tuple[str, ...]:
    """Paragraphs between blank lines, each made :func:`visible`; empty ones left out."""
    found = (visible(part) for part in re.split(r"\n\s*\n", text))
    return tuple(one for one in found if one)


_SOCIAL_SECURITY = re.compile(r"\b\d{3}[- ]\d{2}[- ](\d{4})\b")
_LONG_NUMBER = re.compile(r"\b\d(?:[ -]?\d){12,18}\b")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b")
_SECRET_KEY = re.compile(
    r"ssn|social_?security|account_?(number|no\b)|card_?(number|no\b)|tax_?id|iban|routing", re.IGNORECASE
)


def masked(value: Any, key: str = "") -> Any:
    """JSON values without account and social security numbers: of each, the last four characters stay."""
    if isinstance(value, Mapping):
        return {name: masked(inner, str(name)) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [masked(inner, key) for inner in value]
    if _SECRET_KEY.search(key) and isinstance(value, str | int) and not isinstance(value, bool):
        return _stars(str(value))
    if not isinstance(value, str):
        return value
    found = _SOCIAL_SECURITY.sub(lambda one: _stars(one[0]), value)
    found = _LONG_NUMBER.sub(lambda one: _stars(one[0]) if _is_card(one[0]) else one[0], found)
    return _IBAN.sub(lambda one: _stars(one[0]), found)


def _stars(text: str) -> str:
    shown = text[-4:] if len(text) > 6 else ""
    return "*" * (len(text) - len(shown)) + shown


def _is_card(text: str) -> bool:
    """The check digit of ISO/IEC 7812-1, annex B (Luhn)."""
    digits = [int(char) for char in reversed(text) if char.isdigit()]
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0
