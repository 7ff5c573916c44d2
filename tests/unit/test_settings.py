"""Overrides from flags and environment, and the errors that users see."""

import pytest

from loadtests.errors import InputError, InterruptedRun, LoadtestError, NotReadyError, Problem, RunError, ScenarioError
from loadtests.settings import Overrides, overrides


def test_nothing_given_overrides_nothing() -> None:
    """Without flags and environment every value is the file's."""
    assert overrides({}, {}) == Overrides()


def test_flags_beat_the_environment() -> None:
    """A flag wins over the variable of the same name, which wins where there is no flag."""
    found = overrides({"users": "5", "seed": None}, {"LOADTEST_USERS": "7", "LOADTEST_SEED": "3", "LOADTEST_HOST": "http://h"})
    assert (found.users, found.seed, found.host, found.duration) == ("5", "3", "http://h", None)


def test_sources_name_the_flag_or_variable() -> None:
    """Each override remembers what the user typed it into, for the error that may follow."""
    found = overrides({"users": "5"}, {"LOADTEST_DURATION": "9s"})
    assert found.sources == {"users": "--users", "duration": "LOADTEST_DURATION"}


def test_empty_variable_counts_as_unset_and_empty_flag_does_not() -> None:
    """`LOADTEST_USERS=` in a compose file means nothing was asked; `--users ""` is a mistake that validation must see."""
    found = overrides({"duration": ""}, {"LOADTEST_USERS": ""})
    assert found.users is None
    assert found.duration == ""


def test_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an explicit environment the process's own is read."""
    monkeypatch.setenv("LOADTEST_USERS", "12")
    assert overrides({}).users == "12"


@pytest.mark.parametrize(
    ("error", "code"),
    [(InputError, 2), (RunError, 3), (NotReadyError, 4), (InterruptedRun, 130)],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_each_error_knows_its_exit_code(error: type[LoadtestError], code: int) -> None:
    """Exit codes are a contract: 2 bad input, 3 invalid, 4 not ready, 130 interrupted."""
    assert int(error("x").exit_code) == code


def test_problem_says_file_key_and_what() -> None:
    """A problem is one line: file, key where there is one, message."""
    assert str(Problem("a.toml", "load.users", "is missing")) == "a.toml: load.users: is missing"
    assert str(Problem("a.toml", "", "not valid TOML")) == "a.toml: not valid TOML"


def test_scenario_error_lists_every_problem_on_a_line_of_its_own() -> None:
    """All problems of a file are raised together, as bad input."""
    problems = (Problem("a.toml", "x", "one"), Problem("a.toml", "y", "two"))
    error = ScenarioError(problems)
    assert str(error).splitlines() == ["a.toml: x: one", "a.toml: y: two"]
    assert error.problems == problems
    assert int(error.exit_code) == 2
