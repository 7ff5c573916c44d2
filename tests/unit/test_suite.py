"""Suite files: what they say, and what is wrong with them."""

from pathlib import Path

import pytest

from loadtests.errors import InputError, ScenarioError
from loadtests.scenario.suite import find_suite, load_suite

PART = '[[parts]]\nscenario = "{scenario}"\n'


def _written(folder: Path, *parts: str, head: str = 'name = "s"') -> Path:
    path = folder / "s.toml"
    path.write_text("\n".join([head, *parts]))
    return path


@pytest.mark.parametrize("name", ["nightly", "pull-request"])
def test_suites_of_the_project_are_valid(name: str) -> None:
    """Each suite's scenarios exist, and each part has a plan under its title."""
    suite, plans = load_suite(find_suite(name), cores=2)
    assert suite.name == name
    assert list(plans) == [part.title for part in suite.parts]


def test_users_follow_the_machine(tmp_path: Path) -> None:
    """`users_per_core` times the cores, as `--users` would have it; the objectives that scale go with it."""
    path = _written(tmp_path, PART.format(scenario="phase5") + "users_per_core = 250\nduration = '20s'")
    _, plans = load_suite(path, cores=4)
    assert plans["phase5"].scenario.load.users == 1000
    assert plans["phase5"].scenario.load.total_s == 20
    assert plans["phase5"].objectives["throughput"] == "rate >= 99 % of 1,000/s"


def test_the_shell_does_not_change_a_night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is exported for single runs is not meant for a suite."""
    monkeypatch.setenv("LOADTEST_USERS", "7")
    _, plans = load_suite(_written(tmp_path, PART.format(scenario="smoke")), cores=2)
    assert plans["smoke"].scenario.load.users == 20


SMOKE = PART.format(scenario="smoke")


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        pytest.param(SMOKE * 2, "parts: two parts are called 'smoke'", id="twice"),
        pytest.param(SMOKE + "user = 3", "parts[0].user: unknown key; did you mean 'users'?", id="typo"),
        pytest.param(SMOKE + "users = 3\nusers_per_core = 2", "either users or users_per_core", id="both"),
        pytest.param(SMOKE + "kind = 'capacity'\nusers = 3", "chooses users and duration", id="capacity"),
        pytest.param("", "parts: is missing", id="nothing"),
    ],
)
def test_faults_of_a_suite(parts: str, says: str, tmp_path: Path) -> None:
    """Each is one line with its key."""
    with pytest.raises(ScenarioError) as caught:
        load_suite(_written(tmp_path, parts), cores=2)
    (problem,) = caught.value.problems
    assert says in str(problem)


def test_unknown_names_are_told(tmp_path: Path) -> None:
    """A suite or a scenario that is not there, with those that are."""
    with pytest.raises(InputError, match=r"suite 'night' is unknown \(in suites/ there are: nightly, pull-request\)"):
        find_suite("night")
    with pytest.raises(InputError, match="scenario 'smok' is unknown"):
        load_suite(_written(tmp_path, PART.format(scenario="smok")), cores=2)
