"""A killed training process is started again from its last checkpoint, three times at most."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from model_folders import model_folder

sys.path.insert(0, str(Path(__file__).parent))
from failing_lendsafe import lendsafe

from lendsafe.errors import TooLargeError
from lendsafe.mlx_lora import backend
from lendsafe.mlx_lora.runs.supervise import supervise
from lendsafe.mlx_lora.runs.watch import read_metrics

METAL = "[METAL] Command buffer execution failed: Insufficient Memory (00000008:kIOGPUCommandBufferError)"


class Child:
    """A stand-in for the training process that ends as told, start by start, and notes its arguments."""

    def __init__(self, *ends):
        self.ends, self.starts = list(ends), []

    def __call__(self, arguments):
        self.starts.append(list(arguments))
        return self.ends.pop(0)


def supervised(tmp_path, child, said=None):
    (tmp_path / "run/checkpoints/step-000002").mkdir(parents=True)
    arguments = ["--model", "m", "--out", str(tmp_path / "run")]
    say = (said if said is not None else []).append
    return supervise(arguments, tmp_path / "run", 2048, say=say, start=child)


@pytest.mark.parametrize("code", [0, 1, 2, 4, 5, 130, 143])
def test_a_process_that_ends_by_itself_is_left_alone(tmp_path, code):
    child = Child(code)
    assert supervised(tmp_path, child) == code
    assert child.starts == [["train", "--model", "m", "--out", str(tmp_path / "run")]]


@pytest.mark.parametrize("end", [7, -signal.SIGKILL, -signal.SIGABRT])
def test_after_an_out_of_memory_it_resumes_with_half_the_micro_batch(tmp_path, end):
    said, child = [], Child(end, end, 0)
    assert supervised(tmp_path, child, said) == 0
    common, run = ["train", "--model", "m", "--out", str(tmp_path / "run")], str(tmp_path / "run")
    assert child.starts == [
        common,
        [*common, "--resume", run, "--token-budget", "1024"],
        [*common, "--resume", run, "--token-budget", "512"],
    ]
    assert "restart 1 of 3" in said[0]
    assert "1024 tokens" in said[0]


def test_after_a_crash_it_resumes_with_the_same_micro_batch(tmp_path):
    child = Child(-signal.SIGSEGV, 0)
    assert supervised(tmp_path, child) == 0
    assert child.starts[1][-1] == "2048"


def test_three_restarts_at_most_then_exit_code_7(tmp_path):
    child = Child(*[-signal.SIGKILL] * 9)
    with pytest.raises(TooLargeError, match=r"killed 4 times.*--quantize") as caught:
        supervised(tmp_path, child)
    assert caught.value.exit_code == 7
    assert len(child.starts) == 4


def test_a_process_killed_before_its_first_checkpoint_is_not_started_again(tmp_path):
    child = Child(-signal.SIGKILL)
    with pytest.raises(TooLargeError, match="before its first checkpoint"):
        supervise([], tmp_path / "run", 64, say=print, start=child)
    assert len(child.starts) == 1


def test_another_signal_becomes_an_exit_code_as_a_shell_gives_it(tmp_path):
    assert supervised(tmp_path, Child(-signal.SIGHUP)) == 129


# -- with real training ----------------------------------------------------------------------------

SETTINGS = "--epochs 3 --batch-size 2 --grad-accum 2 --warmup-steps 2 --learning-rate 0.01 --rank 2"
SETTINGS += " --dropout 0 --save-every 2 --samples 0 --token-budget 48 --quiet"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    path = tmp_path_factory.mktemp("supervised")
    model_folder(path / "base", num_hidden_layers=1, hidden_size=32)
    rows = [{"prompt": f"w{i} w{i + 3}", "completion": f"w{2 * i} w{3 * i} w{i % 5}"} for i in range(1, 15)]
    (path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def arguments(place, out):
    return ["--model", place / "base", "--data", place / "rows.jsonl", "--out", out, *SETTINGS.split()]


def losses(out):
    return [row["loss"] for row in read_metrics(out) if row["event"] == "step"]


def test_a_run_killed_twice_and_out_of_memory_once_ends_as_one_left_alone(place):
    assert lendsafe(None, ["train", *arguments(place, place / "alone")]) == 0
    plan = [(3, int(signal.SIGKILL)), (5, METAL), (6, int(signal.SIGABRT)), None]
    said, start = [], lambda given: lendsafe(plan.pop(0), given)
    assert (
        supervise(arguments(place, place / "killed"), place / "killed", 48, say=said.append, start=start) == 0
    )
    assert len(said) == 3
    assert "ended with 7" in said[1]
    assert said[2].endswith("with 6 tokens per micro-batch.")
    alone, killed = losses(place / "alone"), losses(place / "killed")
    assert len(alone) == len(killed) > 6
    assert killed == pytest.approx(alone, rel=1e-5)  # the micro-batch is cut otherwise: the same gradient


def test_another_error_of_the_program_is_not_taken_for_the_devices(place):
    end = (2, "[reshape] Cannot reshape array")
    assert lendsafe(end, ["train", *arguments(place, place / "wrong")]) == 1


@pytest.mark.parametrize(
    ("text", "device"),
    [
        (METAL, True),
        ("[metal::malloc] Resource limit (499000) exceeded.", True),
        ("[malloc_or_wait] Unable to allocate 8589934592 bytes.", True),
        ("cudaMallocAsync(&data, size, stream) failed: out of memory", True),
        ("[METAL] Command buffer execution failed: Caused GPU Timeout Error", True),
        ("[reshape] Cannot reshape array of size 6 into shape (4)", False),
    ],
)
def test_failures_of_the_device_are_one_line_and_exit_code_7(text, device):
    expected = TooLargeError if device else RuntimeError
    with pytest.raises(expected) as caught, backend.device_errors():
        raise RuntimeError(text)
    if device:
        assert caught.value.exit_code == 7
        assert "--token-budget" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_ctrl_c_reaches_a_supervised_process_once_and_it_saves(place):
    out = place / "stopped"
    more = ["--epochs", "1000", "--eval-every", "0", "--supervise"]
    command = [sys.executable, "-m", "lendsafe", "train", *map(str, arguments(place, out)), *more]
    with subprocess.Popen(command, process_group=0) as process:
        while not (out / "metrics.jsonl").exists():
            assert process.poll() is None
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        process.wait(60)
    assert process.returncode == 130
    last = [row["number"] for row in read_metrics(out)][-1]
    assert (out / "checkpoints" / f"step-{last:06d}").is_dir()
