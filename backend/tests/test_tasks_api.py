"""Creating, listing, reading and cancelling tasks."""

import json
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg import Connection
from sqlalchemy import event

from tests.support import Api, Person

TASKS = "/api/v1/tasks"


def test_create_stores_the_task_and_its_outbox_entry(
    api: Api, person: Person, db: Connection[Any]
) -> None:
    """A 201 shows the task as it is stored, and the relay has something to publish."""
    body = {"prompt": "write", "output_type": "slides", "metadata": {"a": [1, None]}}
    response = api.call("POST", TASKS, person.access, json=body)
    task = response.json()
    assert response.status_code == 201
    assert (task["prompt"], task["output_type"], task["status"]) == ("write", "slides", "pending")
    assert task["metadata"] == {"a": [1, None]}
    assert task["user_id"] == str(person.id)
    entries = db.execute(
        "SELECT enqueued_at FROM outbox WHERE task_id = %s", [task["id"]]
    ).fetchall()
    assert entries == [(None,)]


def test_task_type_is_another_name_for_output_type(api: Api, person: Person) -> None:
    """Both names are accepted; the answer says output_type."""
    body = {"prompt": "write", "task_type": "research"}
    task = api.call("POST", TASKS, person.access, json=body).json()
    assert task["output_type"] == "research"
    assert "task_type" not in task


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": ""},
        {"prompt": "x" * 5001},
        {"prompt": "nul \x00"},
        {"output_type": "film"},
        {"output_type": "docs", "task_type": "sheets"},
        {"output_type": None},
        {"metadata": [1]},
        {"metadata": {"a": "nul \x00"}},
        {"metadata": {"a": float("nan")}},
        {"metadata": {"a": "\ud800"}},
        {"prompt": "\ud800"},
        {"metadata": {"a": "x" * 20_000}},
    ],
    ids=lambda change: ascii(change)[:40],
)
def test_a_bad_task_is_refused(api: Api, person: Person, change: dict[str, object]) -> None:
    """What the contract forbids, or PostgreSQL could not store, is 422 and never 500."""
    body = json.dumps({"prompt": "write", "output_type": "docs", **change})
    response = api.call("POST", TASKS, person.access, content=body)
    assert response.status_code == 422
    assert response.json()["detail"]


def test_limits_are_inclusive(api: Api, person: Person) -> None:
    """5000 characters fit, and a backslash before u0000 is text."""
    body = {"prompt": "ü" * 5000, "output_type": "docs", "metadata": {"a": "\\u0000"}}
    response = api.call("POST", TASKS, person.access, json=body)
    assert response.status_code == 201
    assert response.json()["metadata"] == {"a": "\\u0000"}


def test_a_task_without_outbox_entry_is_not_stored(
    api: Api, person: Person, db: Connection[Any]
) -> None:
    """If the outbox entry cannot be written, neither is the task."""
    db.execute("ALTER TABLE outbox ADD CONSTRAINT broken CHECK (id < 0) NOT VALID")
    try:
        body = {"prompt": "write", "output_type": "docs"}
        assert api.call("POST", TASKS, person.access, json=body).status_code == 500
    finally:
        db.execute("ALTER TABLE outbox DROP CONSTRAINT broken")
    assert api.call("GET", TASKS, person.access).json()["total"] == 0


def test_no_201_before_the_commit(api: Api, person: Person, db: Connection[Any]) -> None:
    """A commit that fails is an error to the client: the answer waits for it."""
    db.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE 'refused at commit'; END $$"
    )
    db.execute(
        "CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON tasks"
        " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
    try:
        body = {"prompt": "write", "output_type": "docs"}
        assert api.call("POST", TASKS, person.access, json=body).status_code == 500
    finally:
        db.execute("DROP FUNCTION refuse CASCADE")
    assert api.call("GET", TASKS, person.access).json()["total"] == 0


def test_pages_are_newest_first_and_do_not_overlap(api: Api, person: Person) -> None:
    """Pages together are all tasks, each once, in the reverse order of creation."""
    created = [str(api.create_task(person)) for _ in range(5)]
    pages = [
        api.call("GET", TASKS, person.access, params={"page": page, "page_size": 2}).json()
        for page in (1, 2, 3, 4)
    ]
    assert [task["id"] for page in pages for task in page["tasks"]] == created[::-1]
    assert [len(page["tasks"]) for page in pages] == [2, 2, 1, 0]
    assert {(page["total"], page["page_size"]) for page in pages} == {(5, 2)}


def test_tasks_of_one_moment_are_ordered_by_id(
    api: Api, person: Person, db: Connection[Any]
) -> None:
    """Equal times do not make the order of pages random."""
    ids = [api.create_task(person) for _ in range(4)]
    db.execute("UPDATE tasks SET created_at = now() WHERE user_id = %s", [person.id])
    listed = api.call("GET", TASKS, person.access).json()["tasks"]
    assert [task["id"] for task in listed] == sorted(map(str, ids), reverse=True)


def test_the_status_filters_page_and_total(api: Api, person: Person) -> None:
    """A status shows only its tasks, and the total counts only them."""
    first, _ = api.create_task(person), api.create_task(person)
    api.call("DELETE", f"{TASKS}/{first}", person.access)
    page = api.call("GET", TASKS, person.access, params={"status": "cancelled"}).json()
    assert [task["id"] for task in page["tasks"]] == [str(first)]
    assert page["total"] == 1


@pytest.mark.parametrize(
    "query", ["page=0", "page_size=0", "page_size=101", "status=lost", "page=99999999999"]
)
def test_a_bad_query_is_refused(api: Api, person: Person, query: str) -> None:
    """Pages begin at 1, hold up to 100, and statuses are the five."""
    assert api.call("GET", f"{TASKS}?{query}", person.access).status_code == 422


def test_a_list_costs_three_statements(api: Api, person: Person) -> None:
    """One for the user, one for the page, one for the count, however many tasks there are."""
    for _ in range(5):
        api.create_task(person)
    statements: list[str] = []
    engine = api.state.engine.sync_engine

    def note(*arguments: Any) -> None:
        statements.append(arguments[2])

    event.listen(engine, "before_cursor_execute", note)
    try:
        api.call("GET", TASKS, person.access)
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert len(statements) == 3


def test_tasks_of_others_do_not_exist(api: Api, person: Person, stranger: Person) -> None:
    """A stranger can neither list, read nor cancel a task."""
    task_id = api.create_task(person)
    assert api.call("GET", TASKS, stranger.access).json()["total"] == 0
    assert api.call("GET", f"{TASKS}/{task_id}", stranger.access).status_code == 404
    assert api.call("DELETE", f"{TASKS}/{task_id}", stranger.access).status_code == 404
    assert api.status_of(person, task_id) == "pending"


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_unknown_tasks(api: Api, person: Person, method: str) -> None:
    """An unknown id is 404, a malformed one 422."""
    assert api.call(method, f"{TASKS}/{uuid4()}", person.access).status_code == 404
    assert api.call(method, f"{TASKS}/one", person.access).status_code == 422


def test_a_trailing_slash_is_not_redirected(api: Api, person: Person) -> None:
    """A redirect would double the work of every wrong call."""
    assert api.call("GET", f"{TASKS}/", person.access).status_code == 404


@pytest.mark.parametrize("status", ["pending", "processing", "cancelled"])
def test_an_open_task_can_be_cancelled(
    api: Api, person: Person, db: Connection[Any], status: str
) -> None:
    """204 says that the task will never complete; cancelling twice is no error."""
    task_id = _task_in(api, person, db, status)
    assert api.call("DELETE", f"{TASKS}/{task_id}", person.access).status_code == 204
    assert api.status_of(person, task_id) == "cancelled"


@pytest.mark.parametrize("status", ["completed", "failed"])
def test_a_finished_task_cannot_be_cancelled(
    api: Api, person: Person, db: Connection[Any], status: str
) -> None:
    """409 says that it was too late, and nothing changes."""
    task_id = _task_in(api, person, db, status)
    assert api.call("DELETE", f"{TASKS}/{task_id}", person.access).status_code == 409
    assert api.status_of(person, task_id) == status


def _task_in(api: Api, person: Person, db: Connection[Any], status: str) -> UUID:
    task_id = api.create_task(person)
    db.execute("UPDATE tasks SET status = %s WHERE id = %s", [status, task_id])
    return task_id
