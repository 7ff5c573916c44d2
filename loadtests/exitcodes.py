"""The exit codes of `loadtest`; they are a contract, so scripts may rely on them."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the command ends with. (`make` turns every failure into its own 2.)"""

    PASS = 0
    FAIL = 1
    BAD_INPUT = 2
    INVALID = 3
    NOT_READY = 4
    INTERRUPTED = 130
