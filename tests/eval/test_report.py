"""The page: escaped, self-contained, with every mark where it belongs; and the measures behind it."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from subjects import APPROVED, APPROVED_TEXT, DECLINED, DECLINED_TEXT

from lendsafe import parts
from lendsafe.corpus import approved
from lendsafe.eval.scoring import report, scores
from lendsafe.eval.scoring.metrics import Estimate
from lendsafe.eval.scoring.scores import Subject, score
from lendsafe.eval.truth.checks import RULES
from lendsafe.product import consumer
from lendsafe.records import Finding, Style
from lendsafe.template import template_parts

WRONG = DECLINED_TEXT.replace("43%", "34%")


def scored(text, about=DECLINED, **more):
    return score(text, text, Subject(about, Style(), **more))


# ---------------------------------------------------------------- marks


@given(st.text(max_size=60), st.lists(st.tuples(st.integers(-2, 70), st.integers(-2, 70)), max_size=6))
def test_pieces_put_together_are_the_text_and_each_finding_marks_its_span(text, spans):
    findings = [Finding("G2", "wrong", start, end) for start, end in spans]
    cut = report.pieces(text, findings)
    assert "".join(piece.text for piece in cut) == text
    for one in findings:
        marked = "".join(piece.text for piece in cut if any(mark is one for mark in piece.findings))
        assert marked == (text[one.start : one.end] if 0 <= one.start < one.end <= len(text) else "")


def test_pieces_of_overlapping_findings():
    first, second = Finding("G2", "a", 0, 4), Finding("G4", "b", 2, 6)
    assert [(piece.text, len(piece.findings)) for piece in report.pieces("abcdefgh", [first, second])] == [
        ("ab", 1), ("cd", 2), ("ef", 1), ("gh", 0),
    ]  # fmt: skip


# ---------------------------------------------------------------- page


def page(**more):
    table = report.Table(["", "run"], [["Truth"], ["True of its facts", "98% [96, 100]"]])
    return report.Page(title="Evaluation of run", notes=["A note."], measures=table, **more)


def test_the_page_needs_nothing_else():
    html = report.render(page(curve=report.curve([(1, 2.0), (2, 1.0)], [(2, 1.1)])))
    assert not re.search(r"<script|<link|<img|<iframe|@import|url\(|https?://", html)
    assert html.count("<svg") == 1
    assert 'lang="en"' in html


def test_everything_is_escaped():
    evil = '<script>alert("x")</script>'
    found = (Finding("G2", evil, 0, 8, evil),)
    case = report.Case(evil, evil, report.pieces(evil, found), found, evil)
    more = {"worst": [case], "untrue": [case], "settings": [(evil, evil)], "leakage": [evil]}
    html = report.render(page(side_by_side=[(evil, evil, [(evil, case.pieces)])], **more))
    assert "<script" not in html
    assert "&lt;script&gt;" in html


def test_the_offending_span_is_marked_with_rule_and_fact():
    found = scored(WRONG).findings
    case = report.Case("A-17", "declined", report.pieces(WRONG, found), found)
    html = report.render(page(worst=[case]))
    assert re.search(r"<mark title=\"G2: [^\"]*debt_to_income = 43%\)\">34%</mark>", html)


def test_what_is_not_there_has_no_heading():
    html = report.render(page())
    for heading in ("Worst cases", "Side by side", "Training", "By stratum", "Paired differences"):
        assert heading not in html


def test_values_as_a_reader_sees_them():
    assert report.shown(Estimate(0.325, 0.25, 0.4, 9), share=True) == "32.5% [25, 40]"
    assert report.shown(Estimate(8.314, 8.2, 8.43, 9), share=False) == "8.31 [8.20, 8.43]"
    assert report.shown(Estimate(0.4567, 0.4, 0.5, 9), share=False) == "0.457 [0.400, 0.500]"


def test_a_curve_falls_when_the_loss_falls():
    found = report.curve([(1, 3.0), (50, 2.0), (100, 1.0)], [(100, 1.2)])
    points = [tuple(map(float, one.split(","))) for one in found.train.split()]
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    assert [y for _, y in points] == sorted(y for _, y in points)  # SVG counts downwards
    assert all(0 <= x <= report.WIDTH and 0 <= y <= report.HEIGHT for x, y in [*points, *found.valid])
    assert [label for _, label in found.x_ticks] == ["0", "20", "40", "60", "80", "100"]
    assert report.curve([], []) is None


# ---------------------------------------------------------------- scores


def test_a_score_counts_reasons_figures_and_words():
    one = scored(DECLINED_TEXT)
    assert one.passed
    assert (one.reasons, one.figures) == ((3, 3, 3), (4, 4))
    assert one.words == len(DECLINED_TEXT.split())
    wrong = scored(WRONG)
    assert (wrong.figures, [one.rule for one in wrong.untrue]) == ((4, 3), ["G2"])


def test_a_text_without_facts_cannot_pass():
    one = scored(DECLINED_TEXT, None)
    assert (one.checked, one.passed, one.findings) == (False, False, ())


def test_estimates_by_hand():
    texts = [DECLINED_TEXT, WRONG, DECLINED_TEXT, DECLINED_TEXT.replace("five", "six")]
    found = scores.estimates(
        [scored(text) for text in texts],
        texts,
        {"rougeL": np.array([1.0, 0.9, 1.0, 0.9])},
        final=[(True, "model"), (True, "template"), (True, "model"), (True, "template")],
    )
    assert found["true_rate"].value == 0.5
    assert found["check_pass_rate_final"] == (1.0, 0.25, 1.0, 4)
    assert found["fallback_rate"].value == found["sent_by_model_rate"].value == 0.5
    assert "held_rate" not in found
    assert found["numeric_accuracy"].value == pytest.approx(14 / 16)
    assert found["prohibited_term_rate"] == (0.0, 0.0, 0.75, 4)
    assert found["rougeL"].value == pytest.approx(0.95)
    assert next(iter(found)) == "true_rate"
    assert set(found) <= set(report.MEASURES)


def test_a_text_that_is_held_is_not_sent():
    final = [(True, "model"), (False, "held"), (False, "held"), (True, "template")]
    found = scores.estimates([scored(DECLINED_TEXT)] * 4, (), {}, final=final)
    assert (found["check_pass_rate_final"].value, found["check_pass_rate_final"].n) == (1.0, 2)
    assert [found[name].value for name in ("sent_by_model_rate", "held_rate", "fallback_rate")] == [
        0.25,
        0.5,
        0.25,
    ]
    all_held = scores.estimates([scored(DECLINED_TEXT)], (), {}, final=[(False, "held")])
    assert "check_pass_rate_final" not in all_held


def test_a_reply_in_approved_words_is_supported_and_each_sentence_has_a_verdict():
    texts = template_parts(DECLINED, Style())
    opened = parts.of(DECLINED, Style())
    language = approved.language(consumer())
    right = score(parts.join(texts, opened), "x", Subject(DECLINED, Style()), language)
    assert right.supported
    assert right.verdicts["contradicted"] == right.verdicts["unsupported"] == 0 < right.verdicts["supported"]
    wrong = parts.join(texts, opened).replace("declined", "approved").replace("Your debt", "Old debt")
    other = score(wrong, "x", Subject(DECLINED, Style()), language)
    assert other.supported is False
    assert other.verdicts["contradicted"] >= 1
    assert other.verdicts["unsupported"] >= 1
    assert sum(other.verdicts.values()) == sum(right.verdicts.values())
    found = scores.estimates([right, other, scored(DECLINED_TEXT)], (), {})
    assert found["supported_rate_first_try"].value == 0.5  # of those that were examined
    shares = [found[f"sentences_{kind}"].value for kind in ("supported", "contradicted", "unsupported")]
    assert sum(shares) == pytest.approx(1)


def test_pass_rates_are_by_check():
    found = scores.pass_rates([scored(DECLINED_TEXT), scored(WRONG)])
    assert set(found) == set(RULES)
    assert (found["G2"].value, found["G1"].value) == (0.5, 1.0)
    assert scores.pass_rates([scored(DECLINED_TEXT, None)]) == {}


def test_strata_hold_each_text_once_per_kind():
    subjects = [Subject(DECLINED), Subject(APPROVED), Subject(DECLINED)]
    measured = [
        score(text, text, one)
        for text, one in zip([DECLINED_TEXT, APPROVED_TEXT, WRONG], subjects, strict=True)
    ]
    found = scores.strata(subjects, ["adverse_action", "standard_approval", None], measured)
    assert found == {
        "decision: approved": [1],
        "decision: declined": [0, 2],
        "score: 300 to 639": [0, 1, 2],
        "type: adverse action": [0],
        "type: standard approval": [1],
    }


def test_the_worst_come_first():
    two_wrong = WRONG.replace("$25,000", "$99,000")
    measured = [
        scored(text) for text in (DECLINED_TEXT, WRONG, two_wrong, DECLINED_TEXT + " We guarantee it.")
    ]
    assert scores.worst(measured, [0.0] * 4) == [2, 1, 3]
    assert scores.worst(measured, [0.0] * 4, count=1) == [2]


def test_commonest_findings_do_not_depend_on_the_figure():
    measured = [scored(DECLINED_TEXT.replace("43%", wrong)) for wrong in ("34%", "35%")]
    assert scores.commonest(measured) == [("G2", "not the debt to income.", 2)]
