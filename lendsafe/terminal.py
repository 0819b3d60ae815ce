"""What may be shown on a terminal: whether a line may be redrawn, and text that commands nothing."""

import os
import re
from typing import TextIO


def redraws(stream: TextIO) -> bool:
    """Whether escape codes may be written to ``stream``.

    Not to a file or pipe, not where ``TERM`` is ``dumb``, and not where ``NO_COLOR`` is set to anything
    (https://no-color.org).
    """
    return stream.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("NO_COLOR")


# control characters but tab and line feed; what turns the direction of text around; what marks lines
_COMMANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def escaped(text: str) -> str:
    r"""Text from a file as it may be shown: what a terminal would obey is written out (``\x1b[31m``)."""
    return _COMMANDS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
