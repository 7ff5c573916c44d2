"""Users for load tests."""

import uuid
from pathlib import Path
from typing import Any

import pytest
from psycopg import Connection

from app.seed import seeded_user_id
from tests.support import Api, process


def seed(tmp_path: Path, *arguments: str) -> tuple[int, str]:
    """Run the command; returns exit code and output."""
    log = tmp_path / "log"
    with process(["app.seed", *arguments], log) as child:
        child.wait(30)
        return child.returncode, log.read_text()


def test_ids_are_the_contract() -> None:
    """The id is the one that load generators compute for themselves."""
    expected = uuid.uuid5(uuid.NAMESPACE_URL, "agenthq:loadtest:7")
    assert seeded_user_id("loadtest", 7) == expected


def test_seeding_twice_adds_only_what_is_missing(tmp_path: Path, db: Connection[Any]) -> None:
    """A second run inserts nothing, a larger one the rest."""
    for count, new in ((2500, 2500), (2500, 0), (2600, 100)):
        code, output = seed(tmp_path, "--users", str(count), "--namespace", "twice")
        assert code == 0
        assert f"{count} users, {new} of them new" in output
    found = db.execute(
        "SELECT count(*) FROM users WHERE device_id LIKE 'twice-%' AND email LIKE '%@load.test'"
    ).fetchone()
    assert found == (2600,)


def test_a_minted_token_opens_a_seeded_user(tmp_path: Path, api: Api) -> None:
    """Namespace, index and secret suffice to act as the user."""
    assert seed(tmp_path, "--users", "3", "--namespace", "minted")[0] == 0
    token = api.token(seeded_user_id("minted", 2))
    me = api.call("GET", "/api/v1/auth/me", token).json()
    assert me["email"] == "minted-2@load.test"


def test_past_tasks(tmp_path: Path, api: Api) -> None:
    """Each user has as many completed tasks as asked for, of the last day."""
    arguments = ["--users", "2", "--namespace", "past", "--tasks-per-user", "7"]
    assert seed(tmp_path, *arguments)[0] == 0
    for index in range(2):
        token = api.token(seeded_user_id("past", index))
        page = api.call("GET", "/api/v1/tasks?status=completed", token).json()
        assert page["total"] == 7
        assert len({task["created_at"] for task in page["tasks"]}) == 7


@pytest.mark.parametrize(
    "arguments", [["--users", "-1"], ["--users", "1", "--tasks-per-user", "-1"], []]
)
def test_bad_arguments(tmp_path: Path, arguments: list[str]) -> None:
    """Negative numbers and a missing one are refused."""
    assert seed(tmp_path, *arguments)[0] == 2
