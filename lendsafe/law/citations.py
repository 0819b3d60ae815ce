"""Citations as people write them, and the labels by which paragraphs are kept.

A label names one paragraph: ``1002-9-b-2`` is 12 CFR 1002.9(b)(2), ``1002-9-b-2-Interp-4`` the comment
9(b)(2)-4 in Supplement I, ``1002-C-4`` paragraph 4 of appendix C, ``1002-C-form-3`` Form C-3 and
``1681m-a-2-A`` 15 USC 1681m(a)(2)(A). Labels of regulations are those of the Bureau's regulations-xml.
"""

import re
from collections.abc import Iterator

INTERP = "Interp"
_LEVEL = r"\([A-Za-z0-9]{1,5}\)"
_SECTION = rf"(?P<section>10(?:02|22)\.\d+)(?P<levels>(?:{_LEVEL})*)"
_STATUTE = rf"(?P<statute>1681[a-z]?)(?P<slevels>(?:{_LEVEL})*)"
_COMMENT = (
    rf"(?P<comment>\d+|appendix [A-N])(?P<clevels>(?:{_LEVEL})*)-(?P<number>\d+)(?P<item>(?:\.[A-Za-z0-9]+)*)"
)
_FORM = r"[Ff]orms? (?P<form>[CH]-\d+)(?: to (?P<last>[CH]-\d+))?(?:,? part (?P<piece>I{1,2})\b)?"
_PARAGRAPH = r"paragraph (?P<paragraph>(?:p?\d+|[A-Z]-\d+|[a-z]\b)(?:\.(?! |$)[\w-]+)*)(?! of section)"
_COMMENTS = rf"comments on (?:(?P<on>\d+)(?P<onlevels>(?:{_LEVEL})*)|appendix (?P<onappendix>[A-N]))"
_SUPPLEMENT = (
    r"Supplement I to 12 CFR part (?P<supplement>\d{4})(?:, introduction(?:, paragraph (?P<intro>\d+))?)?"
)
_APPENDIX = (
    r"(?:(?P<part>10(?:02|22)),? )?[Aa]ppendix (?P<appendix>[A-N])\b(?: (?:of|to) part (?P<of>\d{4}))?"
)
_MORE = rf"(?P<more>(?:{_LEVEL})+)"
# Where in a text a citation starts; what follows it by commas and "and" belongs to it.
_START = re.compile(
    rf"(?:12 CFR |15 U\.?S\.?C\.? |§§? ?)?(?:\b{_SECTION}|\b{_STATUTE}(?![-\d]))"
    rf"|\b{_COMMENTS}|\b[Cc]omments? {_COMMENT}|\b{_SUPPLEMENT}|\b{_APPENDIX}|\b{_FORM}"
)
_NEXT = re.compile(
    rf"(?:,|;| and| or| to|, and|, or) (?:(?:12 CFR )?{_SECTION}|{_STATUTE}(?![-\d])"
    rf"|(?:comments? )?{_COMMENT}|{_FORM}|{_PARAGRAPH}|{_APPENDIX}|{_MORE})"
)
_IN_ONE = ("1002-A", "1022-H")  # appendices whose paragraphs have one more level in regulations-xml
_ROMAN = re.compile(r"^[ivxl]+$")


def labels_in(text: str) -> list[str]:
    """Every paragraph that a text cites, in its order, without repetition.

    ``12 CFR 1002.9(a)(2), (b)(1); appendix A`` cites three.
    """
    found: dict[str, None] = {}
    place = 0
    while match := _START.search(text, place):
        base = ""
        following: re.Match[str] | None = match
        while following:
            before, (base, named) = base, _labels(following, base)
            if before == base and any(one.startswith(f"{before}-") for one in named):
                found.pop(before if re.fullmatch(r"\d+-[A-Z]", before) else "", None)  # its form is meant
            found.update(dict.fromkeys(named))
            place = following.end()
            following = _NEXT.match(text, place)
    return list(found)


def citation(label: str) -> str:
    """The citation of a labelled paragraph, as it is written in a letter."""
    head, _, tail = label.partition(f"-{INTERP}")
    parts = head.split("-")
    if label.startswith("1681"):
        return f"15 USC {parts[0]}{_levels(parts[1:])}"
    if tail or head != label:
        return _comment(parts, tail.strip("-"))
    if len(parts) == 1:
        return f"12 CFR part {parts[0]}"
    if not parts[1][0].isdigit():
        return _appendix(parts)
    return f"12 CFR {parts[0]}.{parts[1]}{_levels(parts[2:])}"


def section_of(label: str) -> str:
    """The section, appendix or part of the commentary's section that a label lies in."""
    parts = label.split("-")
    return parts[0] if label.startswith("1681") else "-".join(parts[:2])


def document_of(label: str) -> str:
    """The text that a label belongs to: ``1002``, ``1022`` or ``1681``."""
    return label[:4]


def ancestors(label: str) -> Iterator[str]:
    """Labels above a paragraph, the outermost first.

    A comment lies under the paragraph that it explains and under the comment it is an item of.
    """
    head, mark, tail = label.partition(f"-{INTERP}")
    parts = head.split("-")
    for end in range(2, len(parts)):
        yield "-".join(parts[:end])
    if mark:
        yield head
        steps = tail.strip("-").split("-") if tail else []
        yield from ("-".join([f"{head}-{INTERP}", *steps[:end]]) for end in range(len(steps)))


def _labels(match: re.Match[str], base: str) -> tuple[str, list[str]]:
    """What continues the citation, and the labels of this part of it."""
    group = {name: value for name, value in match.groupdict().items() if value}
    if section := group.get("section"):
        part, number = section.split(".")
        base = _join(f"{part}-{number}", group.get("levels", ""))
        return base, [base]
    if statute := group.get("statute"):
        base = _join(statute, group.get("slevels", ""))
        return base, [base]
    if comment := group.get("comment"):
        head = _join(f"1002-{comment.removeprefix('appendix ')}", group.get("clevels", ""))
        return base, ["-".join([head, INTERP, group["number"], *group.get("item", "").split(".")[1:]])]
    if group.keys() & {"on", "onappendix", "supplement"}:
        return base, [_commented(group)]
    if form := group.get("form"):
        return _forms(form, group.get("last"), group.get("piece"))
    if letter := group.get("appendix"):
        part = group.get("part") or group.get("of") or (base[:4] if base[:4] in ("1002", "1022") else "1002")
        base = f"{part}-{letter}"
        return base, [base]
    if paragraph := group.get("paragraph"):
        within = "p1-" if paragraph[0].isdigit() and base in _IN_ONE else ""
        return base, [f"{base}-{within}{paragraph.replace('.', '-')}"] if base else []
    return _beside(base, group["more"]) if base else ("", [])


def _commented(group: dict[str, str]) -> str:
    """All comments on a paragraph or appendix; the commentary's introduction or a paragraph of it."""
    if part := group.get("supplement"):
        return "-".join([part, INTERP, "h1", *([group["intro"]] if "intro" in group else [])])
    return f"{_join('1002-' + (group.get('on') or group['onappendix']), group.get('onlevels', ''))}-{INTERP}"


def _beside(base: str, more: str) -> tuple[str, list[str]]:
    """``(E)`` after ``1022.74(e)(1)(ii)(D)`` is its sibling, ``(f)(9)`` after ``1681g(f)(1)(C)`` a cousin."""
    first = re.findall(r"\((\w+)\)", more)[0]
    parts = base.split("-")
    code = base.startswith("1681")  # levels (a), (1), (A), (i); in a regulation (a), (1), (i), (A), (1), (i)
    start = 1 if code else 2
    if first.isdigit():
        depths: tuple[int, ...] = (1,) if code else (4, 1)
    elif first.isupper():
        depths = (2,) if code else (3,)
    elif _ROMAN.match(first):
        depths = (3, 0) if code else (5, 2, 0)
    else:
        depths = (0,)
    depth = next((one for one in depths if one < len(parts) - start), min(depths))
    made = _join("-".join(parts[: start + depth]), more)
    return made, [made]


def _forms(first: str, last: str | None, piece: str | None) -> tuple[str, list[str]]:
    letter = first[0]
    base = "1002-C" if letter == "C" else "1022-H"
    if piece and first == "C-1":
        return base, [f"{base}-{piece}"]
    named = f"{base}-form" if letter == "C" else base
    return base, [f"{named}-{number}" for number in range(int(first[2:]), int((last or first)[2:]) + 1)]


def _join(base: str, levels: str) -> str:
    return "-".join([base, *re.findall(r"\((\w+)\)", levels)])


def _levels(parts: list[str]) -> str:
    return "".join(f"({one})" for one in parts)


def _comment(parts: list[str], tail: str) -> str:
    if len(parts) == 1:
        paragraph = tail.removeprefix("h1").strip("-")
        return f"Supplement I to 12 CFR part {parts[0]}, introduction" + (
            f", paragraph {paragraph}" if paragraph else ""
        )
    where = f"{parts[1]}{_levels(parts[2:])}" if parts[1].isdigit() else f"appendix {parts[1]}"
    if not tail:
        return f"comments on {where}"
    return f"comment {where}-{tail.replace('-', '.')}"


def _appendix(parts: list[str]) -> str:
    named = f"12 CFR {parts[0]} appendix {parts[1]}"
    rest = parts[2:]
    if not rest:
        return named
    if parts[:2] == ["1002", "C"]:
        if rest[0] == "form":
            return f"{named}, Form C-{rest[1]}"
        if rest[0] in ("I", "II"):
            return f"{named}, Form C-1, part {rest[0]}"
    if parts[:2] == ["1022", "H"] and rest[0].isdigit():
        return f"{named}, Form H-{rest[0]}"
    within = rest[1:] if "-".join(parts[:2]) in _IN_ONE and rest[0] == "p1" and len(rest) > 1 else rest
    return f"{named}, paragraph {'.'.join(within)}"
