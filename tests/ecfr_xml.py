"""Writes rows as eCFR prints them, without their labels: what the reader has to find again."""

from collections.abc import Iterable
from xml.sax.saxutils import escape

from lendsafe.law import Row


def part(rows: Iterable[Row], number: str = "1002") -> bytes:
    """A part's sections and commentary; appendices are left out."""
    rows = list(rows)
    sections: dict[str, list[Row]] = {}
    comments: list[Row] = []
    for row in rows:
        parts = row.label.split("-")
        if "Interp" in parts:
            comments.append(row)
        elif parts[1].isdigit():
            sections.setdefault("-".join(parts[:2]), []).append(row)
    body = "".join(section(label, found) for label, found in sections.items())
    if comments:
        body += supplement(comments, number)
    return f'<?xml version="1.0"?><DIV5 N="{number}" TYPE="PART"><HEAD>PART {number}</HEAD>{body}</DIV5>'.encode()


def section(label: str, rows: list[Row]) -> str:
    number = label.replace("-", ".", 1)
    heading = next((row.heading for row in rows if row.label == label), "")
    lines: list[str] = []
    pending = ""
    for row in rows:
        if row.label == label:
            if row.text:
                lines.append(escape(row.text))
            continue
        text = f"{pending}{_skipped(row, rows)}({_marker(row)})"
        if row.heading and not row.text and _has_child(row, rows):
            pending = (
                f"{text} <I>{escape(row.heading.rstrip('.'))}</I>—"  # eCFR prints it before its first child
            )
            continue
        pending = ""
        lines.append(text + _titled(row))
    body = "".join(f"<P>{line}</P>" for line in lines)
    head = f"<HEAD>§ {number} {escape(heading)}</HEAD>"
    return f'<DIV8 N="{number}" TYPE="SECTION">{head}{body}<CITA>[1 FR 1]</CITA></DIV8>'


def supplement(rows: list[Row], number: str) -> str:
    lines = []
    at = ""
    for row in rows:
        head, _, tail = row.label.partition("-Interp")
        if not tail:
            at = row.label
            lines.append(_heading(head, row.heading, number))
            continue
        if f"{head}-Interp" != at:
            at = f"{head}-Interp"
            lines.append(_heading(head, "", number))
        if tail == "-h1":
            lines.append("<HD1>Introduction</HD1>")
            continue
        lines.append(f"<P>{tail.rpartition('-')[2]}.{_titled(row)}</P>")
    name = f"Supplement I to Part {number}"
    head = f"<HEAD>{name}—Official Interpretations</HEAD>"
    return f'<DIV9 N="{name}" TYPE="APPENDIX">{head}{"".join(lines)}</DIV9>'


def _heading(head: str, title: str, number: str) -> str:
    parts = head.split("-")
    if len(parts) == 1:
        return ""
    if len(parts) == 2:
        named = f"Section {number}.{parts[1]}" if parts[1].isdigit() else f"Appendix {parts[1]}"
        return f"<HD1>{named}—{escape(title)}</HD1>"
    place = parts[1] + "".join(f"({one})" for one in parts[2:])
    return f"<HD2>{place} {escape(title)}</HD2>" if title else f"<HD2>Paragraph {place}</HD2>"


def _marker(row: Row) -> str:
    marker = row.label.rpartition("-")[2]
    return f"<I>{marker}</I>" if row.label.count("-") == 6 else marker


def _skipped(row: Row, rows: list[Row]) -> str:
    """Markers above a paragraph that have no words and so no row; printed before the first below them."""
    parts = row.label.split("-")
    known = {one.label for one in rows}
    above = ["-".join(parts[:end]) for end in range(3, len(parts))]
    first = next(
        one for one in rows for up in [*above, row.label][-1:] if one.label.startswith(up.rpartition("-")[0])
    )
    missing = [one.rpartition("-")[2] for one in above if one not in known]
    return "".join(f"({one})" for one in missing) if first.label == row.label else ""


def _titled(row: Row) -> str:
    return f" <I>{escape(row.heading)}</I> {escape(row.text)}" if row.heading else f" {escape(row.text)}"


def _has_child(row: Row, rows: list[Row]) -> bool:
    return any(one.label.startswith(f"{row.label}-") for one in rows)
