"""``lendsafe train --prefer RUN``: from a run to one that learned what its checks say of its own replies."""

import json

import pytest
from command import lendsafe

from lendsafe.corpus import synth
from lendsafe.mlx_lora.runs import record

QUICK = ("--max-steps", 1, "--samples", 0, "--eval-every", 0, "--quiet")


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """Twenty rows and a run of one step on them."""
    folder = tmp_path_factory.mktemp("prefer")
    synth.write(synth.SynthConfig(n=20, history=0), folder / "data")
    out = folder / "start"
    ran = lendsafe(
        "train", "--model", "granite-tiny", "--data", folder / "data", "--out", out, *QUICK, "--batch-size", 4
    )
    assert ran.code == 0, ran.err
    return folder


def test_a_run_goes_on_with_the_base_data_and_settings_of_its_start(begun, tmp_path):
    start, out = begun / "start", tmp_path / "better"
    ran = lendsafe("train", "--prefer", start, "--out", out, *QUICK, "--draws", 1, "--json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["steps"] == 1
    stored, before = record.read(out), record.read(start)
    assert stored["start"]["run"] == str(start)
    assert stored["base"] == before["base"]
    assert stored["settings"]["learning_rate"] == before["settings"]["learning_rate"] / 10
    assert (stored["settings"]["learn_by"], stored["settings"]["draws"]) == ("dpo", 1)
    first = json.loads((out / "metrics.jsonl").read_text().splitlines()[0])
    assert first["loss"] == pytest.approx(0.6931, abs=1e-4)  # log 2: nothing is preferred yet
    drawn = json.loads((out / "draws.json").read_text())["values"]
    assert len(drawn) == before["data"]["train"]
    resumed = lendsafe("train", "--resume", out, "--quiet", "--json")
    assert json.loads(resumed.out)["steps"] == 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--model", "granite-tiny", "--beta", 0.2), 2, "--beta is for --prefer RUN"),
        (("--prefer", "nowhere"), 2, "Missing --out"),
        (("--prefer", "nowhere", "--out", "x"), 8, "not a training run"),
    ],
)
def test_a_mistake_is_said_in_a_line(arguments, code, message):
    ran = lendsafe("train", *arguments)
    assert ran.code == code
    assert message in ran.err
    assert ran.err.count("\n") == 1


def test_rows_that_nothing_can_check_are_refused(begun, tmp_path):
    rows = [
        json.loads(line) for line in (begun / "data" / "training_examples.jsonl").read_text().splitlines()
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"messages": row["messages"]}) + "\n" for row in rows))
    ran = lendsafe("train", "--prefer", begun / "start", "--data", path, "--out", tmp_path / "out")
    assert ran.code == 3
    assert "training rows have no assessment (first: " in ran.err
