"""A disk whose n-th call of one kind fails."""

import os
from pathlib import Path

import pytest

CALLS = ("open", "write", "fsync", "mkdir", "replace")


class Failing:
    """Makes the n-th call of one operating-system function fail that concerns a folder."""

    def __init__(self, name: str, number: int, nth: int, folder: Path) -> None:
        self.name, self.number, self.nth, self.folder, self.count = name, number, nth, folder, 0

    def install(self, patch: pytest.MonkeyPatch) -> None:
        owner = os if self.name == "fsync" else Path
        original = getattr(owner, "open" if self.name == "write" else self.name)

        def concerned(path: Path | int) -> bool:
            return not isinstance(path, Path) or path.is_relative_to(self.folder)

        def call(path, *arguments, **named):
            if concerned(path):
                self.fail_in_turn()
            return original(path, *arguments, **named)

        def opened(path, *arguments, **named):
            file = original(path, *arguments, **named)
            return HalfWritten(file, self) if "wb" in arguments and concerned(path) else file

        patch.setattr(owner, *(("open", opened) if self.name == "write" else (self.name, call)))

    def fail_in_turn(self) -> None:
        self.count += 1
        if self.count == self.nth:
            raise OSError(self.number, os.strerror(self.number))


class HalfWritten:
    """A file whose write fails in its turn, with half of it written."""

    def __init__(self, file, failing: Failing) -> None:
        self.file, self.failing = file, failing

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def write(self, content: bytes) -> int:
        self.file.write(content[: len(content) // 2])
        self.failing.fail_in_turn()
        return self.file.write(content[len(content) // 2 :])
