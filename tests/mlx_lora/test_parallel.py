"""Two processes over the loopback are one: same losses, same adapter, one writer, and a run that can be resumed."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from command import lendsafe
from model_folders import model_folder
from safetensors.numpy import load_file
from small_granite import relative_difference

from lendsafe.mlx_lora.runs import checkpoint
from lendsafe.mlx_lora.runs.watch import read_metrics

sys.path.insert(0, str(Path(__file__).parent))
from training_process import dataset

TOLERANCE = 1e-6
SETTINGS = (  # noqa: SIM905  # reads as it is typed
    "--epochs 2 --batch-size 2 --grad-accum 2 --learning-rate 0.01 --warmup-steps 2 --dropout 0 --rank 4"
    " --targets q_proj,v_proj --save-every 2 --eval-every 3 --samples 0 --keep 10 --quiet"
).split()
# The command line, in which no process but the first may change a file of the run folder, its first argument.
GUARDED = """
import os, sys
run = os.path.realpath(sys.argv.pop(1))
CHANGES = {"os.rename", "os.remove", "os.rmdir", "shutil.rmtree"}

def guard(event, arguments):
    if event in CHANGES or event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        path = arguments[0]
        if not isinstance(path, int) and os.path.realpath(os.fsdecode(path)).startswith(run):
            raise AssertionError(f"process {os.environ['MLX_RANK']}: {event} {path}")

if os.environ["MLX_RANK"] != "0":
    sys.addaudithook(guard)
from lendsafe.cli import main
main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def arguments(tmp_path_factory):
    """Of a small run: a model of a few thousand weights, ten examples in windows of four, the last of two."""
    folder = tmp_path_factory.mktemp("parallel")
    model_folder(folder / "base", num_hidden_layers=2, hidden_size=32)
    data = dataset()
    for name, rows in {"train": data.train, "valid": data.valid}.items():
        lines = [
            json.dumps({"messages": [{"role": m.role, "content": m.content} for m in row]}) for row in rows
        ]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    return ["--model", str(folder / "base"), "--data", str(folder), *SETTINGS]


@pytest.fixture(scope="module")
def alone(arguments, tmp_path_factory):
    out = tmp_path_factory.mktemp("alone") / "run"
    assert lendsafe("train", *arguments, "--out", out).code == 0
    return out


@pytest.fixture(scope="module")
def together(arguments, tmp_path_factory):
    """The run of two processes, and what they printed."""
    out = tmp_path_factory.mktemp("together") / "run"
    return out, launch(out, *arguments, "--out", str(out))


def launch(run: Path, *arguments: str) -> str:
    """``lendsafe train`` in two processes; what they printed."""
    launcher = Path(sys.executable).with_name("mlx.launch")
    own = [sys.executable, "-c", GUARDED, str(run), "train", *arguments]
    options = ["-n", "2", "--backend", "ring", "--starting-port", str(free_port())]
    printed = run.with_name(f"{run.name}.log")
    with printed.open("w") as log:
        process = subprocess.Popen(
            [launcher, *options, "--", *own],
            stdin=subprocess.PIPE,  # the launcher polls it: it has to be a pipe that stays open
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            process.wait(timeout=180)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise AssertionError(f"the processes hang: {printed.read_text()}") from None
        finally:
            process.stdin.close()
    return printed.read_text()  # the launcher's own exit code is 0 whatever happened


def free_port() -> int:
    """A port that is free, as is the next."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port


def numbers(out: Path) -> list[tuple[str, int, float]]:
    return [(row["event"], row["number"], row["loss"]) for row in read_metrics(out)]


def test_two_processes_give_the_losses_and_the_adapter_of_one(alone, together):
    out, printed = together
    assert (out / "adapters.safetensors").exists(), printed
    got, expected = numbers(out), numbers(alone)
    assert len(expected) == 8
    assert [one[:2] for one in got] == [one[:2] for one in expected]  # so each was logged once
    assert [one[2] for one in got] == pytest.approx([one[2] for one in expected], rel=TOLERANCE)
    ours, theirs = load_file(out / "adapters.safetensors"), load_file(alone / "adapters.safetensors")
    assert ours.keys() == theirs.keys()
    for name, array in theirs.items():
        assert relative_difference(ours[name], array) < TOLERANCE, name


def test_only_the_first_process_writes_and_prints(alone, together):
    out, printed = together
    assert printed.count("6 steps, training loss") == 1, printed
    assert len(printed.splitlines()) == 1, printed
    files = [{path.relative_to(run) for path in run.rglob("*")} for run in (out, alone)]
    assert files[0] == files[1]


def test_two_processes_go_on_where_two_stopped(together, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(together[0], out)
    checkpoint.remove_after(out / "checkpoints", 2)
    (out / "adapters.safetensors").unlink()
    printed = launch(out, "--resume", str(out), "--quiet")
    assert (out / "adapters.safetensors").exists(), printed
    assert numbers(out) == numbers(together[0])
    assert (out / "adapters.safetensors").read_bytes() == (together[0] / "adapters.safetensors").read_bytes()
