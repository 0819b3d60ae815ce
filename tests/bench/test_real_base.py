"""A reason that is left out of training is in no training row; what is measured is what was written."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from bench import real_base  # noqa: E402
from lendsafe.corpus import approved, load, synth  # noqa: E402
from lendsafe.corpus.config import SynthConfig  # noqa: E402
from lendsafe.errors import DataError  # noqa: E402
from lendsafe.mlx_lora.config import TrainConfig  # noqa: E402
from lendsafe.pipeline.narrate import Narrator  # noqa: E402
from lendsafe.pipeline.settings import GenerateConfig  # noqa: E402

REASON = "collections"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs") / "consumer"
    synth.write(SynthConfig(n=100, history=0), folder)
    return folder


@pytest.fixture
def case(data, tmp_path):
    return real_base.Case(
        base="granite-tiny",
        data=data,
        out=tmp_path / "out",
        config=TrainConfig(),
        unused=REASON,
        rows=4,
        retries=0,
    )


def test_a_reason_left_out_is_in_no_row_to_train_or_validate_on_and_in_every_row_of_its_group(case):
    groups = real_base.part(case)
    written = load.load(case.out / "data")
    every = load.load(case.data)
    assert sum(row.split == "train" for row in written) == sum(
        row.split == "train" and REASON not in real_base.named(row) for row in every
    )
    assert not any(REASON in real_base.named(row) for row in written)
    assert all(REASON in real_base.named(row) for row in groups[real_base.UNUSED])
    assert {row.messages for row in written if row.split == "valid"} == {
        row.messages for row in groups[real_base.HELD_OUT]
    }
    assert len(groups[real_base.HELD_OUT]) == 4


def test_rows_of_another_register_and_longer_rows_are_left_out(case):
    real_base.part(replace(case, register="warm", longest=400))
    written = [row for row in load.load(case.out / "data") if row.split == "train"]
    assert written
    assert {row.style.register for row in written} == {"warm"}
    with pytest.raises(DataError, match="0 rows to train on"):
        real_base.part(replace(case, longest=10))
    with pytest.raises(DataError, match="no row names the reason 'luck'"):
        real_base.part(replace(case, unused="luck"))


def test_one_of_two_recited_replies_with_a_sentence_nobody_approved_is_half_sent_and_says_why(case):
    rows = real_base.part(case)[real_base.HELD_OUT][:2]
    language = approved.language(rows[0].assessment.applicant.product)
    spoiled = rows[1].reply.replace(" [end]", " The moon was full. [end]")
    writer = Narrator(None, GenerateConfig(retries=0), language)
    found = real_base.measure("held out", rows, [rows[0].reply, spoiled], writer)
    assert found.first_try.value == found.fallback == 0.5
    assert found.sentences["unsupported"] == 1
    assert found.causes == [("unsupported: not approved: The moon was full.", 1)]
    assert 0.9 < found.rouge_l < 1
    assert [one["sent"] for one in found.samples] == [True, False]


@pytest.mark.soak
def test_a_base_is_trained_and_its_report_written(case):
    config = TrainConfig(max_steps=2, batch_size=2, grad_accum=1, warmup_steps=0, samples=0)
    said = []
    measured = real_base.run(replace(case, config=config, rows=1, longest=350), say=said.append)
    report = json.loads((case.out / "real_base.json").read_text("utf-8"))
    assert report["training"]["steps"] == 2
    assert report["training"]["training rows"] > 2
    assert report["training"]["validation loss"] > 0
    assert [one.group for one in measured] == [one["group"] for one in report["groups"]]
    assert [one.narratives for one in measured] == [1, 1]
    assert "| granite-tiny | held out | 1 |" in said[0]
