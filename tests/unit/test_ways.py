"""How a run's tasks are followed: what the scenario says and what the run knows decide."""

from contextlib import closing
from pathlib import Path

import pytest

from loadtests import settings
from loadtests.orchestrate.embedded import Stack
from loadtests.orchestrate.ways import way_of
from loadtests.store.folder import RunFolder, create_folder, start_of
from tests.unit.texts import BASE, plan_of

SQL = BASE + '\n[tasks]\nquery = "SELECT 1"\n'
API = '\n[tasks.api]\npage = "/tasks?page={page}"\n'
DSN = {settings.DSN: "postgresql://nobody@127.0.0.1:9/none"}


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A run whose load has begun."""
    folder = create_folder(tmp_path, "x")
    folder.event("ready", None)
    folder.event("start", 0.0, epoch=1234.5)
    return folder


@pytest.mark.parametrize(
    ("text", "known", "name"),
    [
        (BASE, DSN, None),
        (SQL, DSN, "sql"),
        (SQL + API, DSN, "sql"),
        (SQL + API, {}, "api"),
        (SQL + API, {settings.DSN: ""}, "api"),
        (BASE + API, DSN, "api"),
        (SQL, {}, None),
    ],
    ids=["no tasks", "a query", "either", "a database unknown", "no database", "the API alone", "no way"],
)
def test_database_is_asked_where_it_is_known(
    tmp_path: Path, folder: RunFolder, text: str, known: dict[str, str], name: str | None
) -> None:
    """By the query, where there is one and a database to put it to; else by the API; else by nobody."""
    way = way_of(plan_of(tmp_path, text).scenario, Stack("http://127.0.0.1:9", known), folder, own=False)
    if way is None:
        assert name is None
        return
    with closing(way):
        assert way.name == name


def test_load_that_never_began_has_nothing_to_ask_the_api(tmp_path: Path) -> None:
    """Without a start nobody can tell its tasks from older ones."""
    folder = create_folder(tmp_path, "x")
    assert start_of(folder) is None
    assert way_of(plan_of(tmp_path, BASE + API).scenario, Stack("http://127.0.0.1:9", {}), folder, own=False) is None


def test_start_of_the_load(folder: RunFolder) -> None:
    """On the epoch, as the event says."""
    assert start_of(folder) == 1234.5
