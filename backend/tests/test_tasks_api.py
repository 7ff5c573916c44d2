"""Creating, listing, reading and cancelling tasks."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from prometheus_client import REGISTRY
from psycopg import Connection

from app.repositories.tasks import Cursor
from app.schemas.cursor import write_cursor
from tests.support import Api, Person, metric

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
    json_type = {"Content-Type": "application/json"}
    response = api.call("POST", TASKS, person.access, content=body, headers=json_type)
    assert response.status_code == 422
    assert response.json()["detail"]
    assert "input" not in response.json()["detail"][0]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"null", b"[]", b'"text"', b"\xff\xfe", b"[" * 100_000],
    ids=["none", "cut", "null", "list", "text", "no UTF-8", "deep"],
)
def test_a_body_that_is_no_order_is_refused(api: Api, person: Person, body: bytes) -> None:
    """Whatever is sent, it is the client's mistake."""
    json_type = [("content-type", "application/json")]
    refused = api.ask("POST", TASKS, person.access, headers=json_type, body=body)
    assert refused.status in (400, 422)


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
    db.execute("ALTER TABLE outbox ADD CONSTRAINT broken CHECK (seq < 0) NOT VALID")
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
    "query",
    [
        "page=0",
        "page_size=0",
        "page_size=101",
        "status=lost",
        "status=",
        "page=99999999999",
        "page=102&page_size=100",
        "page=10001&page_size=2",
        "cursor=",
        "cursor=garbage",
        "cursor=" + "A" * 65,
    ],
)
def test_a_bad_query_is_refused(api: Api, person: Person, query: str) -> None:
    """Pages begin at 1, hold up to 100, end with task 10,000; statuses are the five."""
    assert api.call("GET", f"{TASKS}?{query}", person.access).status_code == 422


@pytest.mark.parametrize("query", ["page=101&page_size=100", "page=10000&page_size=1"])
def test_the_last_numbered_page(api: Api, person: Person, query: str) -> None:
    """What lies behind 10,000 tasks is still shown, what lies further is not."""
    page = api.call("GET", f"{TASKS}?{query}", person.access).json()
    assert (page["tasks"], page["total"], page["next_cursor"]) == ([], 0, None)


@pytest.mark.parametrize("status", [None, "pending", "cancelled"])
def test_cursors_show_every_task_once(api: Api, person: Person, status: str | None) -> None:
    """Also while tasks are added: what follows a cursor is what was behind that page."""
    created = [api.create_task(person) for _ in range(7)]
    if status == "cancelled":
        for one in created:
            api.call("DELETE", f"{TASKS}/{one}", person.access)
    shown, query = [], {"page_size": "3"} | ({} if status is None else {"status": status})
    page = api.call("GET", TASKS, person.access, params=query).json()
    assert (page["total"], page["page"], page["page_size"]) == (7, 1, 3)
    while True:
        shown += [task["id"] for task in page["tasks"]]
        if page["next_cursor"] is None:
            break
        api.create_task(person)
        after = {**query, "cursor": page["next_cursor"]}
        page = api.call("GET", TASKS, person.access, params=after).json()
        assert (page["total"], page["page"], page["page_size"]) == (None, None, 3)
    assert shown == [str(one) for one in created[::-1]]


def test_a_numbered_page_names_the_cursor_behind_it(api: Api, person: Person) -> None:
    """Unless it is the last one, full or not."""
    for _ in range(4):
        api.create_task(person)
    cursors = [
        api.call("GET", f"{TASKS}?page={page}&page_size=2", person.access).json()["next_cursor"]
        for page in (1, 2, 3)
    ]
    assert [cursor is None for cursor in cursors] == [False, True, True]
    behind = api.call("GET", f"{TASKS}?page_size=2&cursor={cursors[0]}", person.access).json()
    second = api.call("GET", f"{TASKS}?page=2&page_size=2", person.access).json()
    assert behind["tasks"] == second["tasks"]


def test_a_cursor_shows_nothing_of_others(api: Api, person: Person, stranger: Person) -> None:
    """It only says where to begin among one's own tasks."""
    for _ in range(3):
        api.create_task(person)
    cursor = api.call("GET", f"{TASKS}?page_size=1", person.access).json()["next_cursor"]
    path = f"{TASKS}?page_size=5&cursor={cursor}"
    assert api.call("GET", path, stranger.access).json()["tasks"] == []


@pytest.mark.parametrize(
    "moment",
    [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC)],
    ids=["first", "last"],
)
def test_a_cursor_of_another_age(api: Api, person: Person, moment: datetime) -> None:
    """The first and the last moment that a cursor can name are no error."""
    task_id = api.create_task(person)
    cursor = write_cursor(Cursor(moment, uuid4()))
    listed = api.call("GET", f"{TASKS}?cursor={cursor}", person.access)
    assert listed.status_code == 200
    expected = [] if moment.year == 1 else [str(task_id)]
    assert [task["id"] for task in listed.json()["tasks"]] == expected


def test_a_request_costs_one_statement(api: Api, person: Person) -> None:
    """Whatever is asked, and however many tasks there are; the token is checked in the same."""
    made = [api.create_task(person) for _ in range(5)]
    page = api.call("GET", f"{TASKS}?page_size=2", person.access).json()
    body = {"prompt": "write", "output_type": "docs"}
    for query, method, path, more in (
        ("create_tasks", "POST", TASKS, {"json": body}),
        ("create_task_once", "POST", TASKS, {"json": body, "headers": {"Idempotency-Key": "k"}}),
        ("list_tasks", "GET", TASKS, {}),
        ("list_tasks_status", "GET", f"{TASKS}?status=pending", {}),
        ("list_tasks_after", "GET", f"{TASKS}?cursor={page['next_cursor']}", {}),
        ("list_tasks_status_after", "GET", _after("pending", page["next_cursor"]), {}),
        ("find_task", "GET", f"{TASKS}/{made[0]}", {}),
        ("cancel_task", "DELETE", f"{TASKS}/{made[0]}", {}),
        ("find_user", "GET", "/api/v1/auth/me", {}),
        ("revoke_tokens", "POST", "/api/v1/auth/logout", {}),
    ):
        before = _statements()
        assert api.call(method, path, person.access, **more).is_success
        after = _statements()
        assert {name: n for name, n in after.items() if n != before.get(name)} == {
            query: before.get(query, 0) + 1
        }


def test_tasks_that_arrive_together_are_stored_together(
    api: Api, person: Person, stranger: Person, db: Connection[Any]
) -> None:
    """Fewer statements than tasks; each caller gets its own task, also among those refused."""
    refused = api.token(person.id, version=9)
    tokens = [(person.access, stranger.access, refused)[n % 3] for n in range(60)]
    before = metric("agenthq_db_statements_total", query="create_tasks")
    answers = api.together(
        [
            ("POST", TASKS, token, {"json": {"prompt": f"prompt {n}", "output_type": "docs"}})
            for n, token in enumerate(tokens)
        ]
    )
    assert metric("agenthq_db_statements_total", query="create_tasks") - before < 20
    owners = {person.access: str(person.id), stranger.access: str(stranger.id)}
    for n, (token, answer) in enumerate(zip(tokens, answers, strict=True)):
        if token == refused:
            assert answer.status_code == 401
        else:
            task = answer.json()
            assert (task["prompt"], task["user_id"]) == (f"prompt {n}", owners[token])
    assert len({answer.json().get("id") for answer in answers if answer.is_success}) == 40
    stored = db.execute("SELECT count(*) FROM outbox").fetchone()
    assert stored == (40,)


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
    for _ in range(2):
        assert api.call("DELETE", f"{TASKS}/{task_id}", person.access).status_code == 204
    assert api.status_of(person, task_id) == "cancelled"
    entries = db.execute("SELECT count(*) FROM outbox WHERE task_id = %s", [task_id]).fetchone()
    assert entries == (int(status == "cancelled"),)  # there it was ended by hand


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


def _after(status: str, cursor: str) -> str:
    return f"{TASKS}?status={status}&cursor={cursor}"


def _statements() -> dict[str, float]:
    return {
        sample.labels["query"]: sample.value
        for family in REGISTRY.collect()
        if family.name == "agenthq_db_statements"
        for sample in family.samples
        if sample.name.endswith("_total")
    }
