"""eCFR's XML says no label: they follow from the text, and are found again."""

from datetime import date
from functools import cache

import ecfr_xml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lendsafe.errors import DataError
from lendsafe.law import Law, Row
from lendsafe.law.ecfr import _COUNTS, Outline, read

DAY = date(2026, 7, 21)


@cache
def law() -> Law:
    return Law.load()


def labels(*paragraphs: str, number: str = "1002.9") -> list[str]:
    body = "".join(f"<P>{one}</P>" for one in paragraphs)
    xml = f'<DIV8 N="{number}" TYPE="SECTION"><HEAD>§ {number} Title.</HEAD>{body}</DIV8>'
    return [row.label for row in read(xml.encode(), "a section").rows]


@pytest.mark.parametrize("number", ["1002", "1022"])
def test_a_whole_part_is_labelled_as_it_was(number):
    """All sections and comments that ship, printed as eCFR does, without labels."""
    (made,) = [one for one in law().snapshots if one.covers == (number,)]
    rows = [row for row in made.rows if row.label.split("-")[1].isdigit() or "Interp" in row.label]
    again = read(ecfr_xml.part(rows, number), "the part", DAY)
    found = {row.label: row.words for row in again.rows}
    wanted = {row.label: row.words for row in rows}
    assert {label for label in wanted if label not in found} == set()
    differing = {label for label in wanted if _bare(found[label]) != _bare(wanted[label])}
    assert differing == set()
    assert len(wanted) > 600


def _bare(text: str) -> str:
    return "".join(one for one in text.lower() if one.isalnum())


@st.composite
def trees(draw: st.DrawFn) -> list[str]:
    """Labels of a made-up section in order, any shape, every level counting up from its first marker."""
    found: list[str] = []

    def grow(path: list[str], depth: int) -> None:
        for number in range(draw(st.integers(0, 3 if depth else 12))):
            below = [*path, _COUNTS[depth][number]]
            found.append("-".join(["1002-9", *below]))
            if depth < 4:
                grow(below, depth + 1)

    grow([], 0)
    return found


@settings(max_examples=60, deadline=None)
@given(trees())
def test_any_outline_is_labelled_again(wanted):
    paragraphs = []
    for label in wanted:
        marker = label.rpartition("-")[2]
        shown = f"<I>{marker}</I>" if label.count("-") == 6 else marker
        paragraphs.append(f"({shown}) Words of {label}.")
    found = labels(*paragraphs)
    ambiguous = {"i"} & {label.split("-")[2] for label in wanted if label.count("-") > 1}
    if not ambiguous:
        assert [one for one in found if one != "1002-9"] == wanted


def test_one_paragraph_with_three_markers():
    made = labels(
        "(a) <I>Notification</I>—(1) <I>When.</I> Within:",
        "(i) 30 days; or",
        "(ii) 90 days.",
        "(2) <I>Content.</I> (i) Reasons.",
        "(b)(1) Both at once.",
    )
    assert made == [
        "1002-9",
        "1002-9-a",
        "1002-9-a-1",
        "1002-9-a-1-i",
        "1002-9-a-1-ii",
        "1002-9-a-2",
        "1002-9-a-2-i",
        "1002-9-b-1",
    ]


def test_the_letter_i_and_the_numeral_one():
    letters = [f"({one}) Text." for one in "abcdefgh"]
    assert labels(*letters, "(i) Letter.", "(j) Letter.")[-2:] == ["1002-9-i", "1002-9-j"]
    nested = labels(*letters, "(1) One.", "(2) Two.", "(i) Numeral.", "(ii) Numeral.")
    assert nested[-2:] == ["1002-9-h-2-i", "1002-9-h-2-ii"]
    letter = labels(*letters, "(1) One.", "(2) Two.", "(i) Letter.", "(j) Letter.")
    assert letter[-2:] == ["1002-9-i", "1002-9-j"]


def test_a_defined_term_in_italics_is_no_heading():
    xml = (
        '<DIV8 N="1002.2" TYPE="SECTION"><HEAD>§ 1002.2 Definitions.</HEAD>'
        "<P>(o) <I>Elderly</I> means age 62 or older.</P></DIV8>"
    )
    assert read(xml.encode(), "x").rows[1] == Row("1002-2-o", "", "Elderly means age 62 or older.")


def test_comments_under_their_headings():
    xml = """<DIV5 N="1002"><DIV9 N="Supplement I to Part 1002">
    <HEAD>Supplement I to Part 1002—Official Interpretations</HEAD>
    <HD1>Introduction</HD1><P>1. <I>Official status.</I> Protects.</P>
    <HD1>Section 1002.9—Notifications</HD1><P>1. <I>Use of the term.</I> Not required.</P>
    <P><I>Paragraph 9(b)(2).</I></P><P>1. <I>Number.</I> Four:</P><P>i. One.</P><P>A. Deep.</P>
    <P>2. <I>Source.</I> Used.</P>
    <HD1>Appendix C—Sample Notification Forms</HD1><P>1. <I>Form C-9.</I> Design.</P></DIV9></DIV5>"""
    assert [row.label for row in read(xml.encode(), "x").rows] == [
        "1002-Interp-h1",
        "1002-Interp-h1-1",
        "1002-9-Interp",
        "1002-9-Interp-1",
        "1002-9-b-2-Interp-1",
        "1002-9-b-2-Interp-1-i",
        "1002-9-b-2-Interp-1-i-A",
        "1002-9-b-2-Interp-2",
        "1002-C-Interp",
        "1002-C-Interp-1",
    ]


def test_an_appendix_with_its_forms():
    xml = """<DIV5 N="1002"><DIV9 N="Appendix C to Part 1002">
    <HEAD>Appendix C to Part 1002—Sample Notification Forms</HEAD>
    <P>1. This appendix contains ten forms.</P><P>2. Form C-1 contains.</P>
    <HD1>Form C-1—Sample Notice</HD1><P>Date</P><HD2>Part I—Principal Reason(s)</HD2><P>__Bankruptcy</P>
    <HD1>Form C-2—Sample Notice</HD1><P>Dear Applicant:</P></DIV9></DIV5>"""
    rows = {row.label: row.text for row in read(xml.encode(), "x").rows}
    assert rows["1002-C-2"] == "Form C-1 contains."
    assert rows["1002-C-I"] == "__Bankruptcy"
    assert rows["1002-C-form-2"] == "Dear Applicant:"


def test_the_section_as_ecfr_answers_it():
    """12 CFR 1002.9 of 29 August 2023, as it ships."""
    (made,) = [one for one in law().snapshots if "1002-9" in one.covers]
    text = {row.label: row.text for row in made.rows}
    assert len(text) == 39
    assert text["1002-9-a-1-iv"].startswith("90 days after notifying the applicant of a counteroffer")


@pytest.mark.parametrize(
    ("xml", "says"),
    [
        (b"<DIV5", "not XML"),
        (b"", "not XML"),
        (b"<html><p>Not found</p></html>", "no section"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><DIV5/>', "declares entities"),
        (
            b'<DIV8 N="1002.9"><HEAD>x</HEAD><P>(a) A.</P><P>(1) One.</P><P>(z9) No.</P><P>(C) C.</P></DIV8>',
            "cannot be labelled",
        ),
    ],
)
def test_what_is_no_such_xml_is_refused_in_one_line(xml, says):
    with pytest.raises(DataError, match=says) as caught:
        read(xml, "file.xml")
    assert "\n" not in str(caught.value)


def test_an_outline_does_not_count_backwards():
    outline = Outline("1002-9")
    outline.step("b")
    with pytest.raises(DataError, match="does not follow"):
        outline.step("a")
