"""Citations and labels: each is the other, and everything that we cite is there."""

from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lendsafe.law import Law, citation, labels_in
from lendsafe.law.citations import ancestors

ROOT = Path(__file__).resolve().parents[2]


@cache
def law() -> Law:
    return Law.load()


def test_the_citation_of_every_paragraph_names_it_and_nothing_else():
    wrong = {
        label: labels_in(citation(label)) for label in law().order if labels_in(citation(label)) != [label]
    }
    assert wrong == {}
    assert len(law().order) > 1_800


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("12 CFR 1002.9(a)(1)(i), (c)(1)", ["1002-9-a-1-i", "1002-9-c-1"]),
        ("12 CFR 1002.9(a)(2), (b)(1); appendix A", ["1002-9-a-2", "1002-9-b-1", "1002-A"]),
        ("12 CFR 1002 appendix C, paragraph 2 and Form C-1, part II", ["1002-C-2", "1002-C-II"]),
        ("12 CFR 1002 appendix C, Forms C-2 to C-4", ["1002-C-form-2", "1002-C-form-3", "1002-C-form-4"]),
        ("15 USC 1681m(a)(2)(B), 1681g(f)(1)(C), (f)(9)", ["1681m-a-2-B", "1681g-f-1-C", "1681g-f-9"]),
        ("15 USC 1681g(f)(1)(A), (B), (D)", ["1681g-f-1-A", "1681g-f-1-B", "1681g-f-1-D"]),
        ("12 CFR 1022.74(e)(1)(ii)(D), (E)", ["1022-74-e-1-ii-D", "1022-74-e-1-ii-E"]),
        ("comments 9(b)(2)-5, 9(b)(2)-7", ["1002-9-b-2-Interp-5", "1002-9-b-2-Interp-7"]),
        ("comment 6(b)(5)-3.i.A", ["1002-6-b-5-Interp-3-i-A"]),
        ("12 CFR 1002.9(f); comment 9-3", ["1002-9-f", "1002-9-Interp-3"]),
        ("appendix A of part 1002 and appendix K of part 1022", ["1002-A", "1022-K"]),
        ("Model Form H-4", ["1022-H-4"]),
        ("not part of a notice", []),
        ("on page 1002 of 1,681 (a) copies", []),
    ],
)
def test_citations_as_people_write_them(text, labels):
    assert labels_in(text) == labels


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_read_without_fault(text):
    assert all(isinstance(label, str) and label for label in labels_in(text))


def test_a_comment_lies_under_what_it_explains():
    assert list(ancestors("1002-9-b-2-Interp-4-i")) == [
        "1002-9",
        "1002-9-b",
        "1002-9-b-2",
        "1002-9-b-2-Interp",
        "1002-9-b-2-Interp-4",
    ]


CITING = sorted(
    path
    for pattern in (
        "lendsafe/**/*.py",
        "lendsafe/**/*.toml",
        "lendsafe/**/*.j2",
        "docs/**/*.md",
        "*.md",
        "bench/**/*.py",
    )
    for path in ROOT.glob(pattern)
)


def test_every_citation_in_code_blocks_and_docs_resolves():
    found = {
        (path.relative_to(ROOT).as_posix(), number, label)
        for path in CITING
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        for label in labels_in(line)
    }
    assert len(found) > 200  # it looks where citations are
    assert {one for one in found if not law().resolves(one[2])} == set()


@pytest.mark.parametrize(
    "planted", ["12 CFR 1002.9(b)(3)", "comment 9(b)(2)-19", "15 USC 1681m(q)", "Form C-11"]
)
def test_a_citation_of_what_is_not_there_does_not_resolve(planted):
    assert not law().resolves(labels_in(planted)[0])
