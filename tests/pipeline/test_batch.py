"""Many applications: a line and a letter each, whatever kills the run, the same as if nothing had."""

import csv
import fcntl
import hashlib
import json
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from lending import (
    NAME,
    NOTICE_DAY,
    approved,
    declined,
    engine,
    incomplete,
    risk_folder,
    without_waiting_for_the_disk,
)

from lendsafe.errors import DataError, DiskError, ExistsError, RefusedError
from lendsafe.files import csv_cell
from lendsafe.notice import demo_config, verify
from lendsafe.pipeline.applications import Read, application_from, read_applications
from lendsafe.pipeline.batch import Delivery, as_table, run
from lendsafe.pipeline.letters import Explainer
from lendsafe.records import Style

DAY = date.fromisoformat(NOTICE_DAY)
PART = 8  # applications narrated together, in these tests
MAKERS = (declined, approved, incomplete)


@pytest.fixture(scope="module")
def explainer():
    return Explainer(engine(), lender=demo_config())


@pytest.fixture(autouse=True)
def small_and_fast(monkeypatch):
    monkeypatch.setattr("lendsafe.pipeline.batch.PART", PART)
    without_waiting_for_the_disk(monkeypatch)


def tables(count):
    return [MAKERS[n % 3](n, debt_to_income=20.0 + n % 30) for n in range(count)]


def many(count):
    return read_of(application_from(one) for one in tables(count))


def read_of(applications):
    return Read(applications=tuple(applications))


def delivery(folder, medium="txt"):
    return Delivery(folder=folder / "letters", medium=medium, record=folder / "record", notice_date=DAY)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


OF_THE_CLOCK = ("written", "previous", "backdated", "late_when_written")


def everything(folder):
    """Every file's content; of the ledger's lines, what does not depend on when they were written."""
    found = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    for name in found:
        if name.endswith("ledger.jsonl"):
            read = map(json.loads, found[name].splitlines())
            found[name] = [{k: v for k, v in one.items() if k not in OF_THE_CLOCK} for one in read]
    return found


def test_each_application_gets_a_line_a_letter_and_a_record_in_order(explainer, tmp_path):
    read = many(PART + 4)
    applications = read.applications
    shown = []
    result = run(explainer, read, tmp_path / "out.jsonl", delivery(tmp_path), done=lambda *n: shown.append(n))
    assert (result.written, result.found, result.failed) == (PART + 4, 0, ())
    assert shown == [(PART, PART + 4), (PART + 4, PART + 4)]
    told = lines(tmp_path / "out.jsonl")
    assert [one["applicant_id"] for one in told] == [one.id for one in applications]
    for one in told:
        content = (tmp_path / "letters" / one["letter"]["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == one["letter"]["sha256"]
        assert (
            tmp_path / "record" / "records" / one["letter"]["record"] / "letter.txt"
        ).read_bytes() == content
    assert {one["letter"]["kind"] for one in told} == {"denial", "approval", "incomplete"}
    checked = verify(tmp_path / "record")
    assert (checked.records, checked.problems) == (PART + 4, ())


def test_a_second_run_finds_everything_done(explainer, tmp_path):
    run(explainer, many(5), tmp_path / "out.jsonl", delivery(tmp_path))
    before = everything(tmp_path)
    result = run(explainer, many(5), tmp_path / "out.jsonl", delivery(tmp_path))
    assert (result.written, result.found) == (0, 5)
    assert everything(tmp_path) == before


def test_applications_that_were_added_are_written_after_the_others(explainer, tmp_path):
    run(explainer, many(5), tmp_path / "out.jsonl", delivery(tmp_path))
    assert run(explainer, many(8), tmp_path / "out.jsonl", delivery(tmp_path)).written == 3


@pytest.mark.parametrize("kept", [0, 1, 5, PART, PART + 3])
@pytest.mark.parametrize("half", [0, 200])
def test_what_was_cut_off_anywhere_ends_the_same(explainer, tmp_path, kept, half):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    for folder in (whole, cut):
        run(explainer, many(PART + 9), folder / "out.jsonl", delivery(folder))
    path = cut / "out.jsonl"
    content = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(content[:kept]) + content[kept][:half])
    run(explainer, many(PART + 9), path, delivery(cut))
    assert everything(cut) == everything(whole)


def test_a_letter_that_cannot_be_set_holds_up_no_other(explainer, tmp_path):
    contact = {"name": "李明", "address": ["1 Elm", "Columbus, OH"]}
    applications = read_of(
        application_from(declined(n, **({"contact": contact} if n == 1 else {}))) for n in range(3)
    )
    result = run(explainer, applications, tmp_path / "out.jsonl", delivery(tmp_path, "pdf"))
    assert [one["applicant_id"] for one in lines(tmp_path / "out.jsonl")] == ["LS-000000", "LS-000002"]
    (failed,) = result.failed
    assert "U+674E" in failed
    assert "李" not in failed
    again = run(explainer, applications, tmp_path / "out.jsonl", replace(delivery(tmp_path, "pdf")))
    assert (again.written, again.found, len(again.failed)) == (0, 2, 1)


def test_an_application_that_no_letter_can_answer_stops_before_anything_is_written(explainer, tmp_path):
    applications = read_of(
        application_from(declined(n, **({"contact": None} if n else {}))) for n in range(3)
    )
    with pytest.raises(DataError, match="LS-000001.*contact.*LS-000002"):
        run(explainer, applications, tmp_path / "out.jsonl", delivery(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda e: replace(e, style=Style(register="warm")), "register"),
        (lambda e: replace(e, engine=replace(engine(), cutoff=0.3)), "risk_model"),
        (lambda e: replace(e, adapter_sha256="0" * 64), "adapter"),
        (lambda e: replace(e, lender=None), "lender"),
    ],
)
def test_lines_made_with_something_else_are_not_mixed(explainer, tmp_path, change, says):
    run(explainer, many(2), tmp_path / "out.jsonl", Delivery(notice_date=DAY))
    before = everything(tmp_path)
    with pytest.raises(RefusedError, match=f"another {says}"):
        run(change(explainer), many(4), tmp_path / "out.jsonl", Delivery(notice_date=DAY))
    assert everything(tmp_path) == before


def test_an_application_that_changed_since_its_line_is_refused(explainer, tmp_path):
    run(explainer, many(2), tmp_path / "out.jsonl", Delivery(notice_date=DAY))
    changed = read_of(application_from(one | {"employer": "x"}) for one in tables(2))
    with pytest.raises(RefusedError, match="another application"):
        run(explainer, changed, tmp_path / "out.jsonl", Delivery(notice_date=DAY))


def test_letters_of_another_batch_are_not_written_over(explainer, tmp_path):
    run(explainer, many(2), tmp_path / "one.jsonl", delivery(tmp_path))
    with pytest.raises(ExistsError, match="letters"):
        run(explainer, many(2), tmp_path / "two.jsonl", delivery(tmp_path))


def test_a_file_that_is_no_batch_is_left_alone(explainer, tmp_path):
    (tmp_path / "out.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(RefusedError, match="not a line of a batch"):
        run(explainer, many(2), tmp_path / "out.jsonl", Delivery(notice_date=DAY))
    assert (tmp_path / "out.jsonl").read_text() == '{"a": 1}\n'


def test_two_runs_do_not_write_the_same_file(explainer, tmp_path):
    with (tmp_path / "out.jsonl").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(ExistsError, match="another process"):
            run(explainer, many(2), tmp_path / "out.jsonl", Delivery(notice_date=DAY))


def test_a_disk_that_fails_leaves_whole_lines(explainer, tmp_path, monkeypatch):
    out, calls = tmp_path / "out.jsonl", []

    def full(descriptor):
        calls.append(descriptor)
        raise OSError(28, "No space left on device")

    run(explainer, many(3), out, Delivery(notice_date=DAY))
    before = out.read_bytes()
    monkeypatch.setattr("lendsafe.pipeline.batch.sync", full)
    with pytest.raises(DiskError, match="No space left"):
        run(explainer, many(6), out, Delivery(notice_date=DAY))
    assert calls
    monkeypatch.undo()
    run(explainer, many(6), out, Delivery(notice_date=DAY))
    assert out.read_bytes().startswith(before)
    assert [one["applicant_id"] for one in lines(out)] == [one.id for one in many(6).applications]


def test_the_lines_name_nobody_and_the_table_starts_no_formula(explainer, tmp_path):
    out = tmp_path / "out.jsonl"
    run(explainer, many(3), out, delivery(tmp_path))
    assert NAME not in out.read_text()
    assert "Elm" not in out.read_text()
    rows = list(csv.DictReader(as_table(out).splitlines()))
    assert [one["applicant_id"] for one in rows] == [one.id for one in many(3).applications]
    assert "Excessive obligations" in rows[0]["reasons"] or rows[0]["reasons"]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r=", "\n=", "＝"])
def test_no_cell_of_a_table_is_a_formula(explainer, tmp_path, start):
    assert csv_cell(f"{start}cmd|' /C calc'!A0") == f"'{start}cmd|' /C calc'!A0"
    out = tmp_path / "out.jsonl"
    run(explainer, many(1), out, Delivery(notice_date=DAY))
    (table,) = lines(out)
    out.write_text(json.dumps(table | {"text": f"{start}1\u2028+1"}, ensure_ascii=False) + "\n")
    assert not next(csv.DictReader(as_table(out).splitlines(True)))["text"].startswith(start)
    assert csv_cell(-0.5) == -0.5


# ---------------------------------------------------------------- kill -9


def command(folder: Path, risk: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "lendsafe", "explain", str(folder.parent / "a.jsonl"), "--risk", str(risk)),
        *("--out", str(folder / "out.jsonl"), "--notice", str(folder / "letters"), "--medium", "txt"),
        *("--record", str(folder / "record"), "--notice-date", NOTICE_DAY),
    ]


def written(folder: Path) -> int:
    return len(list((folder / "letters").glob("*.txt")))


def killed_and_finished(tmp_path, letters, kills, seed):
    """Kill a run at random places after it has begun, finish it, compare; how many kills found it alive."""
    rng = random.Random(seed)
    risk = risk_folder(tmp_path)
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(one) + "\n" for one in tables(letters)))
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    applications, explainer = (
        read_of(read_applications(tmp_path / "a.jsonl")),
        Explainer.load(risk, lender=demo_config()),
    )
    run(explainer, applications, whole / "out.jsonl", delivery(whole))
    alive = 0
    for _ in range(kills):
        before = written(killed)
        process = subprocess.Popen(
            command(killed, risk), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        goal = before + rng.randint(1, letters - 1 if kills == 1 else letters // 3)
        while process.poll() is None and written(killed) < goal:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        alive += process.wait() == -signal.SIGKILL
    assert run(explainer, applications, killed / "out.jsonl", delivery(killed)).failed == ()
    assert everything(killed) == everything(whole)
    assert verify(killed / "record").problems == ()
    return alive


def test_a_batch_that_is_killed_and_run_again_loses_and_repeats_nothing(tmp_path):
    assert killed_and_finished(tmp_path, letters=70, kills=1, seed=1) == 1


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10))
def test_kills_lose_nothing(tmp_path, seed):
    assert killed_and_finished(tmp_path, letters=200, kills=3, seed=seed) >= 2
