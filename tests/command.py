"""Runs the command line inside the test's own process and keeps what it did."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from typing import TextIO

from lendsafe.cli import main


@dataclass(frozen=True)
class Ran:
    """Exit code and the two streams."""

    code: int
    out: str
    err: str


class Terminal(StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def lendsafe(*arguments: object, terminal: bool = False) -> Ran:
    """Run ``lendsafe`` with some arguments; an exception that is no exit is a fault and escapes.

    Args:
        arguments: As words; paths are turned into text.
        terminal: Whether the streams claim to be terminals.
    """
    kind: type[StringIO] = Terminal if terminal else StringIO
    out, err = kind(), kind()
    with _streams(out, err):
        try:
            main([str(one) for one in arguments])
        except SystemExit as exit:
            code = exit.code
        else:
            code = 0
    assert isinstance(code, int), code
    return Ran(code, out.getvalue(), err.getvalue())


@contextmanager
def _streams(out: TextIO, err: TextIO) -> Iterator[None]:
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = out, err
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
