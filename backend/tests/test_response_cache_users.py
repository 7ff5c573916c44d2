"""Cached lists over the whole application: nobody else's."""

import asyncio
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from app.repositories import users
from app.repositories.users import NewUser
from tests.asgi import ask
from tests.response_cache_support import JSON, ORDER, TASKS, ids_of
from tests.response_cache_support import other as other
from tests.support import Api, Person, metric


def test_a_list_is_never_another_user_s(api: Api, person: Person, stranger: Person) -> None:
    """The same question of somebody else is another question."""
    mine, theirs = api.create_task(person), api.create_task(stranger)
    for _ in range(2):
        assert ids_of(api.ask("GET", TASKS, person.access)) == [mine]
        assert ids_of(api.ask("GET", TASKS, stranger.access)) == [theirs]


def test_a_token_from_before_a_logout_is_refused(api: Api, other: Api) -> None:
    """Also while the list is cached for the token from after it, and was for this one."""
    device_id = f"device-{uuid4()}"
    before = api.login(device_id)
    task_id = api.create_task(before)
    assert ids_of(api.ask("GET", TASKS, before.access)) == [task_id]
    assert api.ask("POST", "/api/v1/auth/logout", before.access).status == 204
    after = api.login(device_id)
    for instance in (api, other):
        assert ids_of(instance.ask("GET", TASKS, after.access)) == [task_id]
        assert instance.ask("GET", TASKS, before.access).status == 401
        assert ids_of(instance.ask("GET", TASKS, after.access)) == [task_id]


def test_a_bad_token_gets_nothing_that_is_cached(api: Api, person: Person) -> None:
    """Without a token that counts there is no answer, whatever is kept."""
    api.create_task(person)
    assert api.ask("GET", TASKS, person.access).status == 200
    for token in (None, person.refresh, person.access[:-2], "x"):
        refused = api.ask("GET", TASKS, token)
        assert (refused.status, refused.get("www-authenticate")) == (401, "Bearer")


USERS = 1_000
CONCURRENCY = 60


@dataclass
class Customer:
    """A user, and the tasks that it was told to have."""

    id: UUID
    token: str
    acknowledged: list[UUID] = field(default_factory=list)


@dataclass
class Tally:
    """What was seen."""

    lists: int = 0
    creates: int = 0
    foreign: int = 0
    missing: int = 0


def test_a_thousand_users_over_two_instances(api: Api, other: Api) -> None:
    """Nobody ever sees another's task, or misses one of the last that were acknowledged.

    CROSS_USER_REQUESTS says how many requests there are.
    """
    requests = int(os.environ.get("CROSS_USER_REQUESTS", "5000"))
    chance = random.Random(7)  # noqa: S311 - no secret
    ids = [uuid4() for _ in range(USERS)]
    customers = [Customer(one, api.token(one)) for one in ids]
    new = (NewUser(one.id, f"{one.id}@x.test", "Ann", str(one.id)) for one in customers)
    assert api.run(users.insert_missing(api.state.database, new)) == USERS
    tally = Tally()

    async def create(instance: Api, one: Customer) -> None:
        body = ORDER % str(one.id).encode()
        made = await ask(instance.app, "POST", TASKS, one.token, headers=JSON, body=body)
        assert made.status == 201, made
        assert made.json()["user_id"] == str(one.id)
        one.acknowledged.append(UUID(made.json()["id"]))
        tally.creates += 1

    async def show(instance: Api, one: Customer) -> None:
        expected = one.acknowledged[-20:]
        answer = await ask(instance.app, "GET", f"{TASKS}?page_size=40", one.token)
        assert answer.status == 200, answer
        tasks = answer.json()["tasks"]
        own = {str(one.id)}
        tally.foreign += any({task["user_id"], task["prompt"]} != own for task in tasks)
        tally.missing += not {task["id"] for task in tasks} >= {str(task) for task in expected}
        tally.lists += 1

    async def customer_service(left: Iterator[int]) -> None:
        for _ in left:
            # Few users have many requests, so that lists are hit, shared and voided at once.
            one = customers[int(USERS * chance.random() ** 3)]
            act = create if chance.random() < 0.3 else show
            await act(chance.choice((api, other)), one)

    async def scenario() -> None:
        left = iter(range(requests))
        await asyncio.gather(*(customer_service(left) for _ in range(CONCURRENCY)))

    names = ("hit", "miss", "shared", "bypass")
    before = [metric("agenthq_cache_total", outcome=name) for name in names]
    api.run(scenario())
    after = [metric("agenthq_cache_total", outcome=name) for name in names]
    counts = ", ".join(
        f"{int(b - a)} {name}" for name, a, b in zip(names, before, after, strict=True)
    )
    print(
        f"{tally.lists} lists ({counts}) and {tally.creates} creates of {USERS} users over two"
        f" instances: {tally.foreign} showed a foreign task, {tally.missing} missed an own one"
    )
    assert tally.lists + tally.creates == requests
    assert after[0] > before[0]
    assert (tally.foreign, tally.missing) == (0, 0)
