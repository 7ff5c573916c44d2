"""What all tests share: a missing server is a failure in CI, and named in the last lines elsewhere."""

import os
from typing import NoReturn

import pytest

NOT_TESTED: list[str] = []


def missing(what: str, install: str) -> NoReturn:
    """A test cannot run here: a failure in CI, elsewhere a skip that the last lines of the output name."""
    line = f"{what} (install: {install})"
    if os.environ.get("CI"):
        pytest.fail(f"missing in CI: {line}")
    NOT_TESTED.append(line)
    pytest.skip(line)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what could not be tested, where nobody overlooks it."""
    for line in dict.fromkeys(NOT_TESTED):
        terminalreporter.write_line(f"NOT TESTED: {line}", yellow=True)
