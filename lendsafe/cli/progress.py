"""A count with time left, on stderr; on a terminal redrawn in place, elsewhere a line now and then."""

import sys
import time
from collections.abc import Callable

from lendsafe.terminal import redraws


def counter(what: str) -> Callable[[int, int], None]:
    """A function that shows ``done`` of ``total`` and the time left.

    Its first call starts the clock: what was prepared before it says nothing about the rest.
    """
    redraw = redraws(sys.stderr)
    clock: dict[str, float] = {}

    def show(done: int, total: int) -> None:
        now, last = time.perf_counter(), done >= total
        if not clock:
            clock.update(start=now, shown=now, before=done)
        if not last and now - clock["shown"] < (0.2 if redraw else 10):
            return
        clock["shown"] = now
        rate = (done - clock["before"]) / max(now - clock["start"], 1e-9)
        left = int((total - done) / max(rate, 1e-9))
        line = f"{done}/{total} {what}  {rate:.1f}/s  ETA {left // 60}:{left % 60:02d}"
        sys.stderr.write(f"\r\x1b[2K{line}" + ("\n" if last else "") if redraw else line + "\n")
        sys.stderr.flush()

    return show
