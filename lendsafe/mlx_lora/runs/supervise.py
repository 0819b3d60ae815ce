"""Restart a training process that the GPU driver or the system killed, from its last checkpoint.

After a command-buffer error or an out-of-memory Metal's queue is poisoned, so a retry inside the process is
unsafe: a process of its own watches, halves the micro-batch (which leaves the gradient as it is, but for dropout, whose
masks belong to a micro-batch), and goes on.
"""

import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from lendsafe.errors import TooLargeError
from lendsafe.mlx_lora.runs import checkpoint

RESTARTS = 3
# How a process ends that was out of memory: it said so, the system killed it, or Metal aborted it.
OUT_OF_MEMORY = (TooLargeError.exit_code, -signal.SIGKILL, -signal.SIGABRT)
KILLED = (*OUT_OF_MEMORY, -signal.SIGSEGV, -signal.SIGBUS)
FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def supervise(
    arguments: Sequence[str],
    run: Path,
    budget: int,
    *,
    say: Callable[[str], None],
    start: Callable[[Sequence[str]], int] | None = None,
) -> int:
    """Run ``lendsafe train`` in a child process, again and again if it is killed.

    Args:
        arguments: Of ``lendsafe train``, without ``--supervise``.
        run: Run folder; its newest checkpoint is resumed.
        budget: Tokens per micro-batch to begin with.
        say: Called with each line for the user.
        start: Runs LendSafe with some arguments in a process of its own; its exit code, or minus the number
            of the signal that ended it.

    Returns:
        The child's last exit code; 128 plus the signal's number if one ended it.

    Raises:
        TooLargeError: If the child was killed more than three times, or before its first checkpoint.
    """
    start, command = start or run_lendsafe, ["train", *arguments]
    for restart in range(RESTARTS + 1):
        code = start(command)
        resumable = bool(checkpoint.existing(run / "checkpoints"))
        if code not in KILLED or (code > 0 and not resumable):
            return code if code >= 0 else 128 - code
        if not resumable:
            raise TooLargeError(
                f"{run}: the training process was killed by signal {-code} before its first checkpoint."
                " Close other programs, or try --quantize 4."
            )
        if restart < RESTARTS:
            if code in OUT_OF_MEMORY:
                budget = max(budget // 2, 1)
            say(
                f"The training process ended with {code}; restart {restart + 1} of {RESTARTS} from the last"
                f" checkpoint, with {budget} tokens per micro-batch."
            )
            command = ["train", *arguments, "--resume", str(run), "--token-budget", str(budget)]
    raise TooLargeError(
        f"{run}: the training process was killed {RESTARTS + 1} times. Close other programs, or try --quantize 4,"
        " --recompute layer or a smaller --max-length."
    )


def run_lendsafe(arguments: Sequence[str]) -> int:
    """Run LendSafe in a child; signals to us go to it, so that it can save.

    It is in a process group of its own: Ctrl-C in a terminal would else reach it twice, and the second signal
    means to leave at once.
    """
    command = [sys.executable, "-m", "lendsafe", *arguments]
    with subprocess.Popen(command, process_group=0) as child:  # noqa: S603  # our own program
        before = {
            number: signal.signal(number, lambda received, _: child.send_signal(received))
            for number in FORWARDED
        }
        try:
            return child.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
