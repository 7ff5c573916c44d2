"""Follows accepted tasks to their end, or to the deadline, and writes what became of each."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg

from loadtests.scenario.system import Tasks
from loadtests.store.accepted import read_accepted
from loadtests.store.folder import RunFolder
from loadtests.store.records import append_lines

PAUSE_S = 0.5
BATCH = 5000
STATEMENT_MS = 10_000


def follow_tasks(
    folder: RunFolder, tasks: Tasks, dsn: str, pause: Callable[[float], None], hurry: Callable[[], bool] = lambda: False
) -> None:
    """Ask until every accepted task has ended or the deadline is over; writes `tasks.jsonl`, a line a task, and an event.

    `pause(seconds)` waits; when `hurry()` becomes true, what is known by then is the end. A target that does not answer is an
    event; its tasks are then without an end.
    """
    pending = [record["id"] for record in read_accepted(folder)]
    accepted = len(pending)
    ended: dict[str, tuple[str, float | None]] = {}
    deadline = time.monotonic() + tasks.deadline
    trouble: str | None = None
    while True:
        try:
            states = dict(_states(dsn, tasks.query or "", pending))
            trouble = None
        except psycopg.Error as error:
            states, trouble = {}, str(error).splitlines()[0]
        final = set(tasks.completed) | set(tasks.failed)
        over = time.monotonic() >= deadline or hurry()
        ended.update({task: state for task, state in states.items() if over or state[0] in final})
        pending = [task for task in pending if task not in ended]
        if over or not pending:
            break
        pause(PAUSE_S)
    append_lines(
        folder.file("tasks.jsonl"),
        ({"id": task, "status": status, "ended": moment} for task, (status, moment) in ended.items()),
    )
    folder.event(
        "followed", None, accepted=accepted, known=len(ended), trouble=trouble, time_s=time.time(), rows=_rows(dsn, tasks)
    )


def _states(dsn: str, query: str, ids: list[str]) -> Iterator[tuple[str, tuple[str, float | None]]]:
    if not ids:
        return
    with _connect(dsn) as connection:
        for batch in _batches(ids):
            for task, status, moment in connection.execute(query.encode(), {"ids": batch}):
                yield task, (status, None if moment is None else float(moment))


def _connect(dsn: str) -> "psycopg.Connection[tuple[Any, ...]]":
    return psycopg.connect(dsn, autocommit=True, connect_timeout=5, options=f"-c statement_timeout={STATEMENT_MS}")


def _batches(ids: list[str]) -> Iterator[list[str]]:
    return (ids[start : start + BATCH] for start in range(0, len(ids), BATCH))


def _rows(dsn: str, tasks: Tasks) -> int | None:
    if tasks.rows is None:
        return None
    try:
        with _connect(dsn) as connection:
            row = connection.execute(tasks.rows.encode()).fetchone()
    except psycopg.Error:
        return None
    return None if row is None else int(row[0])
