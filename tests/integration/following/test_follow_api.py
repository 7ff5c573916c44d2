"""Accepted tasks followed through the API, against a real server that knows and forgets as told."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from loadtests.measure.snapshot import Accepted
from loadtests.scenario.schema import Auth
from loadtests.store.accepted import AcceptedWriter
from loadtests.store.folder import RunFolder
from loadtests.store.records import read_lines
from tests.integration.following.through_api import accept, follow, outcomes, records
from tests.task_target import GUEST, MINT, Reply, TaskTarget


@pytest.mark.parametrize("auth", [MINT, GUEST], ids=["minted tokens", "guests"])
def test_every_user_finds_their_own_tasks(folder: RunFolder, target: TaskTarget, auth: Auth) -> None:
    """Over several pages each; every accepted task gets the outcome that its owner is shown."""
    ids = {f"task-{number}": number % 9 for number in range(60)}
    for number, (task, user) in enumerate(ids.items()):
        target.add(user, task, "failed" if number % 10 == 0 else "completed")
    accept(folder, **ids)
    event = follow(folder, target, auth)
    expected = {task: "failed" if number % 10 == 0 else "completed" for number, task in enumerate(ids)}
    assert outcomes(folder) == expected
    assert (event["by"], event["accepted"], event["known"], event["extra"], event["trouble"]) == ("api", 60, 60, 0, None)
    assert target.logins == (9 if auth is GUEST else 0)


def test_task_is_asked_for_until_it_ends(folder: RunFolder, target: TaskTarget) -> None:
    """Meanwhile only who still waits is asked, and no further than to the last of their tasks."""
    target.add(1, "done")
    target.add(2, "old")
    for task in ("waits", "a", "b"):
        target.add(2, task, "processing" if task == "waits" else "completed")
    accept(folder, done=1, waits=2)

    def pause(_: float) -> None:
        target.asked.clear()
        target.tasks[2][2]["status"] = "completed"

    event = follow(folder, target, pause=pause, deadline="20s")
    assert outcomes(folder) == {"done": "completed", "waits": "completed"}
    assert target.asked == [(2, "/tasks?page=1"), (2, "/tasks?page=2")]
    assert event["trouble"] is None


def test_task_that_the_target_does_not_know_is_lost(folder: RunFolder, target: TaskTarget) -> None:
    """At the deadline, after every page was seen; what has no end by then is unfinished."""
    target.add(1, "mine")
    target.add(1, "stuck", "processing")
    target.add(2, "lost")  # another user's task of this name is not the one that was accepted
    accept(folder, mine=1, stuck=1, lost=1)
    event = follow(folder, target)
    assert outcomes(folder) == {"mine": "completed", "stuck": "unfinished", "lost": "lost"}
    assert (event["accepted"], event["known"], event["trouble"]) == (3, 2, None)


def test_foreign_tasks_of_this_load_are_extra(folder: RunFolder, target: TaskTarget) -> None:
    """Those that were made since its start and never accepted; older ones are of other runs."""
    now = time.time()
    target.add(1, "before", made=now - 60)
    target.add(1, "foreign", made=now - 5)
    target.add(1, "mine", made=now - 4)
    target.add(1, "lost-to-us", made=now - 3)
    accept(folder, mine=1, gone=1)
    event = follow(folder, target)
    names = [event for event in read_lines(folder.file("events.jsonl")) if event["event"] == "unaccounted_tasks"]
    assert (event["extra"], names[0]["foreign"]) == (2, ["foreign", "lost-to-us"])
    assert outcomes(folder) == {"mine": "completed", "gone": "lost"}


def test_foreign_tasks_cannot_be_told_by_pages_without_the_making(folder: RunFolder, target: TaskTarget) -> None:
    """When no task says when it was made, nobody knows: that is said, and is not zero."""
    target.add(1, "foreign", created_at=None)
    target.add(1, "mine", created_at=None)
    accept(folder, mine=1)
    event = follow(folder, target)
    assert event["extra"] is None
    assert event["rows_trouble"] == "no task says when it was made (tasks.api.created is 'created_at')"


def test_scenario_may_say_that_the_making_is_not_told(folder: RunFolder, target: TaskTarget) -> None:
    """An empty key: foreign tasks are nobody's concern, and that is no trouble."""
    target.add(1, "mine")
    accept(folder, mine=1)
    event = follow(folder, target, created="", started="")
    assert (event["extra"], event["rows_trouble"], event["tells_begin"]) == (None, None, False)
    assert records(folder)["mine"]["started"] is None


@pytest.mark.parametrize("ahead_s", [3600.0, -3600.0], ids=["an hour ahead", "an hour behind"])
@pytest.mark.parametrize("auth", [MINT, GUEST], ids=["minted tokens", "guests"])
def test_targets_clock_may_be_off(folder: RunFolder, target: TaskTarget, ahead_s: float, auth: Auth) -> None:
    """Its moments are brought to this machine's clock, and what was made before the load is still of others."""
    target.clock_off_s, target.token_life_s = ahead_s, 7200
    now = time.time()
    target.add(1, "older", made=target.now() - 60)
    target.add(1, "foreign", made=target.now() - 5)
    target.add(1, "mine", made=target.now() - 5)
    accept(folder, mine=1)
    event = follow(folder, target, Auth.model_validate({**auth.model_dump(), "ttl": "2h"}))
    assert abs(event["clock_offset_s"] - ahead_s) < 30
    record = records(folder)["mine"]
    assert record["started"] == pytest.approx(now - 4, abs=30)
    assert record["ended"] - record["started"] == pytest.approx(1, abs=1e-3)
    assert event["extra"] == 1
    assert target.logins <= 1


def test_target_without_a_date_is_taken_to_be_right(folder: RunFolder, target: TaskTarget) -> None:
    """Its moments stay as they are."""
    target.clock_off_s = None
    target.add(1, "mine", made=time.time() - 5)
    accept(folder, mine=1)
    event = follow(folder, target)
    assert (event["clock_offset_s"], event["trouble"]) == (0, None)
    assert records(folder)["mine"]["ended"] == target.tasks[1][0]["completed_at"]


@pytest.fixture
def _far_east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose clock shows another zone's time."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("_far_east")
def test_moments_may_be_written_in_several_ways(folder: RunFolder, target: TaskTarget) -> None:
    """ISO 8601 with a zone, in UTC without one; whole seconds; none at all."""
    moment = datetime(2026, 5, 1, 12, 0, 0, 250_000, tzinfo=UTC)
    ways: dict[str, Any] = {
        "zulu": "2026-05-01T12:00:00.250Z",
        "zone": "2026-05-01T14:00:00.250+02:00",
        "naive": "2026-05-01T12:00:00.250",
        "number": moment.timestamp(),
        "none": None,
    }
    for task, ended in ways.items():
        target.add(1, task, completed_at=ended)
    target.clock_off_s = None
    accept(folder, **dict.fromkeys(ways, 1))
    follow(folder, target)
    ended = {task: record["ended"] for task, record in records(folder).items()}
    assert ended == {**dict.fromkeys(ways, moment.timestamp()), "none": None}


def test_id_that_was_given_out_twice_is_one_task(folder: RunFolder, target: TaskTarget) -> None:
    """It is the first user's, is counted once, and named."""
    target.add(1, "twice")
    writer = AcceptedWriter(folder, "0")
    writer.append([Accepted("twice", 1, 0.0, 0.0), Accepted("twice", 2, 1.0, 1.0), Accepted("twice", 1, 2.0, 2.0)])
    writer.close()
    event = follow(folder, target)
    assert (event["accepted"], event["duplicated"], event["known"]) == (1, 2, 1)
    assert (records(folder)["twice"]["user"], outcomes(folder)) == (1, {"twice": "completed"})


def test_task_that_moves_to_another_page_is_seen(folder: RunFolder, target: TaskTarget) -> None:
    """A task that is made between two pages pushes the others on: they are shown again, and counted once."""
    for task in ("a", "b", "c"):
        target.add(1, task)

    def page(user: int, page: int) -> Reply:
        if page == 2 and len(target.tasks[1]) == 3:
            target.add(1, "new", made=time.time() - 1000)
        return target.paged(user, page)

    target.page = page
    accept(folder, a=1, b=1, c=1)
    event = follow(folder, target)
    assert (event["known"], event["extra"], event["trouble"]) == (3, 0, None)


def test_nothing_accepted_nothing_asked(folder: RunFolder, target: TaskTarget) -> None:
    """A load that made no tasks asks the target nothing."""
    event = follow(folder, target)
    assert (event["accepted"], event["trouble"], target.asked) == (0, None, [])
    assert folder.file("tasks.jsonl").read_text() == ""
