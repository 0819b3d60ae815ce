"""``python -m lendsafe``, and the ``lendsafe`` command."""

import os
import signal
import sys
from types import FrameType

_IMPORTING = "<frozen importlib"


def main() -> None:
    """Run the command line; a signal ends it from the first moment on."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(
            number, _stop
        )  # also where whoever started us ignores it, as a shell's background jobs do
    from lendsafe.cli import main as command_line

    command_line()


def _stop(number: int, frame: FrameType | None) -> None:
    """End on SIGINT or SIGTERM: by an exception, or at once while a module is being imported.

    Python frees import locks in callbacks whose exceptions it drops, and modules catch what they like while they are
    imported: an interrupt raised there can be lost. Nothing of ours is half written then, so there is nothing to undo.
    """
    while frame is not None:
        if frame.f_code.co_filename.startswith(_IMPORTING):
            os.write(2, b"Error: Interrupted.\n")
            os._exit(128 + number)
        frame = frame.f_back
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
