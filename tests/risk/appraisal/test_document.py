"""The model document: what it must hold, in HTML and in DOCX alike."""

import docx
import pytest
from risk_cases import german, german_engine

from lendsafe.errors import ConfigError
from lendsafe.risk.appraisal import document
from lendsafe.risk.appraisal.measure import appraise
from lendsafe.risk.appraisal.records import Sample

FACTS = {
    "purpose": "Decides instalment loans of private customers.",
    "owner": "Head of credit risk <risk@example.org>",
    "prepared_by": "A. Validator",
    "version": "1.2",
    "date": "2026-11-20",
    "assumptions": ["Outcomes after twelve months"],
    "alternatives": ["A logistic regression"],
    "changes": [{"date": "2026-10-01", "what": "Housing grouped", "by": "A. Modeller"}],
    "approvals": [{"name": "B. Officer", "role": "Model risk", "date": "2026-11-21"}],
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("document")
    sample = Sample(
        frame=german().frame,
        protected=german().protected[["foreign_worker"]],
        lineage=german().lineage,
    )
    found = appraise(german_engine(), sample, resamples=100, search=False)
    document.write(str(folder), found, document.read_facts(FACTS, "facts.toml"))
    return folder


HEADINGS = (
    "Purpose and use", "Owner", "Data", "Assumptions", "Design", "Performance", "Reasons", "Groups", "Alternatives",
    "Limits", "Monitoring", "Changes", "Approvals",
)  # fmt: skip


def test_both_forms_hold_every_section_and_fact(written):
    page = (written / "document.html").read_text()
    made = docx.Document(str(written / "document.docx"))
    headings = [one.text for one in made.paragraphs if one.style.name == "Heading 1"]
    assert headings == list(HEADINGS)
    cells = [cell.text for table in made.tables for row in table.rows for cell in row.cells]
    text = "\n".join([one.text for one in made.paragraphs] + cells)
    signed = "Version 1.2, 2026-11-20, prepared by A. Validator"
    for fact in ("instalment loans", signed, "Outcomes after twelve months",
                 "A logistic regression", "Housing grouped", "B. Officer", german_engine().identity,
                 "scorecard is recommended", "Stated reasons suffice"):  # fmt: skip
        assert fact in text
        assert fact in page
    for heading in HEADINGS:
        assert f"<h2>{heading}</h2>" in page
    assert "<risk@" not in page
    assert made.core_properties.author == "A. Validator"


def test_nothing_of_it_is_cut_on_paper(written):
    page = (written / "document.html").read_text()
    assert "@media print" in page
    assert "<details" not in page


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"purpose": " "}, "'purpose' is empty"),
        ({"date": "20 November"}, "expected YYYY-MM-DD"),
        ({"approvals": [{"name": "B", "role": "C", "date": "soon"}]}, "expected YYYY-MM-DD"),
        ({"approved": True}, "'approved' is an unknown key"),
    ],
)
def test_facts_that_are_none_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        document.read_facts(FACTS | change, "facts.toml")


def test_what_was_not_said_is_said_to_be_missing():
    facts = document.read_facts(
        {k: v for k, v in FACTS.items() if k not in ("approvals", "assumptions")}, "f"
    )
    sample = Sample(frame=german().frame)
    found = appraise(german_engine(), sample, resamples=100, search=False)
    page = document.render(found, facts)
    assert "Not approved yet." in page
    assert "None were stated." in page
