"""Checkpoints that a crash, a full disk or a flipped bit cannot turn into a wrong resume.

A checkpoint is a folder: adapter, optimiser moments, state, and a manifest with the size and SHA-256 of
each file. It is written under a temporary name, synced, and renamed into place.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from safetensors import SafetensorError
from safetensors import numpy as tensors

from lendsafe.errors import DiskError, ExistsError, RefusedError
from lendsafe.files import disk_errors, sync

MANIFEST = "MANIFEST.json"
STRAYS = ".*.tmp-*"  # names of what is being written or removed
HEADROOM = 3  # free space asked for, in checkpoints


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint holds.

    Attributes:
        path: Its folder.
        adapter: Adapter arrays by name, float32.
        moments: Optimiser state by name.
        state: Everything else, as JSON.
        metrics: What was logged so far, JSON lines.
    """

    path: Path
    adapter: dict[str, mx.array]
    moments: dict[str, mx.array]
    state: dict[str, Any]
    metrics: bytes = b""


def name(step: int) -> str:
    """Folder name of the checkpoint after ``step`` optimiser steps."""
    return f"step-{step:06d}"


def write(
    folder: Path,
    step: int,
    *,
    adapter: Mapping[str, mx.array],
    moments: Mapping[str, mx.array],
    state: Mapping[str, Any],
    metrics: bytes = b"",
) -> Path:
    """Write one checkpoint below ``folder``, or leave everything as it was.

    Raises:
        DiskError: Naming path, reason and the space needed.
    """
    contents = {
        "adapter.safetensors": encode(adapter),
        "optimizer.safetensors": encode(moments),
        "state.json": json.dumps(state, indent=1, sort_keys=True, allow_nan=False).encode(),
        "metrics.jsonl": metrics,
    }
    manifest = {file: _entry(content) for file, content in contents.items()}
    contents[MANIFEST] = json.dumps(manifest, indent=1, sort_keys=True).encode()
    needed = sum(map(len, contents.values()))
    final = folder / name(step)
    temporary = folder / f".{final.name}.tmp-{os.getpid()}"
    with disk_errors(final, needed):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _require_space(folder, needed)
            temporary.mkdir()
            for file, content in contents.items():
                with (temporary / file).open("wb") as out:
                    out.write(content)
                sync(temporary / file)
            sync(temporary)
            if final.exists():  # a damaged one that a resumed run passed over
                shutil.rmtree(final)
            temporary.replace(final)
            sync(folder)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
    return final


def newest_valid(folder: Path, *, before: int | None = None) -> tuple[Checkpoint | None, list[str]]:
    """The newest checkpoint that is whole, and why any newer one was passed over.

    Args:
        folder: Where checkpoints are.
        before: Only those of earlier steps than this.
    """
    passed_over: list[str] = []
    for path in reversed(existing(folder)):
        if before is not None and path.name >= name(before):
            continue
        try:
            return read(path), passed_over
        except RefusedError as problem:
            passed_over.append(str(problem))
    return None, passed_over


def existing(folder: Path) -> list[Path]:
    """Checkpoints below ``folder``, oldest first; they may be damaged."""
    return sorted(path for path in folder.glob("step-*") if path.is_dir())


def read(path: Path) -> Checkpoint:
    """Read and verify one checkpoint.

    Raises:
        RefusedError: If a file is missing, has another size or another hash, or is not sound.
    """
    try:
        manifest = json.loads((path / MANIFEST).read_bytes())
        contents = {file: _verified(path / file, entry) for file, entry in manifest.items()}
        return Checkpoint(
            path,
            decode(contents["adapter.safetensors"]),
            decode(contents["optimizer.safetensors"]),
            json.loads(contents["state.json"]),
            contents["metrics.jsonl"],
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as problem:
        raise RefusedError(f"{path}: damaged: {problem}") from problem


def clean(folder: Path) -> list[Path]:
    """Remove what a killed process left half written; returns what was removed."""
    strays = list(folder.glob(STRAYS))
    for path in strays:
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    return strays


def prune(folder: Path, keep: int, step: int) -> None:
    """Remove all but ``keep`` checkpoints, the one after ``step`` steps the newest.

    One of a later step is of a course that was given up, or damaged: the run went on from an earlier one.
    """
    remove_after(folder, step)
    _remove(existing(folder)[:-keep])


def remove_after(folder: Path, step: int) -> None:
    """Remove the checkpoints of later steps than this."""
    _remove([path for path in existing(folder) if path.name > name(step)])


def _remove(paths: list[Path]) -> None:
    for path in paths:
        doomed = path.with_name(f".{path.name}.tmp-{os.getpid()}")  # renamed first: never half a checkpoint
        with suppress(OSError):
            path.replace(doomed)
            shutil.rmtree(doomed)


def encode(arrays: Mapping[str, mx.array]) -> bytes:
    """Arrays as safetensors."""
    return tensors.save({key: np.array(array) for key, array in sorted(arrays.items())})


def decode(content: bytes) -> dict[str, mx.array]:
    """Arrays from safetensors; the header is validated by the safetensors library."""
    return {key: mx.array(array) for key, array in tensors.load(content).items()}


@contextmanager
def lock(run: Path) -> Iterator[None]:
    """Hold a run folder for this process; the system releases it when the process ends, however.

    Raises:
        ExistsError: If another process holds it.
    """
    import fcntl

    path = run / ".lock"
    with disk_errors(path):
        run.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as problem:
            raise ExistsError(f"{run}: another process is training in this folder.") from problem
        yield
    finally:
        os.close(descriptor)


def _entry(content: bytes) -> dict[str, Any]:
    return {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _verified(path: Path, entry: Mapping[str, Any]) -> bytes:
    content = path.read_bytes()
    if _entry(content) != entry:
        raise ValueError(f"{path.name} does not match its manifest")
    return content


def _require_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < HEADROOM * needed:
        raise DiskError(
            f"{folder}: {free / 1e6:.1f} MB free, {HEADROOM * needed / 1e6:.1f} MB needed for a checkpoint."
            " Free some space or choose another folder."
        )
