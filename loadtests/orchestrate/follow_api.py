"""Follows accepted tasks through the target's API: each user pages through their own, as a person would."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import count, islice
from typing import Any, NamedTuple

from loadtests.measure.clocks import ClockReading
from loadtests.orchestrate.askers import Askers, answered
from loadtests.orchestrate.follow import AwayError, Others, finite
from loadtests.orchestrate.people import People, UnansweredError
from loadtests.scenario.system import TasksApi
from loadtests.store.tasks import State, TaskIndex

AT_ONCE = 8
"""Users whose pages are asked for at the same time."""
USERS_IN_A_BATCH = 200
NO_CLOCK = ClockReading(0.0, 0.0)
"""Of a target that tells no time: it is taken to be right."""
MOST_TROUBLES = AT_ONCE
"""So many users without an answer end a round: then it is not their trouble alone."""


class Seen(NamedTuple):
    """A task of a page: its state, and when it was made, if the page tells."""

    state: State
    created: float | None


class Pages(NamedTuple):
    """What a user was shown of their tasks, and why no more, if it was not all."""

    states: list[State]
    troubles: list[str]


class ApiWay:
    """Asks by `tasks.api.page`. Tasks made since `start` that nobody accepted are extra; older ones are of other runs."""

    name = "api"

    def __init__(self, people: People, api: TasksApi, start: float) -> None:
        self._people, self._api, self._start = people, api, start
        self._clock = NO_CLOCK
        self._looks = 0
        self._tells_making = False
        """Whether some task said when it was made."""
        self._askers = Askers(AT_ONCE, "follow")
        self.tells_begin = bool(api.started)

    def clock(self, index: TaskIndex, check: Callable[[], None]) -> ClockReading:
        """The Date header of an answer; without one the target's clock is taken to be right."""
        users = [user for user, _ in islice(index.open_by_user(), AT_ONCE)]
        user = users[self._looks % len(users)]  # if one has no answer, the next look is another's
        self._looks += 1
        with _away():
            answer = answered(self._askers.ask(partial(self._people.get, user, self._api.page.format(page=1))), check)
        self._clock = answer.clock or NO_CLOCK
        return self._clock

    def ask(self, index: TaskIndex, check: Callable[[], None]) -> Iterator[Sequence[State]]:
        """Each user's pages, until all their tasks without an end have been seen. One user's trouble comes after the others."""
        users, troubles = index.open_by_user(), list[str]()
        while batch := list(islice(users, USERS_IN_A_BATCH)):
            asked = [self._askers.ask(partial(self._pages, user, ids, check)) for user, ids in batch if ids]
            try:
                for one in asked:
                    pages = answered(one, check)
                    yield pages.states
                    troubles += pages.troubles
                    _give_up(troubles, at_least=MOST_TROUBLES)
            finally:
                _cancel(asked)
        _give_up(troubles, at_least=1)

    def others(self, index: TaskIndex, check: Callable[[], None]) -> Others:
        """Those that were seen in the pages, where these say when a task was made."""
        if not self._api.created:
            return Others(None, None)
        if index.known and not self._tells_making:
            raise AwayError(f"no task says when it was made (tasks.api.created is {self._api.created!r})")
        return Others(None, index.extra)

    def close(self) -> None:
        """Ask nothing any more; nobody waits for what is under way."""
        self._people.close()
        self._askers.close()

    def _pages(self, user: int, ids: set[str], check: Callable[[], None]) -> Pages:
        found: list[State] = []
        missing, before = set(ids), set[str]()
        try:
            for page in count(1):
                check()
                items = self._page(user, page, before)
                found += [seen.state for seen in items if seen.state.task_id in ids or self._is_of_this_load(seen)]
                before = {seen.state.task_id for seen in items}
                missing -= before
                if not missing or not items:
                    break
        except UnansweredError as error:
            return Pages(found, [str(error)])
        return Pages(found, [])

    def _page(self, user: int, page: int, before: Collection[str]) -> list[Seen]:
        """A page of a user's tasks. Raises UnansweredError, also when it shows the tasks of the page `before` and no others."""
        path = self._api.page.format(page=page)
        items = list(read_page(self._people.get(user, path).data, self._api, path))
        if items and all(seen.state.task_id in before for seen in items):
            raise UnansweredError(f"GET {path}: shows the tasks of the page before")  # so nobody knows what is behind it
        self._tells_making = self._tells_making or any(seen.created is not None for seen in items)
        return items

    def _is_of_this_load(self, seen: Seen) -> bool:
        """Surely made since the start, whatever the clocks say."""
        return seen.created is not None and seen.created - self._clock.offset_s - self._clock.doubt_s >= self._start


@contextmanager
def _away() -> Iterator[None]:
    try:
        yield
    except UnansweredError as error:
        raise AwayError(str(error)) from error


def _give_up(troubles: Sequence[str], at_least: int) -> None:
    if len(troubles) >= at_least:
        raise AwayError(troubles[0])


def read_page(data: Any, api: TasksApi, path: str) -> Iterator[Seen]:
    """The tasks of a page. Raises UnansweredError for one that is not as the scenario says."""
    items = data.get(api.items) if isinstance(data, dict) else None
    if not isinstance(items, list):
        raise UnansweredError(f"GET {path}: the answer has no list {api.items!r}")
    yield from (read_item(item, api, path) for item in items)


def read_item(item: Any, api: TasksApi, path: str) -> Seen:
    """One task. Raises UnansweredError likewise."""
    try:
        state = State(_text(item[api.id]), _text(item[api.status]), _moment(item, api.started), _moment(item, api.ended))
        return Seen(state, _moment(item, api.created))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UnansweredError(f"GET {path}: a task is not as [tasks.api] says: {type(error).__name__}: {error}") from error


def _text(value: Any) -> str:
    text = str(value)
    text.encode()  # raises ValueError for half a character, which JSON allows and no file takes
    return text


def _moment(item: Mapping[str, Any], key: str) -> float | None:
    """Seconds of the Unix epoch, from such a number or from ISO 8601; a moment without a zone is UTC."""
    value = item.get(key) if key else None
    if value is None:
        return None
    if isinstance(value, int | float):
        return finite(value)
    moment = datetime.fromisoformat(value)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _cancel(asked: Sequence["Future[Pages]"]) -> None:
    for one in asked:
        one.cancel()
