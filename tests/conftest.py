"""What all tests share: a missing server is a failure in CI, and named in the last lines elsewhere."""

import os
from typing import NoReturn

import pytest

NOT_TESTED = "NOT TESTED: "


def missing(what: str, install: str) -> NoReturn:
    """A test cannot run here: a failure in CI, elsewhere a skip that the last lines of the output name."""
    line = f"{what} (install: {install})"
    if os.environ.get("CI"):
        pytest.fail(f"missing in CI: {line}")
    pytest.skip(NOT_TESTED + line)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what could not be tested, where nobody overlooks it; the tests may have run in processes of their own."""
    skipped = [report.longrepr[2] for report in terminalreporter.stats.get("skipped", ())]
    for line in dict.fromkeys(reason.removeprefix("Skipped: ") for reason in skipped):
        if line.startswith(NOT_TESTED):
            terminalreporter.write_line(line, yellow=True)
