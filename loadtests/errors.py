"""Errors that a user can cause or mend: each is one line (what, where, what to do) and knows its exit code."""

from collections.abc import Sequence
from dataclasses import dataclass

from loadtests.exitcodes import ExitCode


class LoadtestError(Exception):
    """Base of every error that is reported as one line, without a traceback."""

    exit_code: ExitCode = ExitCode.BAD_INPUT


class InputError(LoadtestError):
    """The user gave something that cannot work: a file, a flag, a limit of the machine."""


class NotReadyError(LoadtestError):
    """The stack under test did not come up, or the given host does not answer."""

    exit_code = ExitCode.NOT_READY


class RunError(LoadtestError):
    """The run could not be carried through, so nothing may be concluded from it."""

    exit_code = ExitCode.INVALID


class InterruptedRun(LoadtestError):
    """Ctrl-C or SIGTERM before there was anything to judge."""

    exit_code = ExitCode.INTERRUPTED


@dataclass(frozen=True)
class Problem:
    """One fault of one scenario file: where (`file`, `key`) and what."""

    file: str
    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}: {self.key}: {self.message}" if self.key else f"{self.file}: {self.message}"


class ScenarioError(InputError):
    """Every problem of one scenario file, collected before it was raised."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)
