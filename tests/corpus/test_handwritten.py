"""Pairs that a person wrote: all that their product and the prompt format ask for is said at once, with its line."""

import csv
import json
import random

import pytest
from command import lendsafe

from lendsafe import parts, prompts, template
from lendsafe.corpus import approved
from lendsafe.corpus.grammar import narrative_parts
from lendsafe.corpus.handwritten import check_pairs, label_file, without_repeats
from lendsafe.corpus.load import load
from lendsafe.corpus.reading import BadFileError
from lendsafe.corpus.scenarios import random_assessment
from lendsafe.eval.truth.label import label
from lendsafe.product import load as load_product
from lendsafe.records import Applicant, Assessment, Reason, Style, to_json

ONE = Assessment(
    applicant=Applicant(
        "L-1",
        {
            "loan_amount": 9_000,
            "debt_to_income": 44.0,
            "revolving_utilization": 91.0,
            "delinquencies_24m": 0,
        },
    ),
    decision="declined",
    default_probability=0.4,
    cutoff=0.2,
    reasons=(
        Reason(code="debt_to_income", contribution=1.2, strength="strong"),
        Reason(code="utilization", contribution=0.5, strength="moderate"),
    ),
)
PLAIN = template.template(ONE, Style())
REPLY = label(PLAIN, ONE, Style(), approved.language(ONE.applicant.product)).reply
SOUND = {"assessment": to_json(ONE), "output": REPLY}


def write(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def said(tmp_path, *rows, product=None):
    """Line and message of every problem."""
    found = check_pairs(write(tmp_path / "pairs.jsonl", *rows), product)
    return [(one.line, one.message) for one in found.problems]


def about(reply=REPLY, **changes):
    return {"assessment": to_json(ONE) | changes, "output": reply}


def test_the_prompt_is_made_from_the_assessment(tmp_path):
    assert said(tmp_path, SOUND) == []
    (one,) = load(tmp_path / "pairs.jsonl")
    assert list(one.messages) == prompts.conversation(ONE, Style(), REPLY)
    assert (one.file, one.line) == (str(tmp_path / "pairs.jsonl"), 1)


@pytest.mark.parametrize("name", ["consumer", "german", "lending-club"])
def test_what_the_grammar_writes_has_no_problem_and_no_new_sentence(tmp_path, name):
    product = load_product(name)
    rows, draw = [], random.Random(5)
    while len(rows) < 25:
        one, style = random_assessment(draw, product)
        one = prompts.shown(one)
        if one.decision in ("approved", "declined"):
            texts = narrative_parts(one, style, draw, wording="all")
            rows.append(
                {
                    "assessment": to_json(one),
                    "style": to_json(style),
                    "output": parts.join(texts, parts.of(one, style)),
                }
            )
    found = check_pairs(write(tmp_path / "pairs.jsonl", *rows), product)
    assert [one.message for one in found.problems if "G12" not in one.message] == []
    assert (found.of_a_product, found.unapproved) == (25, 0)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (about(PLAIN), "has no labels such as [decision]"),
        (about(REPLY.replace("[reason 2]", "[reason 3]")), "The part [reason 2] is missing."),
        (about(REPLY.replace("{loan_amount}", "$9,000")), "holds the figure '$9,000'; write {loan_amount}."),
        (about(REPLY.replace("{debt_to_income}", "44%")), "holds the figure '44%'; write {debt_to_income}."),
        (
            about(REPLY.replace("{debt_to_income}", "{dept_to_income}")),
            "holds {dept_to_income}, which is no slot of product 'consumer'. Did you mean 'debt_to_income'?",
        ),
        (
            about(REPLY.replace("{loan_amount}", "{annual_income}")),
            "holds {annual_income}, which this application does not say.",
        ),
        (
            about(
                reasons=[
                    {"code": "delinquency", "contribution": 1.0, "strength": "strong"},
                    {"code": "utilization", "contribution": 0.5, "strength": "moderate"},
                ]
            ),
            "gives the reason 'delinquency', which the facts rule out: delinquencies_24m = 0.",
        ),
        (
            about(REPLY.replace("A major reason is", "A small part of it is")),
            None,  # in nobody's words: training approves it, or a person
        ),
        (
            about(REPLY.replace("We have declined", "We have approved")),
            "says what is not so: decision",
        ),
        (about(decision="approved", reasons=[], strengths=[]), "was not opened here"),
        ({**about(), "instruction": "Explain this.", "input": "Debt: high"}, "has a prompt that is not the one asked"),
        (about(REPLY.replace("You can ask", "Dear Mr Smith, ask")), "G10:"),
    ],
)  # fmt: skip
def test_each_mistake_is_named_with_its_line(tmp_path, row, problem):
    found = said(tmp_path, SOUND, row)
    if problem is None:
        assert found == []
    else:
        assert any(line == 2 and problem in message for line, message in found), found
    assert not any(line == 1 for line, _ in found)


def test_a_pair_without_its_assessment_is_held_against_a_product_that_is_named(tmp_path):
    row = {"prompt": "Parts:\n[decision]\n[end]", "completion": "[end] We counted 3 things. [decision] No."}
    assert said(tmp_path, row) == []
    messages = [text for _, text in said(tmp_path, row, product=load_product("consumer"))]
    assert [text.split(".")[0].split(";")[0] for text in messages] == [
        "does not say what it explains",
        "has other labels than its prompt lists, or in another order",
        "holds the figure '3'",
    ]


def test_repeated_rows_are_named_and_left_out_on_request(tmp_path):
    other = about(REPLY.replace("You can ask us", "You may ask us"))
    path, out = write(tmp_path / "pairs.jsonl", SOUND, other, SOUND, SOUND), tmp_path / "once.jsonl"
    ran = lendsafe("data", "check", path)
    assert ran.code == 3
    assert f"{path}:3: repeats line 1; remove one of the two, or pass --dedupe." in ran.err
    assert f"{path}:4: repeats line 1" in ran.err
    ran = lendsafe("data", "check", path, "--dedupe", out, "--json")
    assert (ran.code, json.loads(ran.out)["left_out"]) == (0, 2)
    assert [json.loads(line) for line in out.read_text().splitlines()] == [SOUND, other]
    assert len(load(out)) == 2


def test_a_table_of_cells_is_written_once_each_too(tmp_path):
    path = tmp_path / "pairs.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["assessment", "output"])
        writer.writeheader()
        writer.writerows([{**SOUND, "assessment": json.dumps(SOUND["assessment"])}] * 2)
    assert without_repeats(path, tmp_path / "once.jsonl") == 1
    (one,) = load(tmp_path / "once.jsonl")
    assert one.reply == REPLY


def test_labels_are_put_in_and_the_file_then_has_no_problem(tmp_path):
    path, out = (
        write(tmp_path / "pairs.jsonl", about(PLAIN), about(REPLY.replace("You can", "You may"))),
        tmp_path / "out.jsonl",
    )
    ran = lendsafe("data", "label", path, "--out", out)
    assert (ran.code, ran.out) == (0, f"{out}: 1 replies labelled, 1 had labels\n")
    assert load(out)[0].reply == REPLY
    assert lendsafe("data", "check", out).code == 0


def test_a_reply_that_cannot_be_placed_is_named_and_nothing_is_written(tmp_path):
    path, out = write(tmp_path / "pairs.jsonl", SOUND, about("We said no. Goodbye.")), tmp_path / "out.jsonl"
    with pytest.raises(BadFileError) as caught:
        label_file(path, out)
    assert {one.line for one in caught.value.problems} == {2}
    assert "No sentence speaks of [reason 1]" in str(caught.value)
    assert not out.exists()


def test_all_problems_of_a_file_are_said_at_once(tmp_path):
    rows = [about(PLAIN), about(REPLY.replace("{loan_amount}", "$9,000")), {"prompt": "no reply"}, SOUND]
    ran = lendsafe("data", "check", write(tmp_path / "pairs.jsonl", *rows), "--json")
    assert ran.code == 3
    assert sorted({one["line"] for one in json.loads(ran.out)["problems"]}) == [1, 2, 3]
