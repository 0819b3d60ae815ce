"""What other people wrote, made fit to be shown: one line of visible characters.

Escaping for HTML and for typst is done where these are written (``render``); here goes what no
medium escapes: line breaks, control, bidirectional and zero-width characters, and look-alike blanks.
"""

import re
import unicodedata

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
