"""Results to stdout, progress to stderr; escape codes on a terminal alone; numbers as JSON."""

import io
import json
import math
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from command import Terminal, lendsafe
from shared_data import shared_data

from lendsafe import terminal
from lendsafe.cli import main, progress
from lendsafe.cli.output import as_json
from lendsafe.corpus import synth
from lendsafe.errors import DataError

ESCAPE = "\x1b"


@pytest.fixture
def plain_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)


def test_427_of_586_on_the_command_line():
    path = shared_data("lending/seed_training_examples.json")
    ran = lendsafe("data", "check", path)
    assert ran.code == 0
    assert ran.err == ""
    assert "1,500 examples, all can be used" in ran.out
    assert "decisions: approved 914, rejected 586" in ran.out
    assert "427 of 586 rejection texts contradict their applicant" in ran.out
    report = json.loads(lendsafe("data", "check", path, "--json").out)
    assert report["rejections_read"] == 586
    assert report["rejections_contradicted"] == 427
    assert report["problems"] == []


def test_synth_and_check_together(tmp_path):
    ran = lendsafe("data", "synth", "--n", 20, "--history", 0, "--out", tmp_path / "d", "--json")
    assert ran.code == 0
    told = json.loads(ran.out)
    assert {key: told[key] for key in ("rows", "unseen_wordings", "out", "product")} == {
        "rows": 20, "unseen_wordings": 1, "out": str(tmp_path / "d"), "product": "consumer",
    }  # fmt: skip
    assert {one["side"] for one in told["reasons"]} == {"against", "in favor"}
    ran = lendsafe("data", "check", tmp_path / "d", "--json")
    assert ran.code == 0
    report = json.loads(ran.out)
    assert report["examples"] == 20
    assert report["splits"] == {"train": 18, "valid": 2}
    assert report["of_a_product"] == 20
    assert report["sentences_unapproved"] == 0


def test_a_narrative_that_is_untrue_of_its_assessment_is_found(tmp_path):
    lendsafe("data", "synth", "--n", 20, "--history", 0, "--out", tmp_path / "d")
    lines = (tmp_path / "d" / "training_examples.jsonl").read_text().splitlines()
    row = json.loads(next(line for line in lines if '"decision": "declined"' in line))
    untrue = row["output"].replace("[reason 1]", "[reason 1] Your collections are strong.", 1)
    row["output"] = row["messages"][2]["content"] = untrue.replace("declined", "approved", 1)
    (tmp_path / "bad.jsonl").write_text(json.dumps(row) + "\n")
    ran = lendsafe("data", "check", tmp_path / "bad.jsonl")
    assert ran.code == 3
    assert "bad.jsonl:1: 'output'" in ran.err


def test_progress_goes_to_stderr_and_never_to_stdout(tmp_path):
    ran = lendsafe("data", "synth", "--n", 20, "--history", 0, "--out", tmp_path / "d")
    assert ran.out == f"{tmp_path / 'd'}: 20 rows, 1 in unseen wordings\n"
    assert "21/21 narratives" in ran.err


@pytest.mark.parametrize(
    ("variables", "is_terminal", "escapes"),
    [
        ({"TERM": "xterm"}, True, True),
        ({"TERM": "xterm"}, False, False),
        ({"TERM": "dumb"}, True, False),
        ({"TERM": "xterm", "NO_COLOR": "1"}, True, False),
        ({"TERM": "xterm", "NO_COLOR": ""}, True, True),  # as no-color.org has it
    ],
)
def test_escape_codes(tmp_path, monkeypatch, variables, is_terminal, escapes):
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    ran = lendsafe("data", "synth", "--n", 20, "--history", 0, "--out", tmp_path / "d", terminal=is_terminal)
    assert ESCAPE not in ran.out
    assert (ESCAPE in ran.err) == escapes
    assert "21/21 narratives" in ran.err
    assert ran.err.endswith("\n")


def test_a_counter_redraws_one_line_on_a_terminal(monkeypatch, plain_terminal):
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    show = progress.counter("rows")
    for done in range(1, 101):
        show(done, 100)
    assert stream.getvalue().count("\n") == 1
    assert re.search(r"100/100 rows  [\d.]+/s  ETA 0:00\n$", stream.getvalue())


def test_the_time_before_the_first_call_does_not_count(monkeypatch):
    now = iter([1_000.0, 1_010.0, 1_020.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(now))
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    show = progress.counter("rows")  # made at any time before
    for done in (1, 11, 21):
        show(done, 41)
    assert stream.getvalue() == "11/41 rows  1.0/s  ETA 0:30\n21/41 rows  1.0/s  ETA 0:20\n"


def test_a_counter_writes_a_line_now_and_then_elsewhere(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    show = progress.counter("rows")
    for done in range(1, 101):
        show(done, 100)
    assert len(stream.getvalue().splitlines()) == 1  # it took less than ten seconds


def test_redraws_only_where_escape_codes_are_wanted(plain_terminal, monkeypatch):
    assert terminal.redraws(Terminal())
    assert not terminal.redraws(io.StringIO())
    monkeypatch.setenv("TERM", "dumb")
    assert not terminal.redraws(Terminal())


def test_json_of_records_paths_and_what_json_cannot_say():
    @dataclass
    class Inner:
        path: Path
        loss: float

    text = as_json({"a": Inner(Path("x/y"), math.nan), "b": (1, math.inf), 3: "ü"})
    assert json.loads(text) == {"a": {"path": "x/y", "loss": None}, "b": [1, None], "3": "ü"}
    assert "ü" in text


def test_the_demo_prints_its_table_its_explanation_and_its_letter(monkeypatch, tmp_path):
    from lendsafe.demo import Demo

    value = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 7}
    summary = {
        "systems": {"fine-tuned": {"rougeL": value, "grade": "Good", "strict_grade": "Fair"}},
        "reading": ["One text is untrue."],
        "n": 7,
        "train_loss": 0.25,
    }
    made = Demo(
        summary, "declined\n  1. A reason\n\nWe have declined it.", tmp_path / "letter.pdf", {"data": 1.0}
    )
    asked = []

    def run(out, *, quick, say):
        asked.append((out, quick))
        say("== Risk model")
        return made

    monkeypatch.setattr("lendsafe.demo.demo", run)
    ran = lendsafe("demo", "--quick", "--out", tmp_path / "d")
    assert (ran.code, ran.err) == (0, "== Risk model\n")
    assert asked == [(tmp_path / "d", True)]
    for said in (
        "rougeL",
        "0.500 [0.400, 0.600]",
        "n = 7",
        "We have declined it.",
        f"Letter: {tmp_path}/letter.pdf",
    ):
        assert said in ran.out
    report = json.loads(lendsafe("demo", "--json", "--out", tmp_path / "d").out)
    assert report["summary"] == summary
    assert report["letter"] == str(tmp_path / "letter.pdf")


def test_an_interrupted_synth_leaves_nothing(monkeypatch, tmp_path):
    calls, written = [], synth.narrative_parts

    def narrative(*arguments, **named):
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return written(*arguments, **named)

    monkeypatch.setattr("lendsafe.corpus.synth.narrative_parts", narrative)
    ran = lendsafe("data", "synth", "--n", 20, "--history", 0, "--out", tmp_path / "d")
    assert ran.code == 130
    assert ran.err.endswith("Error: Interrupted.\n")
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- how it ends


def ends(monkeypatch, problem) -> int:
    def fail(*arguments, **named):
        raise problem

    monkeypatch.setattr("lendsafe.cli.group.main", fail)
    with pytest.raises(SystemExit) as ended:
        main([])
    return ended.value.code


def test_an_interrupt_ends_with_130(monkeypatch, capsys):
    assert ends(monkeypatch, KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == "Error: Interrupted.\n"


def test_an_error_for_the_user_ends_in_its_line_and_code(monkeypatch, capsys):
    assert ends(monkeypatch, DataError("rows.csv:3: is wrong.")) == 3
    assert capsys.readouterr().err == "Error: rows.csv:3: is wrong.\n"


def test_a_path_that_cannot_be_looked_at_is_named(monkeypatch, capsys):
    assert ends(monkeypatch, PermissionError(13, "Permission denied", "/x/y")) == 5
    assert capsys.readouterr().err == "Error: /x/y: Permission denied.\n"


def test_a_fault_of_ours_shows_its_traceback(monkeypatch):
    with pytest.raises(ZeroDivisionError):
        ends(monkeypatch, ZeroDivisionError())
    with pytest.raises(OSError, match="no file"):
        ends(monkeypatch, OSError("no file"))


def test_a_closed_pipe_is_no_fault():
    program = "import sys; from lendsafe.cli import main; main(['--help'])"
    ran = subprocess.run(
        ["bash", "-c", f'set -o pipefail; {sys.executable} -c "{program}" | true; echo ${{PIPESTATUS[0]}}'],
        capture_output=True,
        text=True,
    )
    assert ran.stderr == ""
    assert ran.stdout.strip() == "141"


BEGUN = """
import sys
from lendsafe.__main__ import main

class Tell:
    def find_spec(self, name, *_):
        if name == "lendsafe.cli":  # what the entry imports first; signals are its own by then
            print("begun", flush=True)

sys.meta_path.insert(0, Tell())
main()
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("seconds", [0.1, 2.0])
def test_a_signal_before_the_first_step_leaves_nothing_behind(tmp_path, number, code, seconds):
    """While Python still imports, or while data and model are read."""
    rows = [{"prompt": f"p{n}", "completion": "Your debt is high."} for n in range(400)]
    (tmp_path / "rows.json").write_text(json.dumps(rows), "utf-8")
    words = ["train", "--model", "granite-tiny", "--data", "rows.json", "--out", "run"]
    process = subprocess.Popen(
        [sys.executable, "-c", BEGUN, *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"begun\n"  # the time that Python needs to get there is not ours
    time.sleep(seconds)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code
    if not (tmp_path / "run").exists():
        assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.json"]
    assert b"Traceback" not in err


SWALLOWS = """
import os, signal
try:
    os.kill(os.getpid(), signal.{name})
    for _ in range(1000):
        pass
except BaseException:
    pass
"""


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
@pytest.mark.parametrize("ignored", [False, True], ids=["heard", "ignored by the caller"])
def test_a_signal_that_a_module_swallows_while_it_is_imported_ends_the_command(tmp_path, name, code, ignored):
    (tmp_path / "tomllib.py").write_text(SWALLOWS.format(name=name), "utf-8")  # imported by lendsafe.fields
    program = "import runpy; runpy.run_module('lendsafe', run_name='__main__')"
    before = (lambda: signal.signal(getattr(signal, name), signal.SIG_IGN)) if ignored else None
    ran = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {program}"],
        capture_output=True,
        text=True,
        preexec_fn=before,
    )
    assert (ran.returncode, ran.stderr) == (code, "Error: Interrupted.\n")


def test_a_signal_ignored_by_the_caller_ends_the_command(tmp_path):
    """Before the first import of ours is through, and after."""
    program = (
        "import os, signal, lendsafe.cli, lendsafe.__main__ as entry\n"
        "lendsafe.cli.main = lambda: os.kill(os.getpid(), signal.SIGINT)\n"
        "entry.main()"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    assert ran.returncode in (130, -signal.SIGINT)
    assert "KeyboardInterrupt" in ran.stderr
