"""A letter's citations as of its date, on the record with the law that they were looked up in."""

import json
from datetime import date

import pytest
from lending import declined, risk_folder, without_waiting_for_the_disk

from lendsafe.law import Law, Search
from lendsafe.notice import demo_config, verify
from lendsafe.pipeline.applications import application_from
from lendsafe.pipeline.law import ask, links
from lendsafe.pipeline.letters import Explainer, keep

DAY = date(2026, 11, 24)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    explainer = Explainer.load(risk_folder(tmp_path_factory.mktemp("risk")), lender=demo_config())
    return explainer.explain([application_from(declined())], notice_date=DAY)[0]


def test_every_block_and_rule_links_to_its_paragraph_as_of_the_letters_date(outcome):
    found = links(outcome.letter, Law.load())
    assert found["as_of"] == "2026-11-24"
    assert found["law_sha256"] == Law.load().sha256
    assert found["blocks"]["ecoa_notice"] == ["1002-9-b-1"]
    assert found["rules"]["B11"] == ["1002-9-b-2-Interp-4"]
    cited = {label for named in (*found["blocks"].values(), *found["rules"].values()) for label in named}
    assert cited == set(found["paragraphs"])
    assert found["paragraphs"]["1002-9-b-1"] == {
        "citation": "12 CFR 1002.9(b)(1)",
        "status": "at hand",
        "effective_from": "2023-04-19",
        "sha256": Law.load().paragraph("1002-9-b-1", DAY).sha256,
    }
    # the list of agencies has changed since it was read: the record says so
    assert found["paragraphs"]["1002-A"]["status"] == "not at hand"


def test_the_record_keeps_the_version_of_the_law(outcome, tmp_path, monkeypatch):
    without_waiting_for_the_disk(monkeypatch)
    name = keep(outcome, tmp_path, {})
    kept = json.loads((tmp_path / "records" / name / "provenance.json").read_text())
    assert kept["law"]["law_sha256"] == Law.load().sha256
    assert kept["law"]["paragraphs"]["1002-9-b-2"]["sha256"]
    assert verify(tmp_path).problems == ()


def test_a_model_is_asked_only_where_there_is_something_to_quote(monkeypatch):
    search = Search(Law.load(), date(2026, 11, 27))
    asked = []

    class Writer:
        def write(self, conversations, done=None):
            asked.append(conversations)
            return [
                'Comment 9(b)(2)-4 says "no factor that was a principal reason for adverse action may be excluded '
                'from disclosure" [1].'
            ]

    monkeypatch.setattr("lendsafe.pipeline.narrate.narrator", lambda name: Writer())
    question = "May we leave out an embarrassing main reason from the letter?"
    found = ask(question, search, "some-model")
    assert [one.paragraphs[0].label for one in found.sentences] == ["1002-9-b-2-Interp-4"]
    assert len(asked) == 1
    assert ask("How do I bake sourdough bread?", search, "some-model").paragraphs == ()
    assert ask(question, search).sentences == ()
    assert len(asked) == 1
