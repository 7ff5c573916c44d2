"""Accepted tasks are followed through the API of a real server that tests bend."""

import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

from loadtests.measure.snapshot import Accepted
from loadtests.orchestrate.follow import follow_tasks
from loadtests.orchestrate.follow_api import AT_ONCE, ApiWay
from loadtests.orchestrate.people import People
from loadtests.scenario.schema import Auth
from loadtests.scenario.system import Tasks
from loadtests.store.accepted import AcceptedWriter
from loadtests.store.folder import RunFolder
from loadtests.store.records import read_lines
from tests.task_target import MINT, SECRET, TaskTarget

PAGE = "/tasks?page={page}"


def accept(folder: RunFolder, **ids: int) -> None:
    """These tasks were accepted, each from this user."""
    writer = AcceptedWriter(folder, "0")
    writer.append([Accepted(task, user, 0.0, 0.0) for task, user in ids.items()])
    writer.close()


def follow(
    folder: RunFolder,
    target: TaskTarget,
    auth: Auth = MINT,
    pause: Callable[[float], None] = lambda _: time.sleep(0.02),
    hurry: Callable[[], bool] = lambda: False,
    deadline: str = "100ms",
    started_ago_s: float = 30.0,
    timeout_s: float = 10.0,
    **api: str,
) -> dict[str, Any]:
    """The event that tells how it went; the load began so long ago."""
    tasks = Tasks.model_validate({"api": {"page": PAGE, **api}, "deadline": deadline})
    assert tasks.api is not None
    people = People(target.url, auth, SECRET, AT_ONCE, timeout_s)
    with closing(ApiWay(people, tasks.api, time.time() - started_ago_s)) as way:
        follow_tasks(folder, tasks, way, pause, hurry)
    return next(event for event in read_lines(folder.file("events.jsonl")) if event["event"] == "followed")


def records(folder: RunFolder) -> dict[str, dict[str, Any]]:
    """What was written of each task."""
    return {record["id"]: record for record in read_lines(folder.file("tasks.jsonl"))}


def outcomes(folder: RunFolder) -> dict[str, str]:
    """What became of each task."""
    return {task: record["outcome"] for task, record in records(folder).items()}
