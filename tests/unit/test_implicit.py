"""Objectives that nobody has to write."""

from pathlib import Path

import pytest

from loadtests.scenario.implicit import ALWAYS, FOREIGN
from tests.unit.texts import BASE, plan_of

SQL = BASE + '\n[tasks]\nquery = "SELECT 1"\n'
OWN = SQL + 'rows = "SELECT 1"\n'
API = BASE + '\n[tasks.api]\npage = "/tasks?page={page}"\n'
HOST = '\n[target]\nhost = "http://127.0.0.1:1"\n'


def implicit(folder: Path, text: str) -> dict[str, str]:
    """What is asked beyond the scenario's own."""
    plan = plan_of(folder, text)
    return {name: asked for name, asked in plan.objectives.items() if name not in plan.scenario.objectives}


def test_without_tasks_nothing_is_asked_of_them(tmp_path: Path) -> None:
    """A scenario that follows no tasks has its own objectives and no others."""
    assert implicit(tmp_path, BASE) == {}


def test_of_accepted_tasks_none_may_be_missed(tmp_path: Path) -> None:
    """Each is named as its metric, and none is allowed."""
    names = ("tasks_lost", "tasks_unfinished", "tasks_duplicated", "tasks_foreign")
    assert implicit(tmp_path, OWN) == {name: f"{name} <= 0" for name in names}


@pytest.mark.parametrize("metric", [*ALWAYS, FOREIGN])
def test_what_the_scenario_speaks_of_is_left_to_it(tmp_path: Path, metric: str) -> None:
    """Whatever it is called and however much it allows."""
    text = OWN.replace("[objectives]\n", f'[objectives]\nallowed = "{metric} < 5"\n')
    assert implicit(tmp_path, text).keys() == {*ALWAYS, FOREIGN} - {metric}


def test_name_that_is_taken_is_not_taken_away(tmp_path: Path) -> None:
    """An objective of the metric's name that speaks of something else stays, and the implicit one has another name."""
    text = OWN.replace(
        "[objectives]\n", '[objectives]\ntasks_lost = "failure_ratio < 1%"\nno_tasks_lost = "failure_ratio < 2%"\n'
    )
    asked = implicit(tmp_path, text)
    assert asked["no_no_tasks_lost"] == "tasks_lost <= 0"
    assert len(asked) == 4
    assert plan_of(tmp_path, text).objectives["tasks_lost"] == "failure_ratio < 1%"


@pytest.mark.parametrize(
    ("text", "known"),
    [
        (OWN, True),
        (SQL, False),
        (OWN + HOST, False),
        (API, True),
        (API + HOST, True),
        (API + 'created = ""\n' + HOST, False),
        (OWN + '[tasks.api]\npage = "/tasks?page={page}"\n' + HOST, False),
    ],
    ids=["own rows", "rows not counted", "rows of others", "own api", "api", "no such key", "either way"],
)
def test_foreign_tasks_are_asked_about_where_they_can_be_known(tmp_path: Path, text: str, known: bool) -> None:
    """On a stack of one's own by its rows; else where users' pages say when a task was made."""
    assert (FOREIGN in implicit(tmp_path, text)) == known
