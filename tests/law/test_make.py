"""What ships is what the Bureau's files say, and nothing of it is unlabelled, doubled or empty."""

from datetime import date

import pytest
from shared_data import shared_data

from lendsafe.law import Law, citation
from lendsafe.law.make import _subsection, regulations

LAW = Law.load()


@pytest.mark.parametrize(("number", "file"), [("1002", "reg_b_1002.xml"), ("1022", "reg_v_1022.xml")])
def test_the_snapshots_that_ship_are_made_from_the_bureaus_files(number, file):
    (shipped,) = [one for one in LAW.snapshots if one.covers == (number,)]
    made = regulations(shared_data(f"regulations/{file}"), shipped.day, shipped.source)
    assert made == shipped


def test_every_paragraph_is_there_once_with_words():
    for snapshot in LAW.snapshots:
        labels = [row.label for row in snapshot.rows]
        assert len(labels) == len(set(labels))
        assert all(row.words and row.label.isascii() and " " not in row.label for row in snapshot.rows)
        assert all(snapshot.covering(label) or label in ("1681g", "1681j") for label in labels)
        assert not any("http" in row.text or "<" in row.text for row in snapshot.rows)


def test_the_cited_sections_of_the_statute_to_the_letter():
    text = {one.citation: one.text for one in LAW.find("15 USC 1681m(a)", date(2026, 11, 27))}
    assert text["15 USC 1681m(a)(3)(B)"] == (
        "a statement that the consumer reporting agency did not make the decision to take the adverse action and is "
        "unable to provide the consumer the specific reasons why the adverse action was taken; and"
    )
    assert text["15 USC 1681m(a)(2)"] == "provide to the consumer written or electronic disclosure—"
    key_factors = LAW.find("15 USC 1681g(f)(1)(C)", date(2026, 11, 27))[0]
    assert (key_factors.text or "").endswith(
        "the total number of which shall not exceed 4, subject to paragraph (9);"
    )


def test_the_codes_levels_and_the_slips_of_its_copy():
    lines = [
        "#### § 1681m. Requirements",
        "##### (a) Duties",
        "The person shall",
        "(1) provide under section 1681 o of this title ;",
        "(2) provide disclosure",
        "(A) of a score; and",
        "(i) a clause.",
        "(b) Other",
        "(1) In general",
        "Whenever credit is denied, tell.",
    ]
    found = [
        (label, heading, text) for label, heading, text in _subsection("\n\n".join(lines)) if label != "1681m"
    ]
    assert found == [
        ("1681m-a", "Duties", ""),
        ("1681m-a", "", "The person shall—"),
        ("1681m-a-1", "", "provide under section 1681o of this title;"),
        ("1681m-a-2", "", "provide disclosure—"),
        ("1681m-a-2-A", "", "of a score; and"),
        ("1681m-a-2-A-i", "", "a clause."),
        ("1681m-b", "Other", ""),
        ("1681m-b-1", "In general", ""),
        ("1681m-b-1", "", "Whenever credit is denied, tell."),
    ]


def test_a_citation_is_as_the_letter_writes_it():
    assert citation("1002-C-II") == "12 CFR 1002 appendix C, Form C-1, part II"
    assert citation("1681m-a-2-A") == "15 USC 1681m(a)(2)(A)"
    assert citation("1002-9-Interp-3") == "comment 9-3"
