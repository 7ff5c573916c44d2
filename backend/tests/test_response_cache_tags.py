"""Lists' tags, what is not sent again to who has it, and HEAD; with a cache and without."""

import asyncio
from collections.abc import Iterator

import pytest

from app.settings import ApiSettings
from tests.response_cache_support import TASKS, ids_of
from tests.support import Api, Person, running_api


@pytest.fixture(params=[True, False], ids=["cache", "no cache"])
def either(
    request: pytest.FixtureRequest, runner: asyncio.Runner, settings: ApiSettings
) -> Iterator[Api]:
    """An application with a cache, and one without."""
    with running_api(runner, settings.model_copy(update={"cache": request.param})) as running:
        yield running


def test_the_tag_is_the_content_s(either: Api, person: Person) -> None:
    """The same for the same list, another one for another, with a cache or without."""
    tags = []
    for _ in range(2):
        either.create_task(person)
        pair = [either.ask("GET", TASKS, person.access).get("etag") for _ in range(2)]
        assert pair[0] == pair[1]
        assert pair[0] is not None
        assert pair[0].startswith('"')
        tags.append(pair[0])
    assert tags[0] != tags[1]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("form", "status"),
    [
        ("{}", 304),
        ("W/{}", 304),
        ("*", 304),
        ('"other", {}', 304),
        ('"other",W/{} , "third"', 304),
        ('"other"', 200),
        ('W/"other"', 200),
        ("", 200),
        ("w/{}", 200),
    ],
)
def test_what_the_client_has_is_not_sent_again(
    either: Api, person: Person, method: str, form: str, status: int
) -> None:
    """If-None-Match: one tag, several, weak ones, or any (RFC 9110, 13.1.2)."""
    either.create_task(person)
    whole = either.ask("GET", TASKS, person.access)
    given = [("if-none-match", form.format(whole.get("etag")))]
    answer = either.ask(method, TASKS, person.access, headers=given)
    assert answer.status == status
    for name in ("etag", "cache-control", "vary"):
        assert answer.get(name) == whole.get(name)
    if status == 304:
        assert (answer.body, answer.get("content-length")) == (b"", None)


def test_a_change_has_another_tag(either: Api, person: Person) -> None:
    """A client that asks with the old one gets the new list."""
    tag = either.ask("GET", TASKS, person.access).get("etag") or ""
    task_id = either.create_task(person)
    answer = either.ask("GET", TASKS, person.access, headers=[("if-none-match", tag)])
    assert ids_of(answer) == [task_id]


def test_head_is_get_without_the_body(either: Api, person: Person) -> None:
    """All headers of the answer, also of a refusal, in whatever order they are asked for."""
    either.create_task(person)
    for path, token in ((TASKS, person.access), (f"{TASKS}?page=0", person.access), (TASKS, None)):
        for _ in range(2):
            head, get = (either.ask(method, path, token) for method in ("HEAD", "GET"))
            assert head.body == b""
            assert (head.status, head.headers) == (get.status, get.headers)
            assert head.get("content-length") == str(len(get.body))
