"""Follows accepted tasks through the target's API: each user pages through their own, as a person would."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from typing import Any, NamedTuple

from loadtests.orchestrate.follow import AwayError, Others
from loadtests.orchestrate.people import People, UnansweredError
from loadtests.scenario.system import TasksApi
from loadtests.store.tasks import State, TargetClock, TaskIndex

AT_ONCE = 8
"""Users whose pages are asked for at the same time."""
USERS_IN_A_BATCH = 200


class Seen(NamedTuple):
    """A task of a page: its state, and when it was made, if the page tells."""

    state: State
    created: float | None


class ApiWay:
    """Asks by `tasks.api.page`. Tasks made since `start` that nobody accepted are extra; older ones are of other runs."""

    name = "api"

    def __init__(self, people: People, api: TasksApi, start: float) -> None:
        self._people, self._api, self._start = people, api, start
        self._clock = TargetClock()
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="follow")
        self.tells_begin = api.started is not None

    def clock(self, index: TaskIndex) -> TargetClock:
        """The Date header of an answer; without one the target's clock is taken to be right."""
        user, _ = next(index.open_by_user())
        with _away():
            self._clock = self._people.get(user, self._api.page.format(page=1)).clock or TargetClock()
        return self._clock

    def ask(self, index: TaskIndex, check: Callable[[], None]) -> Iterator[Sequence[State]]:
        """Each user's pages, until all their tasks without an end have been seen."""
        users = index.open_by_user()
        while batch := list(islice(users, USERS_IN_A_BATCH)):
            asked = [self._threads.submit(self._pages, user, ids) for user, ids in batch]
            try:
                for pages in asked:
                    with _away():
                        states = pages.result()
                    yield states
            finally:
                _cancel(asked)
            check()

    def others(self, index: TaskIndex) -> Others:
        """Those that were seen in the pages."""
        return Others(None, None if self._api.created is None else index.extra)

    def close(self) -> None:
        """End the threads and close the connections."""
        self._threads.shutdown(cancel_futures=True)
        self._people.close()

    def _pages(self, user: int, ids: set[str]) -> list[State]:
        found: list[State] = []
        missing, page = set(ids), 1
        while missing:
            path = self._api.page.format(page=page)
            items = list(read_page(self._people.get(user, path).data, self._api, path))
            if not items:
                break
            found += [seen.state for seen in items if seen.state.task_id in ids or self._is_of_this_load(seen)]
            missing.difference_update(seen.state.task_id for seen in items)
            page += 1
        return found

    def _is_of_this_load(self, seen: Seen) -> bool:
        """Surely made since the start, whatever the clocks say."""
        return seen.created is not None and seen.created - self._clock.offset_s - self._clock.doubt_s >= self._start


@contextmanager
def _away() -> Iterator[None]:
    try:
        yield
    except UnansweredError as error:
        raise AwayError(str(error)) from error


def read_page(data: Any, api: TasksApi, path: str) -> Iterator[Seen]:
    """The tasks of a page. Raises UnansweredError for one that is not as the scenario says."""
    items = data.get(api.items) if isinstance(data, dict) else None
    if not isinstance(items, list):
        raise UnansweredError(f"GET {path}: the answer has no list {api.items!r}")
    yield from (read_item(item, api, path) for item in items)


def read_item(item: Any, api: TasksApi, path: str) -> Seen:
    """One task. Raises UnansweredError likewise."""
    try:
        state = State(str(item[api.id]), str(item[api.status]), _moment(item, api.started), _moment(item, api.ended))
        return Seen(state, _moment(item, api.created))
    except (KeyError, TypeError, ValueError) as error:
        raise UnansweredError(f"GET {path}: a task is not as [tasks.api] says: {type(error).__name__}: {error}") from error


def _moment(item: Mapping[str, Any], key: str | None) -> float | None:
    """Seconds of the Unix epoch, from such a number or from ISO 8601; a moment without a zone is UTC."""
    value = None if key is None else item.get(key)
    if value is None or isinstance(value, int | float):
        return value
    moment = datetime.fromisoformat(value)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _cancel(asked: Sequence["Future[list[State]]"]) -> None:
    for one in asked:
        one.cancel()
