"""The synthetic set: exact counts, narratives that are true, splits by applicant, the same bytes for the same seed."""

import csv
import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from statistics import mean

import pytest

from lendsafe import parts, prompts, slots
from lendsafe.corpus.load import load, read_examples
from lendsafe.corpus.quotas import largest_remainder
from lendsafe.corpus.statistics import tokens
from lendsafe.corpus.synth import SynthConfig, Synthetic, synthesize, write
from lendsafe.errors import ConfigError, DiskError, ExistsError
from lendsafe.eval.truth.checks import check
from lendsafe.eval.truth.sentences import split as sentences
from lendsafe.fields import build
from lendsafe.product import consumer
from lendsafe.records import narrative_type

SMALL = SynthConfig(n=60, seed=3, history=50)


@pytest.fixture(scope="module")
def default() -> Synthetic:
    return synthesize(SynthConfig())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("synth") / "data"
    write(SMALL, out)
    return out


def margins(rows) -> dict[str, list[int]]:
    """Counts of what the specification fixes, each in its order."""
    applicants = [row.example.assessment.applicant for row in rows]
    kinds = Counter(row.example.type for row in rows)
    decisions = Counter(row.example.decision for row in rows)

    def bands(values, edges):
        return [sum(low <= v < high for v in values) for low, high in pairwise(edges)]

    return {
        "decision": [decisions["approved"], decisions["declined"]],
        "score": bands([a["credit_score"] for a in applicants], [550, 640, 700, 851]),
        "amount": bands([a["loan_amount"] for a in applicants], [5_000, 15_000, 35_000, 50_001]),
        "type": [
            kinds["adverse_action"],
            kinds["standard_approval"],
            kinds["detailed_factor_analysis"],
        ],
    }


SPECIFIED = {
    "decision": [914, 586],
    "score": [380, 520, 600],
    "amount": [450, 600, 450],
    "type": [586, 614, 300],
}


def test_default_1500_have_exactly_the_specified_counts(default):
    assert len(default.rows) == 1500
    assert margins(default.rows) == SPECIFIED


@pytest.mark.parametrize("n", [20, 61, 150, 750])
def test_other_sizes_keep_the_proportions_to_one_example(n):
    found = margins(synthesize(SynthConfig(n=n, seed=1)).rows)
    for name, counts in found.items():
        assert sum(counts) == n, name
        for count, specified in zip(counts, SPECIFIED[name], strict=True):
            assert abs(count - n * specified / 1500) <= 1, name


def test_largest_remainder_by_hand():
    # 914 and 586 of 1,500 for 10: 6.09 and 3.91, so 6 and 4
    assert largest_remainder(10, [914, 586]) == [6, 4]
    assert largest_remainder(7, [1, 1, 1]) == [3, 2, 2]


def test_narratives_have_120_words_on_average_and_60_to_180_each(default):
    words = [len(row.text.split()) for row in default.rows]
    assert 115 <= mean(words) <= 125
    assert min(words) >= 60
    assert max(words) <= 180


def test_every_narrative_passes_every_check_in_slots_and_as_text(default):
    for row in [*default.rows, *default.unseen]:
        one = row.example
        assert check(parts.spoken(one.reply), one.assessment, style=one.style) == []
        assert check(row.text, one.assessment, style=one.style, rendered=True) == []


def test_a_narrative_of_another_assessment_fails(default):
    """The checks of the test above can fail: a decline's text is not true of an approval, nor the other way."""
    declined = next(row.example for row in default.rows if row.example.decision == "declined")
    approved = next(row.example for row in default.rows if row.example.decision == "approved")
    assert check(parts.spoken(declined.reply), approved.assessment)
    assert check(parts.spoken(approved.reply), declined.assessment)


def test_text_is_the_narrative_with_its_facts(default):
    for row in default.rows[:100]:
        assert "{" not in row.text
        reply = parts.spoken(row.example.reply)
        assert row.text == slots.render(reply, slots.facts(row.example.assessment))
        assert not any(letter.isdigit() for letter in slots.SLOT.sub("", reply))


def test_every_reply_is_its_parts_in_their_order(default):
    for row in [*default.rows, *default.unseen]:
        one = row.example
        assert parts.faults(one.reply, parts.of(one.assessment, one.style)) == ()


def test_prompt_is_the_one_that_is_used_when_explaining(default):
    for row in default.rows[:50]:
        one = row.example
        assert list(one.messages[:-1]) == prompts.request(one.assessment, one.style)
        assert one.type == narrative_type(one.assessment, one.style)


def test_split_is_1350_and_150_and_no_applicant_is_in_both(default):
    found = {
        part: {r.example.id for r in default.rows if r.example.split == part} for part in ("train", "valid")
    }
    assert {part: len(ids) for part, ids in found.items()} == {"train": 1350, "valid": 150}
    assert not found["train"] & found["valid"]
    assert len(found["train"] | found["valid"]) == 1500


def test_held_out_rows_are_like_the_training_rows(default):
    """Decisions and bands are split in proportion: 10 % of each to within a few examples."""
    whole = margins(default.rows)
    held = margins([row for row in default.rows if row.example.split == "valid"])
    for name in ("decision", "score", "amount"):
        for count, total in zip(held[name], whole[name], strict=True):
            assert abs(count - total / 10) <= 5, name


def test_registers_are_as_frequent_and_independent_of_the_decision(default):
    counts = Counter((row.example.style.register, row.example.decision) for row in default.rows)
    assert {counts[register, "declined"] for register in ("plain", "formal", "warm")} <= {195, 196}


def test_60_further_rows_use_wordings_that_no_training_row_uses(default):
    assert len(default.unseen) == 60
    ids = {row.example.id for row in default.rows}
    assert not ids & {row.example.id for row in default.unseen}

    def said(rows):
        texts = [parts.spoken(row.example.reply) for row in rows]
        return {text[start:end].strip() for text in texts for start, end in sentences(text)}

    trained = said([row for row in default.rows if row.example.split == "train"])
    assert not said(default.unseen) & trained
    # and the measure is no accident: held-out rows in seen wordings share most of their sentences
    valid = said([row for row in default.rows if row.example.split == "valid"])
    assert len(valid & trained) / len(valid) > 0.5


def test_reasons_of_a_decline_are_ranked_and_at_most_four(default):
    for row in default.rows:
        one = row.example.assessment
        if one.decision == "declined":
            assert 1 <= len(one.reasons) <= 4
            pushes = [r.contribution for r in one.reasons if not r.knockout]
            assert pushes == sorted(pushes, reverse=True)


def test_no_protected_attribute_is_among_the_features_or_in_a_prompt(default):
    protected = {"sex", "race", "age", "age_band", "gender", "ethnicity", "religion", "marital_status", "zip"}
    assert not protected & set(consumer().values)
    assert not protected & {f.name for f in consumer().features}
    for row in default.rows:
        assert not protected & set(tokens(row.example.messages[1].content))


# ---------------------------------------------------------------- files


def test_files_of_a_set(folder):
    assert sorted(one.name for one in folder.iterdir()) == [
        "README.md",
        "applications.csv",
        "history.csv",
        "product.json",
        "protected.csv",
        "train.jsonl",
        "training_examples.csv",
        "training_examples.json",
        "training_examples.jsonl",
        "valid.jsonl",
        "valid_unseen_wordings.jsonl",
    ]


def test_json_jsonl_and_csv_hold_the_same_examples(folder):
    forms = [load(folder / f"training_examples.{kind}") for kind in ("json", "jsonl", "csv")]
    assert forms[0] == forms[1] == forms[2]
    assert len(forms[0]) == 60


def test_folder_loads_by_split_and_equals_the_whole(folder):
    rows = load(folder)
    whole = load(folder / "training_examples.jsonl")
    assert sorted(rows, key=lambda one: one.id) == sorted(whole, key=lambda one: one.id)
    assert Counter(one.split for one in rows) == {"train": 54, "valid": 6}


def test_a_row_carries_what_the_design_asks_for(folder):
    row = json.loads((folder / "train.jsonl").read_text().splitlines()[0])
    asked = ["instruction", "input", "output", "decision"]
    asked += ["messages", "assessment", "type", "split", "seed", "template"]
    assert set(asked) <= set(row)
    assert [turn["content"] for turn in row["messages"]] == [row["instruction"], row["input"], row["output"]]


def test_protected_attributes_are_in_a_table_of_their_own(folder):
    def table(name):
        return list(csv.DictReader((folder / name).open(newline="")))

    protected, applications = table("protected.csv"), table("applications.csv")
    assert set(protected[0]) == {"applicant_id", "sex", "age_band", "race"}
    assert set(applications[0]) & set(protected[0]) == {"applicant_id"}
    assert [one["applicant_id"] for one in protected] == [one["applicant_id"] for one in applications]


def test_applications_are_the_applicants_of_the_examples(folder):
    rows = csv.DictReader((folder / "applications.csv").open(newline=""))
    by_id = {one.id: one.assessment.applicant for one in load(folder / "training_examples.json")}
    seen = 0
    for row in rows:
        applicant = by_id[row["applicant_id"]]
        assert float(row["loan_amount"]) == applicant["loan_amount"]
        assert float(row["debt_to_income"]) == applicant["debt_to_income"]
        assert row["defaulted"] in "01"
        seen += 1
    assert seen == len(by_id)


def digest(folder) -> dict[str, str]:
    return {one.name: hashlib.sha256(one.read_bytes()).hexdigest() for one in folder.iterdir()}


def test_same_seed_same_bytes_in_another_process_whatever_its_hash_seed(folder, tmp_path):
    program = "import sys; from lendsafe.cli import main; main(sys.argv[1:])"
    flags = ["--n", "60", "--seed", "3", "--history", "50"]
    subprocess.run(
        [sys.executable, "-c", program, "data", "synth", "--out", str(tmp_path / "again"), *flags],
        check=True,
        capture_output=True,
        env=os.environ | {"PYTHONHASHSEED": "4242"},
    )
    assert digest(tmp_path / "again") == digest(folder)


def test_another_seed_gives_other_applicants_and_other_texts(folder, tmp_path):
    write(SynthConfig(n=60, seed=4, history=0), tmp_path / "other")
    ours, theirs = load(folder), load(tmp_path / "other")
    assert not {one.reply for one in ours} & {one.reply for one in theirs}
    assert not (tmp_path / "other" / "history.csv").exists()


def test_history_shares_no_identifier_with_the_applications(folder):
    def ids(name):
        return {row["applicant_id"] for row in csv.DictReader((folder / name).open(newline=""))}

    assert len(ids("history.csv")) == 50
    assert not ids("history.csv") & ids("applications.csv")


def test_data_card_reports_counts_and_variety(folder):
    card = (folder / "README.md").read_text()
    for said in ("distinct-1", "distinct-2", "sentences found more than once", "longest run of words"):
        assert said in card
    assert "`lendsafe data synth --n 60 --seed 3 --history 50`" in card
    assert "| train | 54 |" in card


def test_unseen_rows_load_like_any_other(folder):
    found = read_examples(folder / "valid_unseen_wordings.jsonl")
    examples, problems = found.examples, [*found.problems, *found.repeats]
    assert problems == []
    assert [one.split for one in examples] == ["valid"] * 2  # 4 % of 60


# ---------------------------------------------------------------- what is refused


def test_existing_files_are_left_alone(folder, tmp_path):
    before = digest(folder)
    with pytest.raises(ExistsError, match="is not empty"):
        write(SMALL, folder)
    assert digest(folder) == before
    (tmp_path / "file").write_text("kept")
    with pytest.raises(ExistsError, match="is a file"):
        write(SMALL, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "kept"


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "data").mkdir()
    write(SynthConfig(n=20, history=0), tmp_path / "data")
    assert len(load(tmp_path / "data")) == 20


def test_a_failing_disk_leaves_nothing_behind(tmp_path, monkeypatch):
    calls = []

    def fails(path, content):
        calls.append(path)
        if len(calls) == 4:
            raise OSError(28, "No space left on device")
        path.write_text(content)

    monkeypatch.setattr("lendsafe.corpus.synth.write_atomically", fails)
    with pytest.raises(DiskError, match="No space left on device.*MB free"):
        write(SynthConfig(n=20, history=0), tmp_path / "data")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"n": 19}, "'n' is 19; expected from 20 to 100000"),
        ({"n": 2.5}, "'n' is 2.5; expected a whole number"),
        ({"seed": -1}, "'seed' is -1; expected at least 0"),
        ({"nn": 20}, "'nn' is an unknown key. Did you mean 'n'"),
    ],
)
def test_settings_out_of_range_are_refused(given, said):
    with pytest.raises(ConfigError, match=said.replace("?", r"\?")):
        build(SynthConfig, given)
