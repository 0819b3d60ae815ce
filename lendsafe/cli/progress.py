"""A count with time left, on stderr; on a terminal redrawn in place, elsewhere a line now and then."""

import sys
import time
from collections.abc import Callable

from lendsafe.terminal import redraws


def counter(what: str) -> Callable[[int, int], None]:
    """A function that shows ``done`` of ``total`` and the time left."""
    start = time.perf_counter()
    shown = [start]

    def show(done: int, total: int) -> None:
        now, redraw = time.perf_counter(), redraws(sys.stderr)
        last = done >= total
        if not last and now - shown[0] < (0.2 if redraw else 10):
            return
        shown[0] = now
        left = (now - start) / max(done, 1) * (total - done)
        rate = done / max(now - start, 1e-9)
        line = f"{done}/{total} {what}  {rate:.1f}/s  ETA {int(left) // 60}:{int(left) % 60:02d}"
        sys.stderr.write(f"\r\x1b[2K{line}" + ("\n" if last else "") if redraw else line + "\n")
        sys.stderr.flush()

    return show
