"""Targets that are away, hang or talk nonsense while accepted tasks are followed through their API."""

import threading
import time
from collections.abc import Collection, Sequence
from contextlib import closing
from itertools import count
from threading import Event

import pytest

from loadtests.orchestrate.follow import follow_tasks
from loadtests.orchestrate.follow_api import AT_ONCE, ApiWay
from loadtests.orchestrate.people import People, UnansweredError
from loadtests.scenario.schema import Auth
from loadtests.scenario.system import Tasks
from loadtests.store.folder import RunFolder
from loadtests.store.records import read_lines
from loadtests.store.tasks import State, TaskIndex
from tests.integration.following.through_api import PAGE, accept, follow, outcomes
from tests.probing import eventually
from tests.raw_server import answer, close, raw_server, read
from tests.task_target import GUEST, MINT, SECRET, Reply, TaskTarget, always


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ((500, {}), "GET /tasks?page=1: status 500"),
        ((503, b""), "GET /tasks?page=1: status 503"),
        ((200, b"<html>"), "GET /tasks?page=1: no JSON"),
        ((200, b"\xff"), "GET /tasks?page=1: no JSON"),
        ((200, ["a"]), "GET /tasks?page=1: the answer has no list 'tasks'"),
        ((200, {"items": []}), "GET /tasks?page=1: the answer has no list 'tasks'"),
        ((200, {"tasks": {"id": "a"}}), "GET /tasks?page=1: the answer has no list 'tasks'"),
        ((200, {"tasks": ["a"]}), "GET /tasks?page=1: a task is not as [tasks.api] says: TypeError"),
        ((200, {"tasks": [{"id": "a"}]}), "GET /tasks?page=1: a task is not as [tasks.api] says: KeyError: 'status'"),
        ((200, {"tasks": [{"id": "a", "status": "s", "completed_at": "noon"}]}), "GET /tasks?page=1: a task is not as"),
        ((200, {"tasks": [{"id": "a", "status": "s", "completed_at": {}}]}), "GET /tasks?page=1: a task is not as"),
        ((200, b'{"tasks": [{"id": "a", "status": "completed", "completed_at": NaN}]}'), "GET /tasks?page=1: a task is not"),
        ((200, b'{"tasks": [{"id": "a", "status": "completed", "completed_at": 1e999}]}'), "GET /tasks?page=1: a task is"),
        ((200, b'{"tasks": [{"id": "\\ud800", "status": "s"}]}'), "GET /tasks?page=1: a task is not as"),
    ],
    ids=[
        "500",
        "503",
        "no JSON",
        "no text",
        "a bare list",
        "another key",
        "no list",
        "bare ids",
        "no status",
        "no moment",
        "an object",
        "NaN",
        "infinite",
        "no character",
    ],
)
def test_page_that_is_none_is_trouble_in_one_line(folder: RunFolder, target: TaskTarget, reply: Reply, words: str) -> None:
    """What it should have told is unknown at the end, and nothing is taken for lost."""
    target.page = always(*reply)
    accept(folder, a=1, b=2)
    event = follow(folder, target)
    assert event["trouble"].startswith(words)
    assert "\n" not in event["trouble"]
    assert event["extra"] is None
    assert set(outcomes(folder).values()) == {"unfinished"}


@pytest.mark.parametrize("status", [301, 307, 429, 503])
def test_target_that_sends_elsewhere_or_away_is_asked_no_more(folder: RunFolder, target: TaskTarget, status: int) -> None:
    """Neither redirections are followed nor waits granted: the status is the trouble."""
    target.headers = {"Retry-After": "1000", "Location": "/tasks?page=7"}
    target.page = always(status, {})
    accept(folder, a=1)
    event = follow(folder, target, deadline="10ms")
    assert event["trouble"] == f"GET /tasks?page=1: status {status}"
    assert {path for _, path in target.asked} == {"/tasks?page=1"}


def test_target_that_is_away_at_the_end_is_trouble(folder: RunFolder, target: TaskTarget) -> None:
    """What was known before stays known; the rest is unknown, never lost."""
    target.add(1, "done")
    target.add(1, "waits", "processing")
    accept(folder, done=1, waits=1, late=1)
    rounds: list[float] = []

    def pause(seconds: float) -> None:
        rounds.append(seconds)
        target.page = always(502, {})

    event = follow(folder, target, pause=pause, hurry=lambda: len(rounds) == 2, deadline="1h")
    assert event["trouble"] == "GET /tasks?page=1: status 502"
    assert outcomes(folder) == {"done": "completed", "waits": "unfinished", "late": "unfinished"}
    assert (event["known"], event["extra"]) == (2, None)


def test_target_that_hangs_is_trouble(folder: RunFolder, target: TaskTarget) -> None:
    """It is not waited for without end, and who was silent is not asked the same once more."""
    thawed = Event()

    def page(user: int, page: int) -> Reply:
        thawed.wait(30)
        return target.paged(user, page)

    target.page = page
    accept(folder, mine=1)
    rounds: list[float] = []
    event = follow(folder, target, pause=rounds.append, hurry=lambda: bool(rounds), deadline="1h", timeout_s=0.2)
    thawed.set()
    assert "timed out" in event["trouble"]
    assert len(target.asked) == 1
    assert outcomes(folder) == {"mine": "unfinished"}


@pytest.mark.parametrize("by", ["hurry", "deadline"])
@pytest.mark.parametrize("first", [1, 2], ids=["the clock", "the pages"])
def test_requests_under_way_hold_nobody_up(
    folder: RunFolder, target: TaskTarget, by: str, first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When time is up, or patience, the following ends; so does its command, and nothing is sent any more."""
    monkeypatch.setattr("loadtests.orchestrate.follow.GRACE_S", 0.3)
    thawed = Event()

    def page(user: int, page: int) -> Reply:
        if len(target.asked) >= first:
            thawed.wait(60)
        return target.paged(user, page)

    target.page = page
    accept(folder, **{f"task-{user}": user for user in range(40)})
    hurry = (lambda: len(target.asked) >= first) if by == "hurry" else lambda: False
    before = time.monotonic()
    event = follow(folder, target, hurry=hurry, deadline="1h" if by == "hurry" else "100ms", timeout_s=50)
    assert time.monotonic() - before < 20
    assert event["trouble"].startswith("interrupted" if by == "hurry" else "0.3 s after the deadline")
    assert set(outcomes(folder).values()) == {"unfinished"}
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == "follow")
    thawed.set()
    eventually(lambda: all(thread.name != "follow" for thread in threading.enumerate()), "its threads end")
    assert len(target.asked) <= 1 + AT_ONCE  # the look at the clock, and what was under way


def test_connection_that_was_closed_meanwhile_is_replaced() -> None:
    """A server closes connections that nobody used for a while: a GET is sent again, once, if that was asked for."""
    with raw_server([read, close], [read, answer(b"{}"), close], [read, close]) as server:
        with closing(People(server.url, Auth(mode="none"), "", 1, again=True)) as people:
            assert people.get(1, "/").data == {}
        people = People(server.url, Auth(mode="none"), "", 1, again=False)
        with closing(people), pytest.raises(UnansweredError, match="closed connection"):
            people.get(1, "/")
        assert [number for number, _ in server.requests] == [0, 1, 2]


def test_nobody_listens(folder: RunFolder, target: TaskTarget) -> None:
    """A refused connection is trouble, in one line."""
    target.url = "http://127.0.0.1:9"
    accept(folder, a=1)
    event = follow(folder, target)
    assert "refused" in event["trouble"]
    assert "\n" not in event["trouble"]
    assert outcomes(folder) == {"a": "unfinished"}


def test_target_that_was_away_for_a_while_is_no_trouble(folder: RunFolder, target: TaskTarget) -> None:
    """It is asked again until the deadline; the last round counts."""
    target.add(1, "mine")
    accept(folder, mine=1, lost=1)
    target.page = always(500, {})
    rounds: list[float] = []

    def pause(seconds: float) -> None:
        rounds.append(seconds)
        target.page = None

    event = follow(folder, target, pause=pause, hurry=lambda: len(rounds) == 2, deadline="1h")
    assert event["trouble"] is None
    assert outcomes(folder) == {"mine": "completed", "lost": "lost"}


@pytest.mark.parametrize("unlucky", [0, 3])
def test_one_users_trouble_is_not_the_others(folder: RunFolder, target: TaskTarget, unlucky: int) -> None:
    """A user whose pages fail is told of, and what the others are shown is known all the same."""
    for user in range(40):
        target.add(user, f"task-{user}")
    accept(folder, **{f"task-{user}": user for user in range(40)})
    target.page = lambda user, page: (500, {}) if user == unlucky else target.paged(user, page)
    rounds: list[float] = []
    event = follow(folder, target, pause=rounds.append, hurry=lambda: len(rounds) == 2, deadline="1h")
    assert event["trouble"] == "GET /tasks?page=1: status 500"
    assert outcomes(folder) == {f"task-{user}": "unfinished" if user == unlucky else "completed" for user in range(40)}


def test_everybodys_trouble_ends_the_round(folder: RunFolder, target: TaskTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    """A target without answers is not asked in the name of each of its users."""
    monkeypatch.setattr("loadtests.orchestrate.follow_api.USERS_IN_A_BATCH", 10)
    accept(folder, **{f"task-{user}": user for user in range(50)})
    rounds: list[float] = []

    def page(user: int, page: int) -> Reply:
        return (500, {}) if len(target.asked) > 1 else target.paged(user, page)  # the first look is at the clock

    target.page = page
    event = follow(folder, target, pause=rounds.append, hurry=lambda: len(rounds) == 1, deadline="1h")
    assert event["trouble"] == "GET /tasks?page=1: status 500"
    assert len(target.asked) <= 1 + 10


def test_page_that_comes_again_and_again_is_trouble(folder: RunFolder, target: TaskTarget) -> None:
    """A target that ignores the page's number shows no end: what it does not show may be behind it, and is not lost."""
    target.add(1, "hidden")
    target.add(1, "a")
    target.add(1, "b")
    target.page = lambda user, _: target.paged(user, 1)
    accept(folder, a=1, b=1, hidden=1)
    event = follow(folder, target)
    assert event["trouble"] == "GET /tasks?page=2: shows the tasks of the page before"
    assert outcomes(folder) == {"a": "completed", "b": "completed", "hidden": "unfinished"}


@pytest.mark.parametrize("by", ["hurry", "deadline"])
def test_pages_without_an_end_are_left(folder: RunFolder, target: TaskTarget, by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user whose pages never end is given up when time is up, or patience."""
    monkeypatch.setattr("loadtests.orchestrate.follow.GRACE_S", 0.3)
    numbers = count()
    target.page = lambda *_: (200, {"tasks": [{"id": f"x{next(numbers)}", "status": "completed"}]})
    accept(folder, mine=1)
    hurry = (lambda: len(target.asked) > 20) if by == "hurry" else lambda: False
    event = follow(folder, target, hurry=hurry, deadline="60s" if by == "hurry" else "100ms")
    assert event["trouble"].startswith("interrupted" if by == "hurry" else "0.3 s after the deadline")
    assert outcomes(folder) == {"mine": "unfinished"}


def test_hurry_ends_the_waiting(folder: RunFolder, target: TaskTarget) -> None:
    """What the last whole round told is the end, and that is no trouble."""
    target.add(1, "mine")
    target.add(1, "stuck", "processing")
    accept(folder, mine=1, stuck=1, lost=1)
    rounds: list[float] = []
    event = follow(folder, target, pause=rounds.append, hurry=lambda: len(rounds) == 3, deadline="1h")
    assert (len(rounds), event["trouble"]) == (3, None)
    assert outcomes(folder) == {"mine": "completed", "stuck": "unfinished", "lost": "lost"}


def test_hurry_after_everything_ended_is_no_trouble(
    folder: RunFolder, target: TaskTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the last page has told of the last task, nothing is left to be interrupted."""
    target.add(1, "mine")
    accept(folder, mine=1)
    noted: list[Sequence[State]] = []

    class Watched(TaskIndex):
        def note(self, states: Sequence[State], final: Collection[str]) -> None:
            super().note(states, final)
            noted.append(states)

    monkeypatch.setattr("loadtests.orchestrate.follow.TaskIndex", Watched)
    event = follow(folder, target, hurry=lambda: bool(noted))
    assert event["trouble"] is None
    assert outcomes(folder) == {"mine": "completed"}


def test_token_that_is_refused_is_replaced(folder: RunFolder, target: TaskTarget) -> None:
    """A target that forgot its tokens, as after a restart, is asked with a new one in the next round."""
    target.add(1, "waits", "processing")
    accept(folder, waits=1)
    people = People(target.url, GUEST, SECRET, AT_ONCE)
    target.token_life_s = 60

    def pause(_: float) -> None:
        target.revoked |= {token.access for token in people._tokens.values()}
        target.tasks[1][0]["status"] = "completed"

    tasks = Tasks.model_validate({"api": {"page": PAGE}, "deadline": "20s"})
    assert tasks.api is not None
    with closing(ApiWay(people, tasks.api, time.time())) as way:
        follow_tasks(folder, tasks, way, pause)
    assert outcomes(folder) == {"waits": "completed"}
    assert target.logins == 2


def test_wrong_key_is_trouble(folder: RunFolder, target: TaskTarget) -> None:
    """Tokens that the target does not take: it says 401, and that is told."""
    accept(folder, mine=1)
    tasks = Tasks.model_validate({"api": {"page": PAGE}, "deadline": "50ms"})
    assert tasks.api is not None
    with closing(ApiWay(People(target.url, MINT, "another key than the target's own", 2), tasks.api, time.time())) as way:
        follow_tasks(folder, tasks, way)
    (event,) = read_lines(folder.file("events.jsonl"))
    assert event["trouble"] == "GET /tasks?page=1: status 401"
