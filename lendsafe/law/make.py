"""Makes the snapshots that ship, from texts of the United States government; run by a developer.

    python -m lendsafe.law.make --regulations DIR --sections DIR --statute DIR

All of it is in the public domain (17 USC 105). The folder of the regulations holds the Bureau's regulations-xml
(``reg_b_1002.xml``, ``reg_v_1022.xml``); that of the sections, single sections in eCFR's XML
(``/api/versioner/v1/full/2023-08-29/title-12.xml?part=1002&section=1002.9``); that of the statute, 15 USC 1681 in
Markdown, one subsection or section a file.
"""

import re
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import click

from lendsafe.errors import DataError
from lendsafe.law import ecfr
from lendsafe.law.citations import INTERP
from lendsafe.law.rows import Row, Snapshot, fold, write_snapshot

HERE = Path(__file__).parent / "snapshots"
Piece = tuple[str, str, str]
_NO_WORDS = re.compile(r"—$|!\[\]\(")  # a dash that a heading ends with; the address of a picture
# Slips of the file: labels that leave out a level, words printed twice, a letter lost
_MISLABELLED = {
    "1022-82-c-2-A": "1022-82-c-2-i-A",
    "1022-82-c-2-B": "1022-82-c-2-i-B",
    "1022-82-c-2-C": "1022-82-c-2-i-C",
    "1022-82-d-i-ii": "1022-82-d-1-ii",
    "1002-13-c-Interp-c": "1002-13-c-Interp-1",
    "1022-25-b1-ii": "1022-25-b-1-ii",
    "1022-25-b1-iii": "1022-25-b-1-iii",
    "1022-27-c-ii-2": "1022-27-c-2",
    "1022-72-d-1-ii-2": "1022-72-d-2",
}
_SLIPS = {
    "accounts of the applicant. A creditor ma": "A creditor ma",
    "ou do not directly use your affiliate's ": "You do not directly use your affiliate's ",
}
_BLANK = "____"
# What tells the beginning of a sentence from a title in the Code, where neither ends in a full stop
_SENTENCE = re.compile(r"[.;:,—]$|\band$|\bor$|\b(shall|if|that|does not|term|referred to|means)\b")
# Sections of the statute that letters cite, and those that these send the reader to
STATUTE = ("1681g-a", "1681g-f", "1681j-b", "1681m")


def regulations(path: Path, day: date, source: str) -> Snapshot:
    """Read the Bureau's regulations-xml."""
    root = ElementTree.parse(path).getroot()  # noqa: S314  # a file that a developer names
    for one in root.iter():
        one.tag = one.tag.rpartition("}")[2]
    part = root.find("part")
    if part is None:
        raise DataError(f"{path}: no part; expected the Bureau's regulations-xml.")
    content = part.find("content")
    assert content is not None
    rows = [row for row in fold(_pieces(content, "")) if row.words not in ("", "[Reserved]")]
    return Snapshot(day=day, covers=(part.attrib["label"],), source=source, rows=tuple(rows))


def statute(folder: Path, day: date, source: str) -> Snapshot:
    """Read sections of the United States Code in Markdown."""
    pieces = [piece for path in sorted(folder.glob("*.md")) for piece in _subsection(path.read_text("utf-8"))]
    rows = [row for row in fold(pieces) if _wanted(row.label)]
    return Snapshot(day=day, covers=STATUTE, source=source, rows=tuple(rows))


def _wanted(label: str) -> bool:
    return any(label == one or label.startswith(f"{one}-") for one in STATUTE) or label in ("1681g", "1681j")


_CONTAINERS = ("section", "paragraph", "interpSection", "interpParagraph", "appendix", "appendixSection")


def _pieces(node: ElementTree.Element, above: str) -> Iterator[Piece]:
    for child in node:
        if child.tag in _CONTAINERS and (label := child.attrib.get("label")):
            yield from _labelled(child, _renamed(label, child, above))
        elif child.tag in ("content", "subpart", "interpretations"):
            yield from _pieces(child, above)


def _labelled(node: ElementTree.Element, label: str) -> Iterator[Piece]:
    own = "".join(_text(one) for one in node if one.tag == "content")
    heading = next((_text(one) for one in node if one.tag in ("subject", "title", "appendixTitle")), "")
    heading = re.sub(r"^(§ \d+\.\d+ |Section \d+\.\d+—|Paragraph \S+$|\d+(\(\w+\))+\.? )", "", heading)
    own = _SLIPS.get(own[:40], own[:40]) + own[40:]
    yield (
        re.sub(r"\s", "", _MISLABELLED.get(label, label)),
        heading,
        "" if _NO_WORDS.match(own) else re.sub(rf"^{_number(label)}\. ", "", own),
    )
    for child in node:
        if child.tag in _CONTAINERS and "label" in child.attrib:
            yield from _labelled(child, _renamed(child.attrib["label"], child, label))


def _number(label: str) -> str:
    return re.escape(label.rpartition("-")[2])


def _renamed(label: str, node: ElementTree.Element, above: str) -> str:
    """Forms by their number; what has no marker of its own is a part of what is above it."""
    title = next((_text(one) for one in node if one.tag == "title"), "")
    if (form := re.match(r"Form C-(\d+)—", title)) and label.startswith("1002-C-"):
        return f"1002-C-form-{form[1]}"
    if (
        above
        and re.search(r"-(p|h)\d+$", label)
        and not node.attrib.get("marker")
        and node.tag == "paragraph"
    ):
        return above
    return label


def _text(node: ElementTree.Element) -> str:
    parts = []
    for one in node.iter():
        if one.tag == "dash":
            parts.append(f"{(one.text or '').strip()} {_BLANK}".strip())
        else:
            parts.append(one.text or "")
        parts.append(one.tail or "" if one is not node else "")
    return re.sub(r"\s+", " ", "".join(parts)).strip()


def _subsection(text: str) -> Iterator[Piece]:
    """Pieces of one file; a marker that opens a line says the level, a line without one a heading or text."""
    lines = [
        re.sub(r"[\u00a0\u2000-\u200a\u202f]", " ", line).strip()
        for line in text.splitlines()
        if line.strip()
    ]
    head = next((one for one in lines if one.startswith("#### §")), "")
    found = re.match(r"#### § (1681\w?)\. (.*)", head)
    if not found:
        return
    outline = ecfr.Outline(found[1], ecfr.STATUTE)
    yield found[1], found[2], ""
    body = [_tidied(re.sub(r"^#{5,6} ", "", line)) for line in lines[lines.index(head) + 1 :]]
    for place, line in enumerate(body):
        following = next((re.match(r"\((\w+)\)", one) for one in body[place + 1 :] if one[0] == "("), None)
        rest = line
        while marker := re.match(r"\((\w{1,5})\) ?", rest):
            outline.step(marker[1], following[1] if following else "")
            rest = rest[marker.end() :]
        is_heading = line != rest and not _SENTENCE.search(rest) and _titled(body, place)
        opens = place + 1 < len(body) and body[place + 1].startswith("(") and not is_heading
        dash = "—" if opens and re.search(r"[\w”)]$", rest) and not rest.endswith((" and", " or")) else ""
        yield outline.label, rest if is_heading else "", "" if is_heading else rest + dash


def _titled(body: list[str], place: int) -> bool:
    """A short line after a marker whose text comes in a line or markers of its own."""
    return len(body[place]) < 140 and place + 1 < len(body) and not body[place][3:].lstrip(") ")[:1].islower()


def _tidied(line: str) -> str:
    """The copy's stray spaces around links, and the numbers of its footnotes."""
    line = re.sub(r" {2}\d(?= |$)", "", line)
    line = re.sub(r" ([;,.)])", r"\1", line)
    return re.sub(r"1681 ([a-z])\b", r"1681\1", line)


@click.command()
@click.option("--regulations", "folder", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--sections", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--statute", "code", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--out", type=click.Path(path_type=Path), default=HERE, show_default=True)
@click.option("--vectors", is_flag=True, help="Make the vectors of what ships, too; minutes.")
def main(folder: Path, sections: Path, code: Path, out: Path, vectors: bool) -> None:
    """Write the snapshots that ship."""
    day = date(2023, 8, 29)
    single = [ecfr.read(path.read_bytes(), str(path)) for path in sorted(sections.glob("*.xml"))]
    made = {
        "regulation-b-2022": regulations(
            folder / "reg_b_1002.xml",
            date(2022, 1, 1),
            "Bureau of Consumer Financial Protection, regulations-xml, FR Doc. 2017-20417, effective 2022-01-01",
        ),
        "regulation-v-2011": regulations(
            folder / "reg_v_1022.xml",
            date(2011, 12, 30),
            "Bureau of Consumer Financial Protection, regulations-xml, FR Doc. 2011-31728, effective 2011-12-30",
        ),
        "regulation-b-2023": Snapshot(
            day=day,
            covers=tuple(one.covers[0] for one in single),
            source="eCFR, title 12, 1002.4 and 1002.9, issue of 2023-08-29, from a kept answer of its versioner",
            rows=tuple(row for one in single for row in one.rows),
        ),
        "statute-2023": statute(
            code, date(2023, 4, 20), "United States Code, title 15, from a third party's copy of 2023-04-20"
        ),
    }
    out.mkdir(parents=True, exist_ok=True)
    for name, snapshot in made.items():
        write_snapshot(snapshot, out / f"{name}.jsonl.gz")
        sys.stdout.write(f"{name}: {len(snapshot.rows)} rows\n")
    if vectors:
        from lendsafe.law.meaning import ship

        ship(HERE.parent)


__all__ = ["INTERP", "Row", "main", "regulations", "statute"]

if __name__ == "__main__":
    main()
