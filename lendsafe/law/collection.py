"""A Chroma collection of the paragraphs' vectors, in a folder and in a process of its own.

All of it can be made again from the law and the model: a store that is damaged or a process that crashes is
rebuilt, with a line that says so, and nothing is lost.
"""

import json
import math
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from select import select
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from lendsafe.errors import ConfigError, DiskError, LendSafeError
from lendsafe.files import disk_errors
from lendsafe.law.store import locked

Matrix = npt.NDArray[np.float32]
FOLDER = "chroma"
_PATIENCE = 120.0  # seconds that one answer may take
_AT_ONCE = 500
_FULL = ("No space left", "disk is full", "database or disk is full", "Disk quota")


class _EndedError(Exception):
    """The process ended, hung, or said that it cannot go on."""


class Collection:
    """Nearest paragraphs by vector.

    Args:
        folder: Where the store is kept; two processes that use it at once wait for each other.
        name: Of the collection, one for each law and index.
        labels: Of the paragraphs, in the order of the vectors.
        vectors: Makes them, when the store has to be filled; shape (paragraphs, 384).
        say: Told in a line what was rebuilt, and why.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        labels: Sequence[str],
        vectors: Callable[[], Matrix],
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        if find_spec("chromadb") is None:
            raise ConfigError("A Chroma collection needs packages: pip install 'lendsafe[rag]'.")
        self._folder, self._name = folder / FOLDER, name
        self._labels, self._vectors, self._say = tuple(labels), vectors, say
        self._process: subprocess.Popen[str] | None = None
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  # the process writes to it; it goes with this object

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def nearest(self, vector: Sequence[float], limit: int) -> list[tuple[str, float]]:
        """Labels and cosines of the nearest paragraphs, nearest first.

        Raises:
            DiskError: If the disk is full.
            LendSafeError: If the process ends again and again.
        """
        with locked(self._folder):
            asked = {"do": "query", "vector": [float(x) for x in vector], "n": limit}
            found = self._ask_or_rebuild(asked)
        pairs = zip(found["ids"], found["distances"], strict=True)
        return [(label, 1.0 - distance) for label, distance in pairs if math.isfinite(distance)]

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(OSError):
            assert process.stdin is not None
            process.stdin.close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()

    @property
    def process_id(self) -> int | None:
        """Of the process that is running; None if none is."""
        return self._process.pid if self._process else None

    def _ask_or_rebuild(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Ask; start the process again if it ended; make the store anew if that does not help."""
        why = ""
        for attempt in range(3):
            try:
                self._ready()
                return self._ask(wanted)
            except _EndedError as problem:
                why = str(problem)
                self.close()
                if any(one in why for one in _FULL):
                    raise DiskError(
                        f"{self._folder}: {why}. Free some space or choose another folder."
                    ) from None
                if attempt == 0:
                    self._say(f"The process of the vector store ended ({why}); it is started again.")
                elif attempt == 1:
                    self._say(f"The vector store {self._folder} cannot be used ({why}); it is built anew.")
                    self._clear()
        raise LendSafeError(
            f"{self._folder}: the vector store cannot be used ({why}). Search with --by meaning."
        )

    def _ready(self) -> None:
        """Start the process if there is none, and fill the collection if it is not whole."""
        if self._process is not None:
            return
        with disk_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
        self._errors.seek(0)
        self._errors.truncate()
        self._process = subprocess.Popen(  # noqa: S603  # our own module, on a folder
            [sys.executable, "-m", "lendsafe.law.chroma_process", str(self._folder / "store"), self._name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            encoding="utf-8",
        )
        there = self._answer()["ready"]
        if there != len(self._labels):
            self._fill()

    def _fill(self) -> None:
        vectors = self._vectors()
        for start in range(0, len(self._labels), _AT_ONCE):
            piece = slice(start, start + _AT_ONCE)
            self._ask({"do": "add", "ids": self._labels[piece], "vectors": vectors[piece].tolist()})

    def _clear(self) -> None:
        with disk_errors(self._folder):
            store = self._folder / "store"
            if store.is_dir() and not store.is_symlink():
                shutil.rmtree(store)
            else:
                store.unlink(missing_ok=True)

    def _ask(self, wanted: dict[str, Any]) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(wanted) + "\n")
            self._process.stdin.flush()
        except OSError as problem:
            raise _EndedError(self._last_words()) from problem
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        readable, _, _ = select([self._process.stdout], [], [], _PATIENCE)
        line = self._process.stdout.readline() if readable else ""
        if not line:
            raise _EndedError(self._last_words() if readable else f"no answer in {_PATIENCE:.0f} seconds")
        found: dict[str, Any] = json.loads(line)
        if "error" in found:
            raise _EndedError(found["error"])
        return found

    def _last_words(self) -> str:
        assert self._process is not None
        try:
            code = self._process.wait(5)
        except subprocess.TimeoutExpired:
            return "it closed its output"
        self._errors.seek(0)
        said = [line for line in self._errors.read().splitlines() if line.strip()]
        ended = f"signal {-code}" if code < 0 else f"exit code {code}"
        return f"{ended}: {said[-1].strip()[:200]}" if said else ended
