"""``lendsafe`` in a process of its own, that fails after a chosen step."""

import os

from training_process import joined


def lendsafe(end, arguments) -> int:
    """Run ``lendsafe ARGUMENT...``; the exit code, negative for a signal.

    Args:
        end: None, or a step and how to fail after it: a signal's number, or a text that MLX raises.
        arguments: Of the command line.
    """
    return joined(_main, end, [str(one) for one in arguments])


def _main(end, arguments) -> None:
    from lendsafe.cli import main

    if end:
        _fail_at(*end)
    main(arguments)


def _fail_at(step: int, how: int | str) -> None:
    from lendsafe.mlx_lora.runs import run

    between = run._Run._between

    def failing(self, one, pending):
        between(self, one, pending)
        if one.number == step:
            if isinstance(how, str):
                raise RuntimeError(how)
            os.kill(os.getpid(), how)

    run._Run._between = failing
