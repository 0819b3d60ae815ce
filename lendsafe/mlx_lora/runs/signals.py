"""Signals that ask a run to stop: collected, and acted on between two steps."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interruptible() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM instead of dying; the second one leaves at once.

    Yields:
        Number of the signal that came, or nothing.
    """
    pending: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        if pending:
            os._exit(128 + number)
        pending.append(number)

    numbers = (signal.SIGINT, signal.SIGTERM)
    try:
        before = [signal.signal(number, note) for number in numbers]
    except ValueError:  # not the main thread: the caller handles signals
        yield pending
        return
    try:
        yield pending
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
