"""Errors that a user can act on: one line that says what, which value, what to try.

The command line prints the message without a traceback and exits with ``exit_code``.
Anything else that escapes is a fault of ours and exits with 1.
"""

# What a command's exit code says.
EXIT_CODES = {
    0: "done",
    1: "a fault of ours",
    2: "usage",
    3: "bad data",
    4: "training diverged",
    5: "disk",
    6: "locked or exists",
    7: "memory",
    8: "an artefact refused (integrity, wrong base)",
    9: "offline and not in the cache",
    10: "a gate not passed",
    130: "interrupted",
    141: "the reader of the output has gone",
    143: "terminated",
}


class LendSafeError(Exception):
    """Base of every error whose message is written for the user."""

    exit_code = 1


class ConfigError(LendSafeError):
    """A setting or flag is unknown, out of range, or contradicts another one."""

    exit_code = 2


class DataError(LendSafeError):
    """A data file, record or batch cannot be used as it is."""

    exit_code = 3


class DivergedError(LendSafeError):
    """Training produced non-finite numbers and could not recover."""

    exit_code = 4


class DiskError(LendSafeError):
    """A file could not be read or written; the message names path and reason."""

    exit_code = 5


class ExistsError(LendSafeError):
    """A folder is in use by another process, or would be overwritten."""

    exit_code = 6


class TooLargeError(LendSafeError):
    """The work does not fit in this machine's memory."""

    exit_code = 7


class RefusedError(LendSafeError):
    """An artefact fails its integrity check or belongs to something else."""

    exit_code = 8


class OfflineError(LendSafeError):
    """Something has to be fetched, and it is not in the cache."""

    exit_code = 9


class GateError(LendSafeError):
    """A measured result is below the bar it was asked to reach."""

    exit_code = 10
