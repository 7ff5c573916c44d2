"""The probe of accepted tasks while the load runs, against a real server that knows them or does not."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from loadtests.measure.snapshot import Accepted
from loadtests.orchestrate.people import People
from loadtests.orchestrate.sampling import AT_ONCE, ROUND_S, TaskSampler
from loadtests.probes.sample import Gap, Sample
from loadtests.scenario.schema import Auth
from loadtests.scenario.system import TasksApi
from loadtests.store.accepted import AcceptedWriter
from loadtests.store.folder import RunFolder, create_folder, start_of
from loadtests.store.records import append_lines
from tests.task_target import GUEST, MINT, SECRET, Reply, TaskTarget, always

API = TasksApi(page="/tasks?page={page}", item="/tasks/{id}")
MOST = 4
STARTED_AGO_S = 100.0


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A run whose load has begun."""
    folder = create_folder(tmp_path, "x")
    folder.event("start", 0.0, epoch=time.time() - STARTED_AGO_S)
    return folder


@pytest.fixture
def sampler(folder: RunFolder, target: TaskTarget) -> Iterator[TaskSampler]:
    """Asks for four tasks in a round."""
    with closing(make_sampler(folder, target)) as sampler:
        yield sampler


def make_sampler(folder: RunFolder, target: TaskTarget, most: int = MOST, auth: Auth = MINT) -> TaskSampler:
    """The probe, as a run makes it."""
    people = People(target.url, auth, SECRET, AT_ONCE, ROUND_S, again=False)
    return TaskSampler(folder, people, API, {"completed", "failed"}, most)


def accept(folder: RunFolder, *ids: str, writer: str = "0", user: int = 1, at_s: float = 50.0) -> None:
    """A user's tasks: due so long after the start, and accepted a second later."""
    file = AcceptedWriter(folder, writer)
    file.append([Accepted(task, user, at_s, at_s + 1) for task in ids])
    file.close()


def read(sampler: TaskSampler) -> tuple[dict[str, float], list[Gap]]:
    """One round: values by metric, and what was not answered."""
    facts = list(sampler.read())
    samples = {fact.metric: fact.value for fact in facts if isinstance(fact, Sample)}
    return samples, [fact for fact in facts if isinstance(fact, Gap)]


def unfinished(sampler: TaskSampler) -> float:
    """How many tasks had no end in one more round."""
    return read(sampler)[0]["tasks_sampled_unfinished"]


def test_largest_processing_time_of_those_that_ended(folder: RunFolder, target: TaskTarget, sampler: TaskSampler) -> None:
    """From the moment the request was due to the end that the target tells, whatever the clock of who asks says."""
    start = start_of(folder)
    assert start is not None
    for task, took_s in (("quick", 2.0), ("slow", 7.0), ("bad", 3.0)):
        target.add(1, task, "failed" if task == "bad" else "completed", completed_at=start + 50 + took_s)
    accept(folder, "quick", "slow", "bad")
    samples, gaps = read(sampler)
    assert samples["tasks_sampled_processing"] == pytest.approx(7.0, abs=0.5)
    assert (samples["tasks_sampled_unfinished"], samples["tasks_sampled_oldest"], gaps) == (0, 0, [])
    assert [user for user, _ in target.asked] == [1, 1, 1]
    assert read(sampler)[0]["tasks_sampled_processing"] == 0  # each was told of once
    assert len(target.asked) == 3


def test_tasks_without_an_end_are_asked_for_again(folder: RunFolder, target: TaskTarget, sampler: TaskSampler) -> None:
    """They have taken until now, so that a target that ends nothing is seen; the oldest is as old as its acceptance."""
    target.add(1, "old", "processing")
    target.add(1, "new", "queued")
    accept(folder, "old", at_s=20.0)
    accept(folder, "new", at_s=60.0)
    samples, _ = read(sampler)
    assert samples["tasks_sampled_unfinished"] == 2
    assert samples["tasks_sampled_oldest"] == pytest.approx(STARTED_AGO_S - 21, abs=10)
    assert samples["tasks_sampled_processing"] == pytest.approx(STARTED_AGO_S - 20, abs=10)
    target.tasks[1][1].update(status="completed", completed_at=time.time() - STARTED_AGO_S + 25)
    samples, _ = read(sampler)
    assert samples["tasks_sampled_unfinished"] == 1
    assert samples["tasks_sampled_oldest"] == pytest.approx(STARTED_AGO_S - 61, abs=10)
    assert samples["tasks_sampled_processing"] == pytest.approx(STARTED_AGO_S - 60, abs=10)


@pytest.mark.parametrize("ahead_s", [3600.0, -3600.0], ids=["an hour ahead", "an hour behind"])
def test_targets_clock_may_be_off(folder: RunFolder, target: TaskTarget, ahead_s: float) -> None:
    """The end is brought to this machine's clock by the answer's own date, and a guest logs in once all the same."""
    target.clock_off_s = ahead_s
    for task in ("a", "b"):
        target.add(1, task, completed_at=target.now() - STARTED_AGO_S + 55)
    with closing(make_sampler(folder, target, auth=GUEST)) as sampler:
        for task in ("a", "b"):
            accept(folder, task)
            assert read(sampler)[0]["tasks_sampled_processing"] == pytest.approx(5.0, abs=3)
    assert target.logins == 1


def test_end_that_the_target_does_not_tell_is_now(folder: RunFolder, target: TaskTarget, sampler: TaskSampler) -> None:
    """A status says that it has ended; the moment at which that was seen is the best that there is."""
    target.add(1, "a", completed_at=None)
    accept(folder, "a")
    samples, _ = read(sampler)
    assert samples["tasks_sampled_processing"] == pytest.approx(STARTED_AGO_S - 50, abs=10)


def test_unknown_task_is_kept(folder: RunFolder, target: TaskTarget, sampler: TaskSampler) -> None:
    """404 may mean "not yet": it is no trouble, and the task is asked for again."""
    accept(folder, "late")
    samples, gaps = read(sampler)
    assert (samples["tasks_sampled_unfinished"], gaps) == (1, [])
    assert samples["tasks_sampled_oldest"] == pytest.approx(STARTED_AGO_S - 51, abs=10)
    target.add(1, "late", completed_at=time.time() - STARTED_AGO_S + 53)
    samples, gaps = read(sampler)
    assert (samples["tasks_sampled_unfinished"], gaps) == (0, [])
    assert samples["tasks_sampled_processing"] == pytest.approx(3, abs=2)


@pytest.mark.parametrize(
    ("status", "said", "words"),
    [
        (500, {}, "GET /tasks/a: status 500"),
        (200, b"<html>", "GET /tasks/a: no JSON"),
        (200, ["a"], "GET /tasks/a: a task is not as [tasks.api] says"),
        (404, b"nothing here", None),
    ],
    ids=["500", "no JSON", "a list", "404 without JSON"],
)
def test_api_that_fails_is_a_gap(
    folder: RunFolder, target: TaskTarget, sampler: TaskSampler, status: int, said: Any, words: str | None
) -> None:
    """With how many and why; what could not be asked for is kept, and is told of when the API is back."""
    target.add(1, "a")
    accept(folder, "a")
    target.item = always(status, said)
    samples, gaps = read(sampler)
    assert samples.get("tasks_sampled_unfinished") == (1 if words is None else None)
    assert ("tasks_sampled_processing" in samples) == (words is None)
    assert [gap.what for gap in gaps] == (["sampled tasks"] if words else [])
    if words:
        assert gaps[0].reason.startswith(f"1 of 1 requests: {words}")
    target.item = None
    samples, gaps = read(sampler)
    assert (samples["tasks_sampled_unfinished"], gaps) == (0, [])
    assert len(target.asked) == 2


def test_target_that_is_away_is_a_gap(folder: RunFolder) -> None:
    """A refused connection says so, and nothing is known of the tasks."""
    accept(folder, "a", "b")
    with closing(make_sampler(folder, TaskTarget("http://127.0.0.1:9"))) as sampler:
        samples, (gap,) = read(sampler)
    assert samples == {}
    assert gap.reason.startswith("2 of 2 requests: GET /tasks/")
    assert "refused" in gap.reason


def test_so_many_are_asked_for_in_a_round(folder: RunFolder, target: TaskTarget, sampler: TaskSampler) -> None:
    """And no more, whatever the load; those that had no end take the room of others, and only they have none."""
    for number in range(100):
        target.add(1, f"t{number}", "completed" if number < 50 else "processing")
    for first in range(0, 100, 10):
        accept(folder, *(f"t{number}" for number in range(first, first + 10)))
        target.asked.clear()
        assert unfinished(sampler) == (0 if first < 50 else MOST)
        assert len(target.asked) == MOST
    stuck = sorted(target.asked)
    for task in target.tasks[1]:
        task["status"] = "completed"
    target.asked.clear()
    assert unfinished(sampler) == 0
    assert sorted(target.asked) == stuck


def test_round_has_its_time(folder: RunFolder, target: TaskTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a silent target does not say by then is a gap; what it says is told; and the end waits for nobody."""
    monkeypatch.setattr("loadtests.orchestrate.sampling.ROUND_S", 0.5)
    thawed = Event()
    target.add(1, "a")

    def item(user: int, task: str) -> Reply:
        if task != "a":
            thawed.wait(60)
        return target.one(user, task)

    target.item = item
    accept(folder, "a", *(f"hangs-{number}" for number in range(3 * AT_ONCE)))
    people = People(target.url, MINT, SECRET, AT_ONCE, timeout_s=50)
    before = time.monotonic()
    with closing(TaskSampler(folder, people, API, {"completed"}, 3 * AT_ONCE + 1)) as sampler:
        samples, (gap,) = read(sampler)
        assert gap.reason in {f"{count} of {3 * AT_ONCE + 1} requests: no answer within 0.5 s" for count in (24, 25)}
        assert samples.get("tasks_sampled_unfinished", 0) == 0
        _, (again,) = read(sampler)
        assert "no answer within 0.5 s" in again.reason
    assert time.monotonic() - before < 20
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == "sample")
    thawed.set()


def test_every_writers_tasks_are_sampled(folder: RunFolder, target: TaskTarget) -> None:
    """Also those of a file that comes later, each task once, in the name of who asked for it."""
    for user in range(30):
        target.add(user, f"task-{user}")
        accept(folder, f"task-{user}", writer=str(user % 20), user=user)
    with closing(make_sampler(folder, target, most=100)) as sampler:
        assert unfinished(sampler) == 0
        accept(folder, "late", writer="master", user=31)
        target.add(31, "late")
        assert unfinished(sampler) == 0
    assert sorted(target.asked) == [*sorted((user, f"/tasks/task-{user}") for user in range(30)), (31, "/tasks/late")]


def test_half_a_line_is_waited_for(folder: RunFolder, target: TaskTarget, sampler: TaskSampler) -> None:
    """A line that a worker has not yet written to its end is read in the next round."""
    target.add(1, "a")
    accept(folder, "a")
    path = folder.accepted / "0.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:10])
    assert (unfinished(sampler), target.asked) == (0, [])
    path.write_bytes(whole)
    assert (unfinished(sampler), target.asked) == (0, [(1, "/tasks/a")])


def test_ids_may_be_anything(folder: RunFolder, target: TaskTarget, sampler: TaskSampler) -> None:
    """Numbers, and text that is no part of a path."""
    for task in ("17", "a/b?c d", "ü"):
        target.add(1, task)
    accept(folder, "a/b?c d", "ü")
    line = {"id": 17, "user": 1, "due_s": 50.0, "accepted_s": 51.0, "request": ""}
    append_lines(folder.accepted / "0.jsonl", [line])
    assert read(sampler)[0]["tasks_sampled_unfinished"] == 0
    assert len(target.asked) == 3


def test_nothing_is_asked_before_the_start(tmp_path: Path, target: TaskTarget) -> None:
    """Without a start there is no time to count from; from then on there is."""
    folder = create_folder(tmp_path, "y")
    target.add(1, "a")
    accept(folder, "a")
    with closing(make_sampler(folder, target)) as sampler:
        assert list(sampler.read()) == []
        assert target.asked == []
        folder.event("start", 0.0, epoch=time.time() - STARTED_AGO_S)
        assert read(sampler)[0]["tasks_sampled_unfinished"] == 0
    assert len(target.asked) == 1


def test_load_without_tasks(sampler: TaskSampler) -> None:
    """Nothing waits, and nothing is old."""
    names = ("tasks_sampled_processing", "tasks_sampled_oldest", "tasks_sampled_unfinished")
    assert read(sampler) == (dict.fromkeys(names, 0.0), [])


def test_guests_whose_tokens_were_refused_log_in_again(folder: RunFolder, target: TaskTarget) -> None:
    """A refused token is a gap of one round, not of the rest of the load."""
    target.add(1, "a", "processing")
    accept(folder, "a")
    people = People(target.url, GUEST, SECRET, AT_ONCE)
    with closing(TaskSampler(folder, people, API, {"completed"}, MOST)) as sampler:
        assert read(sampler)[1] == []
        target.revoked |= {token.access for token in people._tokens.values()}
        _, (gap,) = read(sampler)
        assert gap.reason == "1 of 1 requests: GET /tasks/a: status 401"
        assert read(sampler)[1] == []
    assert target.logins == 2
