"""The law on the command line: looked up, searched, compared, refreshed, asked."""

import json
from datetime import date

import ecfr_xml
import pytest
from command import lendsafe

from lendsafe.law import Row


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("LENDSAFE_LAW", str(tmp_path / "law"))
    return tmp_path / "law"


def found(*arguments):
    ran = lendsafe("law", *arguments, "--json")
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


def test_show_as_of_a_day():
    ran = lendsafe("law", "show", "1002.9(b)(2)", "--as-of", "2026-07-01")
    assert ran.code == 0
    assert ran.out.startswith("As of 2026-07-01. This is a look-up, no legal advice.\n")
    assert "must be specific and indicate the principal reason(s) for the adverse action" in ran.out
    assert "issue of 2023-08-29" in ran.out
    table = found("show", "comment 9(b)(2)-4", "--as-of", "2026-11-27")
    assert [one["label"] for one in table["paragraphs"]] == ["1002-9-b-2-Interp-4"]
    assert table["paragraphs"][0]["sha256"]


def test_a_day_after_the_last_look_says_so():
    assert (
        "amendments are known up to 2026-11-24"
        in lendsafe("law", "show", "1002.9", "--as-of", "2027-01-01").out
    )


def test_what_was_repealed_is_not_shown_as_current():
    now, before = (
        found("show", "1002.6(a)", "--as-of", day)["paragraphs"][0] for day in ("2026-07-21", "2026-07-20")
    )
    assert (now["status"], now["text"]) == ("not at hand", None)
    assert before["status"] == "at hand"
    assert "legislative history" not in lendsafe("law", "show", "1002.6(a)", "--as-of", "2026-07-21").out


def test_search():
    table = found("search", "May the letter be in Spanish?", "--as-of", "2026-11-27")
    assert table["found"][0]["citation"] == "12 CFR 1002.4(e)"
    assert len(table["found"]) <= 5
    ran = lendsafe("law", "search", "How do I bake sourdough bread?")
    assert (ran.code, ran.out.splitlines()[-1]) == (0, "Nothing found: no paragraph at hand speaks of this.")


def test_a_question_of_another_law_is_told_which():
    ran = lendsafe("law", "search", "How is a wire transfer recalled?")
    assert "another law: electronic transfers (Regulation E, 12 CFR 1005)" in ran.out
    assert found("search", "How is a wire transfer recalled?")["found"] == []


def test_as_of_says_what_is_at_hand():
    table = found("as-of", "2026-07-20")
    assert [one["citation"] for one in table["later"]] == ["91 FR 21620"]
    assert table["paragraphs"]["1002"]["at hand"] > table["paragraphs"]["1002"]["not at hand"]
    text = lendsafe("law", "as-of", "2026-11-27").out
    assert "12 CFR 1002:" in text
    assert "rule  2026-07-21  91 FR 21620" in text


def test_diff():
    labels = [one["after"]["label"] for one in found("diff", "1002.6", "2026-07-20", "2026-07-21")["changes"]]
    assert labels == ["1002-6-a", "1002-6-a-Interp-1", "1002-6-a-Interp-2"]
    ran = lendsafe("law", "diff", "1002.9(b)(1)", "2023-04-18", "2023-04-19")
    assert "[-Until January 1, 2013," in ran.out
    assert "0 paragraphs" in lendsafe("law", "diff", "1002.9", "2026-07-20", "2026-07-21").out


def test_refresh_from_a_file_then_show(tmp_path, folder):
    new = "A creditor shall not state an intent to discriminate."
    rows = [Row("1002-4", "General rules.", ""), Row("1002-4-b", "Discouragement.", new)]
    file = tmp_path / "section.xml"
    file.write_text(ecfr_xml.section("1002-4", rows))
    ran = lendsafe("law", "refresh", "--from", file, "--day", "2026-11-02")
    assert ran.code == 0, ran.err
    assert "12 CFR 1002.4(b): known again" in ran.out
    assert "2 paragraphs as of 2026-11-02" in ran.err
    assert new in lendsafe("law", "show", "1002.4(b)", "--as-of", "2026-11-02").out
    assert [one.name for one in folder.iterdir() if one.suffix == ".gz"] == ["1002-4-2026-11-02.jsonl.gz"]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("show", "1002.99"), 3, "names no paragraph"),
        (("diff", "1002.99", "2026-01-01", "2026-02-01"), 3, "names no paragraph"),
        (("refresh",), 2, "--from FILE --day DAY"),
        (("refresh", "--ecfr", "--from", "x.xml"), 2, "--from FILE --day DAY"),
        (("refresh", "--from", "x.xml"), 2, "Say of which day"),
        (("refresh", "--from", "absent.xml", "--day", "2026-01-01"), 5, "absent.xml"),
        (("refresh", "--ecfr", "--site", "http://127.0.0.1:9"), 9, "--from FILE"),
        (("show", "1002.9", "--as-of", "21.7.2026"), 2, "does not match"),
    ],
)
def test_a_mistake_is_one_line_and_its_code(arguments, code, says):
    ran = lendsafe("law", *arguments)
    assert (ran.code, ran.out) == (code, "")
    assert says in ran.err
    assert len(ran.err.splitlines()) == 1


def test_drift_passes_and_counts():
    table = found("drift", "--as-of", "2026-11-27")
    assert table["counts"]["verbatim"] >= 25
    assert "differs" not in table["counts"]
    assert table["unresolved"] == []


def test_drift_fails_where_the_law_says_otherwise(tmp_path):
    rows = [
        Row("1002-9", "Notifications.", ""),
        Row("1002-9-a", "Notification.", "A creditor shall notify an applicant."),
        Row("1002-9-b", "Form.", ""),
        Row(
            "1002-9-b-1",
            "ECOA notice.",
            "The Federal Equal Credit Opportunity Act forbids creditors to discriminate.",
        ),
    ]
    file = tmp_path / "section.xml"
    file.write_text(ecfr_xml.section("1002-9", rows))
    assert lendsafe("law", "refresh", "--from", file, "--day", "2026-11-25").code == 0
    ran = lendsafe("law", "drift", "--as-of", "2026-11-26")
    assert ran.code == 10
    assert "ecoa_notice: differs from 12 CFR 1002.9(b)(1)" in ran.err
    assert "Traceback" not in ran.err


def test_ask_without_a_model_answers_with_the_paragraphs():
    table = found(
        "ask", "May we leave out an embarrassing main reason from the letter?", "--as-of", "2026-11-27"
    )
    assert table["sentences"] == []
    assert table["paragraphs"][0]["citation"] == "comment 9(b)(2)-4"
    assert table["note"] == "This is a look-up, no legal advice."
    assert (
        "no factor that was a principal reason"
        in lendsafe("law", "ask", "May we leave out an embarrassing main reason?").out
    )


def test_ask_with_a_model_shows_only_what_the_law_says():
    """The toy model writes what it was taught, which is no law: it is not shown, and the paragraphs are."""
    ran = lendsafe(
        "law",
        "ask",
        "May we leave out an embarrassing main reason from the letter?",
        "--model",
        "granite-tiny",
        "--json",
    )
    assert ran.code == 0, ran.err
    table = json.loads(ran.out)
    for one in table["sentences"]:
        assert one["citations"]
    assert table["paragraphs"]
    if not table["sentences"]:
        assert "Not shown:" in ran.err


def test_today_is_the_day_if_none_is_named():
    assert found("show", "1002.9(b)(2)")["as_of"] == date.today().isoformat()
