"""The judge of foreign text: what is not so is named where it stands, and what is so is left alone."""

import json
import random
import sys
import time
from collections import Counter
from functools import cache

import pytest
from approved import language
from handwritten import handwritten
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_data import shared_data
from untruths import subjects, table, untruths

from lendsafe import parts
from lendsafe.corpus import synth
from lendsafe.corpus.grammar import narrative
from lendsafe.eval.truth import sentences
from lendsafe.eval.truth.checks import check
from lendsafe.eval.truth.examine import examine
from lendsafe.eval.truth.judge import judge
from lendsafe.eval.truth.label import label
from lendsafe.eval.truth.support import support
from lendsafe.records import Style, assessment_from_json

DECISIONS = {
    "approved": "We have approved your request.",
    "declined": "We have declined your request.",
    "counteroffer": "We make a counteroffer.",
}


def say(capsys, text):
    with capsys.disabled():
        sys.stdout.write(f"\n{text}\n")


def contradictions(sentence, name):
    """What is said against one sentence behind a statement of its subject's decision."""
    one, _ = subjects()[name]
    stated = DECISIONS[one.decision]
    text = f"{stated} {sentence}"
    found = [
        verdict
        for verdict in judge(text, one).verdicts
        if verdict.kind == "contradicted" and verdict.start < verdict.end and verdict.end > len(stated)
    ]
    return [(verdict.why.partition(":")[0], text[verdict.start : verdict.end]) for verdict in found]


# ---------------------------------------------------------------- one kind, one sentence


@pytest.mark.parametrize(
    ("name", "sentence", "kind", "span"),
    [
        ("A", "An old speeding ticket counted too.", "matter", "speeding ticket"),
        ("A", "Perhaps your debt payments are high.", "hedge", "perhaps"),
        ("A", "Most borrowers owe less than you.", "comparison", "most borrowers"),
        ("A", "All three reasons carried the same weight.", "order", "same weight"),
        ("A", "Your late payments were not why we said no.", "reasons", "not why"),
        ("A", "A small reason is your high level of debt.", "strength", "small reason"),
        ("A", "A major reason is the number of recent inquiries.", "strength", "major reason"),
        ("A", "Your level of debt is high because of your late payments.", "cause", "because of"),
        ("A", "You asked for a loan for a kitchen remodel.", "purpose", "kitchen remodel"),
        ("A", "Your cousin's late payments counted against the request.", "party", "your cousin's"),
        ("A", "Your report shows {delinquencies_24m} in the past year.", "period", "in the past year"),
        ("A", "All of the late payments fell in the past month.", "period", "in the past month"),
        ("C", "You earn {annual_income} a month.", "period", "a month"),
        ("C", "There was nothing that we did not verify.", "negation", "verify"),
        ("A", "Your report does not show {delinquencies_24m}.", "negation", "not show {delinquencies_24m}"),
        ("A", "Your report shows iv late payments.", "figure", "iv"),
        ("A", "Your debt payments take a tenth of your income.", "figure", "a tenth of"),
        ("A", "Your debt payments grew to {debt_to_income} of your income.", "time", "grew"),
        ("A", "Your late payments began a few days ago.", "time", "few days ago"),
        ("A", "This will end well.", "promise", "this will"),
        ("A", "The bureau told us to decline.", "party", "bureau told"),
        ("A", "We did not read your application.", "process", "not read your application"),
        ("A", "We may be unable to approve it.", "decision", "may be unable"),
        ("A", "Your record is perfect.", "direction", "record is perfect"),
        ("B", "This comes at no charge.", "terms", "at no charge"),
    ],
)  # fmt: skip
def test_one_untruth_is_named_where_it_stands(name, sentence, kind, span):
    ((found, where),) = contradictions(sentence, name)
    assert found == kind
    assert span in where.lower() or where.lower() in span


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("A", "Your report shows {delinquencies_24m} in the past two years."),
        ("A", "Your debt payments take nearly half of your income."),
        ("A", "A small reason is the number of recent inquiries."),
        ("A", "A major reason is your high level of debt."),
        ("A", "We do not want you to guess."),
        ("A", "If you believe that a fact is wrong, we will look at it again."),
        ("C", "You earn {annual_income} a year."),
        ("C", "There was no proof that we could verify."),
        ("E", "We could not look at a credit report, as there is none."),
        ("B", "Your request for a home improvement loan is approved."),
    ],
)  # fmt: skip
def test_what_is_so_is_left_alone(name, sentence):
    assert contradictions(sentence, name) == []


def test_what_is_approved_is_supported_and_the_rest_is_accused_of_nothing():
    one, style = subjects()["A"]
    text = "We have declined your request for {loan_amount} for a vehicle. We thank you for your interest."
    known = judge(text, one, language=language()).verdicts
    assert [verdict.kind for verdict in known[:2]] == ["supported", "unsupported"]
    assert {verdict.kind for verdict in judge(text, one).verdicts[:2]} == {"unsupported"}
    assert judge(text, one, style).kinds()["G3"] == 3  # no reason is named


def test_a_repeated_and_a_broken_sentence_and_markup_are_unsupported():
    one, _ = subjects()["A"]
    text = "We have declined your request. We have declined your request. **Thank you**. Your report"
    assert [verdict.why.partition(":")[0] for verdict in judge(text, one).verdicts[1:4]] == [
        "said twice",
        "G11",
        "cut off",
    ]


# ---------------------------------------------------------------- tables


@pytest.mark.parametrize(
    ("name", "least"), [("strangers2.toml", 0.7), ("strangers3.toml", 0.9), ("strangers4.toml", 0.9)]
)
def test_no_untruth_is_sent_and_most_are_contradicted_where_they_stand(name, least, capsys):
    planted, found = Counter(), Counter()
    for one in untruths(name):
        verdicts = support(one.planted, one.assessment, one.style, language())
        assert {verdict.kind for verdict in verdicts} != {"supported"}, one
        text = parts.narrative(one.planted)
        at = text.index(one.sentence)
        end = at + len(one.sentence)
        judged = judge(text, one.assessment, one.style).verdicts
        planted[one.kind] += 1
        found[one.kind] += any(
            verdict.kind == "contradicted" and verdict.start < end and verdict.end > at for verdict in judged
        )
    rates = ", ".join(f"{kind} {found[kind]}/{planted[kind]}" for kind in planted)
    say(capsys, f"{name}: 0 of {planted.total()} sent, {found.total()} contradicted: {rates}")
    assert planted.total() >= 49
    assert found.total() >= least * planted.total(), rates


def test_at_most_2_percent_of_true_sentences_are_contradicted(capsys):
    first = table("true_prose.toml")
    third = first.pop("third")
    said = [(name, sentence) for those in (first, third) for name in those for sentence in those[name]]
    wrong = [(sentence, found) for name, sentence in said if (found := contradictions(sentence, name))]
    say(capsys, f"{len(wrong)} of {len(said)} true sentences contradicted: {wrong}")
    assert len(said) > 100
    assert len(wrong) <= 0.02 * len(said)


def test_at_most_2_percent_of_true_narratives_are_contradicted(capsys):
    said = table("true_narratives.toml")["texts"]
    wrong = [one["text"] for one in said if judge(one["text"], *subjects()[one["subject"]]).contradicted]
    say(capsys, f"{len(wrong)} of {len(said)} true narratives contradicted: {wrong}")
    assert len(said) > 40
    assert len(wrong) <= 0.02 * len(said)


def test_handwritten_texts_that_are_contradicted_are_counted(capsys):
    """Idioms and small talk of many writers; the number is published as it is."""
    wrong = [one for one in handwritten() if judge(one.text, one.assessment, one.style).contradicted]
    say(capsys, f"{len(wrong)} of {len(handwritten())} handwritten texts contradicted")
    assert len(wrong) <= 0.35 * len(handwritten())


# ---------------------------------------------------------------- narratives of others


@cache
def texts():
    folder = "../cases/narratives"
    about = json.loads(shared_data(f"{folder}/subjects.json").read_text("utf-8"))
    rows = [json.loads(line) for line in shared_data(f"{folder}/texts.jsonl").read_text("utf-8").splitlines()]
    known = {}
    for name, entry in about.items():
        detail = entry.pop("detail")
        known[name] = (assessment_from_json(entry), Style(detail=detail))
    return [(row, *known[row["subject"]]) for row in rows]


def own(text, name):
    """Spans of the sentences that no other planted text of the same subject has."""
    others = Counter(
        one["text"][a:b]
        for one, _, _ in texts()
        if one["subject"] == name and not one["true"]
        for a, b in set(sentences.split(one["text"]))
    )
    return [(a, b) for a, b in sentences.split(text) if others[text[a:b]] == 1]


def test_true_narratives_of_others_are_not_contradicted(capsys):
    true = [(row, one, style) for row, one, style in texts() if row["true"]]
    wrong = [row["id"] for row, one, style in true if judge(row["text"], one, style).contradicted]
    say(capsys, f"{len(wrong)} of {len(true)} true narratives of others contradicted: {wrong}")
    assert len(wrong) <= 0.02 * len(true)


def test_planted_narratives_of_others_are_contradicted_where_they_are_wrong(capsys):
    planted, found = Counter(), Counter()
    for row, one, style in texts():
        if row["true"]:
            continue
        bad = [
            verdict for verdict in judge(row["text"], one, style).verdicts if verdict.kind == "contradicted"
        ]
        absent = row["kind"] in ("reason dropped", "reasons out of order")
        where = own(row["text"], row["subject"])
        planted[row["listed"]] += 1
        found[row["listed"]] += bool(bad) and (
            absent or any(verdict.start < b and verdict.end > a for verdict in bad for a, b in where)
        )
    say(capsys, f"planted by others, contradicted in place: {dict(found)} of {dict(planted)}")
    assert found[True] >= 0.95 * planted[True]
    assert found[False] >= 0.85 * planted[False]


def test_no_narrative_of_others_is_sent():
    for row, one, style in texts():
        reply = label(row["text"], one, style, language()).reply
        assert not reply or not examine(reply, one, style, language()).sent, row["id"]


# ---------------------------------------------------------------- laws


@cache
def examples():
    return [row.example for row in synth.synthesize(synth.SynthConfig(n=200, history=0, seed=21)).rows]


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_nothing_that_the_grammar_says_is_contradicted(seed):
    rng = random.Random(seed)
    example = rng.choice(examples())
    text = narrative(example.assessment, example.style, rng, wording="all")
    found = judge(text, example.assessment, example.style, language=language())
    assert {verdict.kind for verdict in found.verdicts} == {"supported"}, found


@settings(deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_judged_and_spans_lie_in_it(text):
    one, style = subjects()["A"]
    for verdict in judge(text, one, style, language=language()).verdicts:
        assert 0 <= verdict.start <= verdict.end <= len(text)
        assert verdict.kind in ("supported", "contradicted", "unsupported")


LONG = ("late payments and ", "not ", "{loan_amount} ", "we have approved ", "x", "1,", "varied")


@pytest.mark.parametrize("words", LONG)
def test_a_text_of_20_000_characters_without_a_full_stop_takes_a_second(words):
    one, style = subjects()["A"]
    rng = random.Random(1)
    known = [
        word for name in ("A", "B") for said in table("true_prose.toml")[name] for word in said[:-1].split()
    ]
    text = " ".join(rng.choice(known) for _ in range(5_000)) if words == "varied" else words * 20_000
    text = text.replace(".", "").replace("?", "").replace("!", "")[:20_000]
    judge("We have declined your request.", one)  # the word lists are compiled once
    start = time.process_time()
    check(text, one, style=style)
    middle = time.process_time()
    judge(text, one, style)
    assert middle - start <= 1
    assert time.process_time() - middle <= 2  # the checks and the readers
