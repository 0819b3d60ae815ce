"""Whether a stream is a terminal on which a line may be redrawn."""

import os
from typing import TextIO


def redraws(stream: TextIO) -> bool:
    """Whether escape codes may be written to ``stream``.

    Not to a file or pipe, not where ``TERM`` is ``dumb``, and not where ``NO_COLOR`` is set to anything
    (https://no-color.org).
    """
    return stream.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("NO_COLOR")
