"""Cached lists over the whole application: what is kept, and made once."""

import asyncio

from app.settings import ApiSettings
from tests.asgi import Answer, ask
from tests.response_cache_support import TASKS, ids_of, lists_made
from tests.support import Api, Person, metric, running_api


def test_a_list_is_made_once(api: Api, person: Person) -> None:
    """The second GET asks PostgreSQL nothing; the answer is the same, but for nothing."""
    api.create_task(person)
    with lists_made(1):
        first = api.ask("GET", TASKS, person.access)
        second = api.ask("GET", TASKS, person.access)
    assert first == second
    assert first.status == 200
    assert (first.get("cache-control"), first.get("vary")) == ("private, no-cache", "Authorization")
    assert first.get("content-length") == str(len(first.body))
    assert first.get("set-cookie") is None


def test_other_questions_have_other_answers(api: Api, person: Person) -> None:
    """Each query has its own, each kept."""
    for _ in range(3):
        api.create_task(person)
    with lists_made(3):
        for _ in range(2):
            pages = [
                ids_of(api.ask("GET", f"{TASKS}?page_size=1&page={n}", person.access))
                for n in (1, 2, 3)
            ]
            assert len({page[0] for page in pages}) == 3


def test_refusals_are_not_kept(api: Api, person: Person) -> None:
    """Each bad question is refused anew, by the route."""
    for _ in range(2):
        before = metric("agenthq_cache_total", outcome="miss")
        assert api.ask("GET", f"{TASKS}?page=0", person.access).status == 422
        assert metric("agenthq_cache_total", outcome="miss") == before + 1


def test_a_long_question_is_answered_and_not_kept(api: Api, person: Person) -> None:
    """200 bytes of query are kept, one more is not: keys have a limit."""
    for size, made in ((200, 1), (201, 2)):
        query = f"page=1&x={'x' * (size - 9)}"
        assert len(query) == size
        with lists_made(made):
            for _ in range(2):
                assert api.ask("GET", f"{TASKS}?{query}", person.access).status == 200


def test_a_head_serves_the_get_behind_it(api: Api, person: Person) -> None:
    """They share what is kept."""
    api.create_task(person)
    with lists_made(1):
        assert api.ask("HEAD", TASKS, person.access).status == 200
        assert api.ask("GET", TASKS, person.access).status == 200


def test_without_a_cache_every_list_is_made(
    runner: asyncio.Runner, settings: ApiSettings, person: Person
) -> None:
    """CACHE=off: nothing is kept, and nothing is said about changes."""
    with running_api(runner, settings.model_copy(update={"cache": False})) as api:
        off = metric("agenthq_cache_total", outcome="off")
        task_id = api.create_task(person)
        with lists_made(3):
            for _ in range(3):
                assert ids_of(api.ask("GET", TASKS, person.access)) == [task_id]
        assert metric("agenthq_cache_total", outcome="off") == off + 3


def test_simultaneous_lists_are_made_once(api: Api, person: Person) -> None:
    """Fifty at once after a change: one asks PostgreSQL, the others wait for it."""

    async def scenario() -> list[Answer]:
        calls = (ask(api.app, "GET", TASKS, person.access) for _ in range(50))
        return await asyncio.gather(*calls)

    for _ in range(5):
        task_id = api.create_task(person)
        with lists_made(1):
            answers = api.run(scenario())
        assert {ids_of(answer)[0] for answer in answers} == {task_id}
