"""Idempotency-Key: asking again makes no second task."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from psycopg import Connection

from app.settings import ApiSettings
from tests.asgi import Answer, ask
from tests.support import Api, Person, running_api

TASKS = "/api/v1/tasks"
ORDER = b'{"prompt": "write", "output_type": "docs"}'


@pytest.fixture(scope="module")
def other(runner: asyncio.Runner, settings: ApiSettings) -> Iterator[Api]:
    """A second instance on the same servers."""
    with running_api(runner, settings) as running:
        yield running


def headers(key: str) -> list[tuple[str, str]]:
    """Those of an order with a key."""
    return [("content-type", "application/json"), ("idempotency-key", key)]


def create(api: Api, person: Person, key: str, body: bytes = ORDER) -> Answer:
    """Send an order with a key."""
    return api.ask("POST", TASKS, person.access, headers=headers(key), body=body)


def count(db: Connection[Any], person: Person) -> tuple[int, int]:
    """The person's tasks, and what is to be published of them."""
    row = db.execute(
        "SELECT count(*), count(o.task_id) FROM tasks t LEFT JOIN outbox o ON o.task_id = t.id"
        " WHERE user_id = %s",
        [person.id],
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def test_asking_again_gives_the_same_task(
    api: Api, other: Api, person: Person, db: Connection[Any]
) -> None:
    """From any instance, and it says that it is an old one."""
    first = create(api, person, "key")
    assert (first.status, first.get("idempotent-replayed")) == (201, None)
    for instance in (api, other, api):
        again = create(instance, person, "key")
        assert (again.status, again.get("idempotent-replayed")) == (201, "true")
        assert again.body == first.body
        assert again.get("cache-control") == "no-store"
    assert count(db, person) == (1, 1)


def test_the_task_is_shown_as_it_is_by_now(api: Api, person: Person, db: Connection[Any]) -> None:
    """Not as it was: the client wants to know what became of it."""
    first = create(api, person, "key").json()
    db.execute("UPDATE tasks SET status = 'completed', result = 'r' WHERE id = %s", [first["id"]])
    again = create(api, person, "key").json()
    assert (again["id"], again["status"], again["result"]) == (first["id"], "completed", "r")


@pytest.mark.parametrize(
    "body",
    [
        b'{"prompt": "write more", "output_type": "docs"}',
        b'{"prompt": "write", "output_type": "sheets"}',
        b'{"prompt": "write", "output_type": "docs", "metadata": {"a": 1}}',
    ],
)
def test_a_key_is_for_one_order(api: Api, person: Person, db: Connection[Any], body: bytes) -> None:
    """With another one it is 409, and nothing is made."""
    create(api, person, "key")
    refused = create(api, person, "key", body)
    assert refused.status == 409
    assert refused.json() == {"detail": "this Idempotency-Key was used for another task"}
    assert count(db, person) == (1, 1)


def test_the_order_counts_not_how_it_is_written(api: Api, person: Person) -> None:
    """Blanks, the order of fields and the type's other name make no other order."""
    first = create(api, person, "key")
    other_text = b'{"task_type":"docs","metadata":{},  "prompt":"\\u0077rite"}'
    assert create(api, person, "key", other_text).body == first.body


def test_fields_do_not_run_into_each_other(api: Api, person: Person) -> None:
    """What looks the same when it is put together is still another order."""
    create(api, person, "key", b'{"prompt": "{}x", "output_type": "docs"}')
    changed = b'{"prompt": "x", "output_type": "docs", "metadata": {}}'
    assert create(api, person, "key", changed).status == 409


def test_keys_are_each_user_s_own(
    api: Api, person: Person, stranger: Person, db: Connection[Any]
) -> None:
    """The same key of somebody else is another key."""
    mine, theirs = create(api, person, "key"), create(api, stranger, "key")
    assert (mine.status, theirs.status) == (201, 201)
    assert mine.json()["id"] != theirs.json()["id"]
    assert theirs.get("idempotent-replayed") is None
    assert count(db, person) == count(db, stranger) == (1, 1)


def test_other_keys_make_other_tasks(api: Api, person: Person, db: Connection[Any]) -> None:
    """And so does no key; upper and lower case are not the same."""
    ids = {create(api, person, key).json()["id"] for key in ("a", "A", "b", "~" * 255)}
    api.create_task(person)
    assert len(ids) == 4
    assert count(db, person) == (5, 5)


def test_simultaneous_requests_make_one_task(
    api: Api, other: Api, person: Person, db: Connection[Any]
) -> None:
    """Twenty over two instances: one task, told twenty times, once as new."""

    async def race(key: str) -> list[Answer]:
        calls = (
            ask(one.app, "POST", TASKS, person.access, headers=headers(key), body=ORDER)
            for one in (api, other) * 10
        )
        return await asyncio.gather(*calls)

    for number in range(1, 6):
        answers = api.run(race(f"key {number}".replace(" ", "-")))
        assert {answer.status for answer in answers} == {201}
        assert len({answer.json()["id"] for answer in answers}) == 1
        assert [answer.get("idempotent-replayed") for answer in answers].count(None) == 1
        assert count(db, person) == (number, number)


@pytest.mark.parametrize("key", ["", " ", "a b", "a\tb", "ü", "a\x7f", "x" * 256])
def test_bad_keys_are_refused(api: Api, person: Person, db: Connection[Any], key: str) -> None:
    """Up to 255 characters that can be seen, and nothing is made otherwise."""
    assert create(api, person, key).status == 422
    assert count(db, person) == (0, 0)


def test_a_refused_order_uses_up_no_key(api: Api, person: Person) -> None:
    """What was never made can be made later under the same key."""
    assert create(api, person, "key", b"{}").status == 422
    assert create(api, person, "key").get("idempotent-replayed") is None


@pytest.mark.parametrize("version", [0, 1])
def test_a_token_that_counts_no_more(
    api: Api, person: Person, db: Connection[Any], version: int
) -> None:
    """It makes nothing, and is told nothing of what there is."""
    create(api, person, "key")
    db.execute("UPDATE users SET token_version = 2 WHERE id = %s", [person.id])
    for key in ("key", "new"):
        given = headers(key)
        token = api.token(person.id, version)
        assert api.ask("POST", TASKS, token, headers=given, body=ORDER).status == 401
    assert count(db, person) == (1, 1)
