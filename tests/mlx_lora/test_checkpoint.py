"""Whatever happens to the disk, the newest whole checkpoint is found, and a damaged one never is."""

import errno
import os
import random
from pathlib import Path

import mlx.core as mx
import pytest
from failing_disk import CALLS, Failing

from lendsafe.errors import DiskError, ExistsError, RefusedError
from lendsafe.mlx_lora.runs import checkpoint


def write(folder: Path, step: int, value: float = 1.0) -> Path:
    return checkpoint.write(
        folder,
        step,
        adapter={"a.lora_a": mx.full((4, 3), value), "a.lora_b": mx.zeros((3, 4))},
        moments={"step": mx.array(step, mx.uint64), "a.m": mx.full((4, 3), value / 3)},
        state={"step": step},
        metrics=b'{"event": "step", "number": 1}\n',
    )


def newest_step(folder: Path) -> int:
    found, _ = checkpoint.newest_valid(folder)
    assert found is not None
    return int(found.state["step"])


def test_what_was_written_is_read_back_bit_for_bit(tmp_path):
    found = checkpoint.read(write(tmp_path, 3, value=0.1))
    assert found.state["step"] == 3
    assert mx.array_equal(found.adapter["a.lora_a"], mx.full((4, 3), 0.1))
    assert mx.array_equal(found.moments["a.m"], mx.full((4, 3), 0.1 / 3))
    assert found.moments["step"].dtype == mx.uint64


@pytest.mark.parametrize("damage", ["flip", "cut"])
@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.soak)])
def test_damage_to_the_newest_is_found_and_the_one_before_is_used(tmp_path, damage, count):
    write(tmp_path, 1)
    path = write(tmp_path, 2)
    rng = random.Random(count)
    files = sorted(path.iterdir())
    for _ in range(count):
        file = rng.choice(files)
        whole = file.read_bytes()
        place = rng.randrange(len(whole))
        changed = bytes([whole[place] ^ (1 << rng.randrange(8))])
        file.write_bytes(whole[:place] + changed + whole[place + 1 :] if damage == "flip" else whole[:place])
        found, passed_over = checkpoint.newest_valid(tmp_path)
        assert found.state["step"] == 1
        assert str(path) in passed_over[0]
        file.write_bytes(whole)
    assert newest_step(tmp_path) == 2


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EACCES])
def test_every_failing_call_of_a_save_leaves_the_previous_checkpoint(tmp_path, monkeypatch, name, number):
    write(tmp_path, 1)
    for nth in range(1, 30):
        calls = Failing(name, number, nth, tmp_path)
        with monkeypatch.context() as patch:
            calls.install(patch)
            try:
                write(tmp_path, 2)
                failed = False
            except DiskError as problem:
                failed = True
                assert str(tmp_path) in str(problem)
                assert os.strerror(number) in str(problem)
                assert problem.exit_code == 5
                assert "MB needed" in str(problem)
        if calls.count < nth:
            assert not failed
            break
        assert newest_step(tmp_path) in (1, 2)
        assert not checkpoint.clean(tmp_path)
    assert nth > 1


def test_strays_of_a_killed_process_are_removed(tmp_path):
    write(tmp_path, 1)
    stray = tmp_path / ".step-000002.tmp-99"
    stray.mkdir()
    (stray / "adapter.safetensors").write_bytes(b"half")
    assert checkpoint.clean(tmp_path) == [stray]
    assert newest_step(tmp_path) == 1


def test_the_newest_are_kept(tmp_path):
    for step in range(1, 6):
        write(tmp_path, step)
        checkpoint.prune(tmp_path, 2, step)
    assert [path.name for path in checkpoint.existing(tmp_path)] == ["step-000004", "step-000005"]


def test_a_second_process_is_refused(tmp_path):
    with (
        checkpoint.lock(tmp_path),
        pytest.raises(ExistsError, match="another process"),
        checkpoint.lock(tmp_path),
    ):
        pass


def test_too_little_space_is_said_before_anything_is_written(tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr(checkpoint.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DiskError, match="MB free, .* MB needed"):
        write(tmp_path, 1)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_no_checkpoint_is_refused(tmp_path):
    with pytest.raises(RefusedError, match="damaged"):
        checkpoint.read(tmp_path)


@pytest.mark.parametrize("keep", [1, 2])
def test_a_damaged_newer_one_does_not_crowd_out_whole_ones(tmp_path, keep):
    for step in (6, 8):
        write(tmp_path, step)
    (tmp_path / "step-000008" / "state.json").write_bytes(b"")
    write(tmp_path, 7)  # the run went on from 6
    checkpoint.prune(tmp_path, keep, 7)
    assert [path.name for path in checkpoint.existing(tmp_path)] == ["step-000006", "step-000007"][-keep:]
    assert newest_step(tmp_path) == 7


def test_only_checkpoints_of_earlier_steps_may_be_asked_for(tmp_path):
    for step in (1, 2, 3):
        write(tmp_path, step)
    found, passed_over = checkpoint.newest_valid(tmp_path, before=3)
    assert found.state["step"] == 2
    assert not passed_over
