"""eCFR's XML: sections, appendices and Supplement I to labelled paragraphs, which the XML does not label.

``DIV8`` is a section, ``DIV9`` an appendix or the commentary, ``P`` a paragraph whose markers open its text:
``(a) Heading—(1) Heading. Text``. Levels follow 1 CFR 21.11: (a), (1), (i), (A), (1), (i), the last two in
italics. The commentary counts 1., i., A., 1. under headings that name a section or paragraph.
"""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from datetime import date
from itertools import pairwise
from string import ascii_lowercase, ascii_uppercase

from lendsafe.errors import DataError
from lendsafe.law.citations import INTERP
from lendsafe.law.rows import Row, Snapshot, fold

Piece = tuple[str, str, str]
_OPEN, _CLOSE = "\x01", "\x02"  # around what is printed in italics
_UP_TO_25 = "i ii iii iv v vi vii viii ix x xi xii xiii xiv xv xvi xvii xviii xix xx xxi xxii xxiii xxiv xxv"
_ROMANS = _UP_TO_25.split()
_LETTERS = [*ascii_lowercase, *(2 * one for one in ascii_lowercase)]
_NUMBERS = [str(number) for number in range(1, 100)]
_COUNTS = (_LETTERS, _NUMBERS, _ROMANS, list(ascii_uppercase), _NUMBERS, _ROMANS, list(ascii_uppercase))
# Levels of the United States Code: (a), (1), (A), (i), (I)
STATUTE = (_LETTERS, _NUMBERS, list(ascii_uppercase), _ROMANS, [one.upper() for one in _ROMANS])
_COMMENT_COUNTS = (_NUMBERS, _ROMANS, list(ascii_uppercase), _NUMBERS, _ROMANS)
_ITALIC = (4, 5)  # levels whose markers are printed in italics
_HEADINGS = ("HD1", "HD2", "HD3", "HD4")


class Outline:
    """The markers that lead to the present paragraph.

    Args:
        base: Label of the section.
        counts: For each level, its markers in order.
    """

    def __init__(self, base: str, counts: tuple[list[str], ...] = _COUNTS) -> None:
        self.base, self._counts = base, counts
        self._path: list[str] = []

    @property
    def label(self) -> str:
        """Label of the present paragraph."""
        return "-".join([self.base, *self._path])

    def step(self, marker: str, following: str = "", *, italic: bool | None = None) -> None:
        """Go to the paragraph that a marker opens.

        ``(i)`` after ``(h)(2)`` is the next letter or the first numeral: ``following``, the marker after it, tells.
        Levels five and six are printed in italics: ``(2)`` after ``(a)(1)(i)(A)(1)`` is the one or the other.

        Raises:
            DataError: If the marker fits no level.
        """
        places = [depth for depth in range(len(self._path), -1, -1) if self._fits(marker, depth)]
        if italic is not None and (printed := [one for one in places if (one in _ITALIC) == italic]):
            places = printed
        if len(places) > 1 and following and not self._leads(marker, following, places[0]):
            places = places[1:]
        if not places and len(self._path) < len(self._counts) and marker in self._counts[len(self._path)]:
            places = [len(self._path)]  # those before it are reserved, and not printed
        if not places:
            raise DataError(f"'({marker})' does not follow {self.label}: the text cannot be labelled.")
        self._path[places[0] :] = [marker]

    def _fits(self, marker: str, depth: int) -> bool:
        if depth >= len(self._counts) or marker not in (count := self._counts[depth]):
            return False
        if depth == len(self._path):
            return count.index(marker) == 0 or not self._path
        return self._path[depth] in count and count.index(marker) > count.index(self._path[depth])

    def _leads(self, marker: str, following: str, depth: int) -> bool:
        """Whether ``following`` may come after ``marker`` at that depth: its next, its child, or one above."""
        count = self._counts[depth]
        next_one = count[count.index(marker) + 1]
        child = self._counts[depth + 1][0] if depth + 1 < len(self._counts) else ""
        above = self._path[:depth]
        ups = [self._counts[i].index(one) + 1 for i, one in enumerate(above) if one in self._counts[i]]
        return following in (next_one, child, *(self._counts[i][up] for i, up in enumerate(ups)))


def read(xml: bytes, where: str, day: date | None = None, source: str = "") -> Snapshot:
    """Label the paragraphs of a part, or of one section, in eCFR's XML.

    Args:
        xml: As the versioner's ``full`` service answers.
        where: What to name in a message.
        day: Day of the issue.
        source: What to call it.

    Raises:
        DataError: If it is no such XML, or a paragraph's marker fits nowhere.
    """
    root = _root(xml, where)
    pieces: list[Piece] = []
    covers: list[str] = []
    divisions = [root] if root.tag == "DIV8" else list(root.iter())
    for node in divisions:
        if node.tag == "DIV8":
            section = _section_of(node, where)
            pieces += _section(node, section)
            covers.append(section)
        elif node.tag == "DIV9":
            pieces += _division9(node)
    if not pieces:
        raise DataError(f"{where}: no section of a regulation in it; expected eCFR's XML of a part.")
    if root.tag != "DIV8":
        covers = sorted({label[:4] for label, _, _ in pieces})
    rows = tuple(row for row in fold(pieces) if row.words not in ("", "[Reserved]"))
    return Snapshot(day=day or date.min, covers=tuple(covers), source=source or where, rows=rows)


def _root(xml: bytes, where: str) -> ElementTree.Element:
    if b"<!DOCTYPE" in xml or b"<!ENTITY" in xml:
        raise DataError(f"{where}: the XML declares entities; eCFR's does not.")
    try:
        return ElementTree.fromstring(xml)  # noqa: S314  # without entities there is nothing to expand
    except ElementTree.ParseError as problem:
        raise DataError(f"{where}: not XML: {problem}.") from problem


def _section_of(node: ElementTree.Element, where: str) -> str:
    named = node.attrib.get("N", "").removeprefix("§").strip()
    if not re.fullmatch(r"10(02|22)\.\d{1,3}", named):
        raise DataError(f"{where}: section {named[:20]!r}; expected one of 12 CFR part 1002 or 1022.")
    return named.replace(".", "-")


def _section(node: ElementTree.Element, section: str) -> Iterator[Piece]:
    heading = re.sub(r"^§+\s*\S+\s+", "", _flat(node.find("HEAD")))
    yield section, heading, ""
    paragraphs = [_marked(one) for one in node if one.tag in ("P", "FP", "EXTRACT")]
    yield from _paragraphs(paragraphs, Outline(section))


_MARKER = re.compile(rf"\s*\({_OPEN}?([A-Za-z]{{1,5}}|\d{{1,2}}){_CLOSE}?\)\s*")


def _paragraphs(paragraphs: list[str], outline: Outline) -> Iterator[Piece]:
    for text, after in pairwise([*paragraphs, ""]):
        opening = _MARKER.match(after)
        yield from _paragraph(text, outline, opening[1] if opening else "")


def _paragraph(text: str, outline: Outline, following: str) -> Iterator[Piece]:
    rest, found = text, _MARKER.match(text)
    while found:
        rest = rest[found.end() :]
        heading, rest = _heading(rest)
        inner = _MARKER.match(rest)
        outline.step(found[1], inner[1] if inner else following, italic=_OPEN in found[0])
        if (inner and heading) or (inner and inner.start() == 0):
            yield outline.label, heading, ""
            found = inner
            continue
        yield outline.label, heading, _clean(rest)
        return
    yield outline.label, "", _clean(rest)


def _heading(text: str) -> tuple[str, str]:
    """The title in italics that a paragraph opens with, and the rest; a defined term is no title."""
    found = re.match(rf"{_OPEN}([^{_CLOSE}]+){_CLOSE}", text)
    if not found:
        return "", text
    rest = text[found.end() :]
    if rest.startswith("—"):
        return found[1].rstrip(".") + ".", rest[1:]
    if found[1].rstrip().endswith((".", "?")):
        return found[1].strip(), rest.lstrip()
    if rest.startswith("."):
        return found[1] + ".", rest[1:].lstrip()
    return "", text


_FORM = re.compile(r"Form (C)-(\d+)\b|Model [Ff]orm H-\d+|^(H)-(\d+)\b")
_COMMENTED = re.compile(r"^(?:Paragraph )?(\d+|[A-Z])((?:\(\w+\))*)(?:[.\s]|$)\s*(.*)$")


def _division9(node: ElementTree.Element) -> Iterator[Piece]:
    name = f"{node.attrib.get('N', '')} {_flat(node.find('HEAD'))}"
    if found := re.search(r"Supplement I to Part (\d{4})", name):
        yield from _commentary(node, found[1])
    elif found := re.search(r"Appendix ([A-Z]) to Part (\d{4})", name):
        yield from _appendix(node, f"{found[2]}-{found[1]}")


def _appendix(node: ElementTree.Element, label: str) -> Iterator[Piece]:
    heading = re.sub(r"^Appendix [A-Z] to Part \d{4}\s*[—-]\s*", "", _flat(node.find("HEAD")))
    yield label, heading, ""
    at, numbered = label, label == "1002-C"
    for one in node:
        if one.tag in ("HEAD", "CITA", "EDNOTE"):
            continue
        text = _clean(_marked(one))
        if one.tag in _HEADINGS and (place := _form(label, at, text)):
            at, numbered = place, False
            yield at, re.sub(r"^.*?[—-]\s*", "", text) if "form" not in at else text, ""
        elif numbered and (found := re.match(r"(\d+)\. ?(.*)", text, re.DOTALL)):
            yield f"{label}-{found[1]}", "", found[2]
        elif text:
            yield at, "", text


def _form(label: str, at: str, text: str) -> str:
    if label == "1002-C":
        if form := re.search(r"Form C-(\d+)", text):
            return f"1002-C-form-{form[1]}"
        if (part := re.match(r"Part (I{1,2})\b", text)) and at in ("1002-C-form-1", "1002-C-I"):
            return f"1002-C-{part[1]}"
    form = re.match(r"(?:Form )?H-(\d+)", text)
    return f"{label}-{form[1]}" if form and label == "1022-H" else ""


def _commentary(node: ElementTree.Element, part: str) -> Iterator[Piece]:
    base, outline = "", Outline("", _COMMENT_COUNTS)
    children = [one for one in node if one.tag not in ("HEAD", "CITA", "EDNOTE")]
    texts = [_marked(one) for one in children] + [""]
    for one, text, after in zip(children, texts, texts[1:], strict=False):
        if place := _commented(one, text, part, base):
            base, heading = place
            outline = Outline(base, _COMMENT_COUNTS)
            yield base, heading, ""
        elif base:
            following = _COMMENT.match(after)
            yield from _comment(text, outline, following[1] if following else "")


def _commented(node: ElementTree.Element, text: str, part: str, base: str) -> tuple[str, str] | None:
    """Label and title of what the comments after a heading explain; None if it is no heading."""
    whole_italic = re.fullmatch(rf"\s*{_OPEN}[^{_CLOSE}]+{_CLOSE}\.?\s*", text)
    if node.tag not in _HEADINGS and not whole_italic:
        return None
    line = _clean(text)
    if found := re.match(rf"Section {part}\.(\d+)\s*[—-]?\s*(.*)", line):
        return f"{part}-{found[1]}-{INTERP}", found[2]
    if found := re.match(r"Appendix ([A-Z])\s*[—-]?\s*(.*)", line):
        return f"{part}-{found[1]}-{INTERP}", found[2]
    if line.rstrip(".").lower() == "introduction":
        return f"{part}-{INTERP}-h1", "Introduction"
    if found := _COMMENTED.match(line):
        levels = re.findall(r"\((\w+)\)", found[2])
        return "-".join([part, found[1], *levels, INTERP]), found[3].strip()
    return (base, "") if base and whole_italic is None else None


_COMMENT = re.compile(rf"\s*{_OPEN}?([A-Z]|[ivx]+|\d{{1,2}}){_CLOSE}?\. ?")


def _comment(text: str, outline: Outline, following: str) -> Iterator[Piece]:
    found = _COMMENT.match(text)
    if not found:
        yield outline.label, "", _clean(text)
        return
    inside = text.lstrip().startswith(_OPEN) and _CLOSE not in found[0]
    rest = (_OPEN if inside else "") + text[found.end() :]
    outline.step(found[1], following)
    heading, rest = _heading(rest)
    yield outline.label, heading, _clean(rest)


def _marked(node: ElementTree.Element) -> str:
    """Text of a paragraph with what is in italics between two marks."""
    parts = [node.text or ""]
    for one in node:
        inner = _marked(one)
        parts.append(f"{_OPEN}{inner}{_CLOSE}" if one.tag in ("I", "E") and inner.strip() else inner)
        parts.append(one.tail or "")
    return "".join(parts)


def _clean(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace(_OPEN, "").replace(_CLOSE, "")).strip()


def _flat(node: ElementTree.Element | None) -> str:
    return "" if node is None else _clean(_marked(node))


__all__ = ["Outline", "Row", "read"]
