"""What tests of cached lists share: orders, a second instance, lists counted and read."""

import asyncio
import contextlib
from collections.abc import Iterator
from uuid import UUID

import pytest

from app.settings import ApiSettings
from tests.asgi import Answer
from tests.support import Api, running_api, statements

TASKS = "/api/v1/tasks"
JSON = [("content-type", "application/json")]
ORDER = b'{"prompt": "%s", "output_type": "docs"}'


@pytest.fixture(scope="module")
def other(runner: asyncio.Runner, settings: ApiSettings) -> Iterator[Api]:
    """A second instance on the same servers."""
    with running_api(runner, settings) as running:
        yield running


@contextlib.contextmanager
def lists_made(count: int) -> Iterator[None]:
    """In here PostgreSQL is asked for so many lists."""
    before = statements("list_tasks")
    yield
    assert statements("list_tasks") == before + count


def ids_of(answer: Answer) -> list[UUID]:
    """The tasks of a list."""
    assert answer.status == 200, answer
    return [UUID(task["id"]) for task in answer.json()["tasks"]]
