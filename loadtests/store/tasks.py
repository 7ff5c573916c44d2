"""Accepted tasks while they are followed: an index on disk, so that a million of them need no more memory than one."""

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self

from loadtests.errors import RunError
from loadtests.store.records import disk_error

Outcome = Literal["completed", "failed", "unfinished", "lost"]

MOST_NAMES = 1000
"""Ids that are named of a kind; the counts tell the whole."""
BATCH = 5000
CACHE_KIB = 32 * 1024

_TABLES = """
CREATE TABLE tasks (
    n INTEGER PRIMARY KEY, id TEXT NOT NULL, user INTEGER NOT NULL, request TEXT NOT NULL, due REAL NOT NULL,
    accepted REAL NOT NULL, status TEXT, started REAL, ended REAL, open INTEGER NOT NULL DEFAULT 1);
CREATE TABLE again (id TEXT PRIMARY KEY, times INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE extra (id TEXT PRIMARY KEY) WITHOUT ROWID;
"""
# Made after the rows are in: five times as quick as keeping them up to date meanwhile.
_INDEXES = """
CREATE INDEX by_id ON tasks (id);
INSERT INTO again SELECT id, count(*) - 1 FROM tasks GROUP BY id HAVING count(*) > 1;
DELETE FROM tasks WHERE id IN (SELECT id FROM again) AND n > (SELECT min(n) FROM tasks AS first WHERE first.id = tasks.id);
CREATE INDEX open_tasks ON tasks (n) WHERE open;
"""


class State(NamedTuple):
    """What the target says of one task; moments in seconds of the Unix epoch, None where it tells none."""

    task_id: str
    status: str
    started: float | None = None
    ended: float | None = None


class TaskIndex:
    """The accepted tasks by id, in a temporary file beside `place`. Raises RunError when the disk refuses."""

    def __init__(self, place: Path) -> None:
        try:
            self._folder = TemporaryDirectory(prefix=".tasks-", dir=place)
        except OSError as error:
            raise disk_error(place, error) from error
        self._path = Path(self._folder.name, "index.sqlite")
        self._connection = sqlite3.connect(self._path)

    def __enter__(self) -> Self:
        try:
            self._set_up()
        except sqlite3.Error as error:
            self.__exit__(type(error), error, None)  # raises what it is worth
        return self

    def _set_up(self) -> None:
        # Nothing of it is to survive a crash, so nothing is to be journalled, synchronised or committed.
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE", f"cache_size = -{CACHE_KIB}"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.executescript(_TABLES)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._connection.close()
        self._folder.cleanup()
        if isinstance(error, sqlite3.Error):
            raise RunError(f"{self._path}: the index of accepted tasks cannot be kept: {error}") from error

    def fill(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Take in what was accepted, once and before anything else; an id that comes again keeps its first record."""
        rows = ((one["id"], one["user"], one["request"], one["due_s"], one["accepted_s"]) for one in records)
        columns = "INSERT INTO tasks (id, user, request, due, accepted) VALUES (?, ?, ?, ?, ?)"
        self._connection.executemany(columns, rows)
        self._connection.executescript(_INDEXES)

    @property
    def accepted(self) -> int:
        """Tasks, each counted once."""
        return self._number("SELECT count(*) FROM tasks")

    @property
    def known(self) -> int:
        """Tasks that the target knows."""
        return self._number("SELECT count(*) FROM tasks WHERE status IS NOT NULL")

    @property
    def open(self) -> int:
        """Tasks without an end."""
        return self._number("SELECT count(*) FROM tasks WHERE open")

    @property
    def duplicated(self) -> int:
        """Times that an id was accepted again."""
        return self._number("SELECT coalesce(sum(times), 0) FROM again")

    @property
    def extra(self) -> int:
        """Tasks of the target that nobody accepted."""
        return self._number("SELECT count(*) FROM extra")

    def names(self, kind: Literal["again", "extra"]) -> list[str]:
        """The first MOST_NAMES ids that were accepted again, or that nobody accepted."""
        return [row[0] for row in self._connection.execute(f"SELECT id FROM {kind} ORDER BY id LIMIT {MOST_NAMES}")]  # noqa: S608  # one of two words

    def open_ids(self, size: int = BATCH) -> Iterator[list[str]]:
        """Ids of the tasks without an end, so many at a time; what is noted meanwhile is seen."""
        last = 0
        query = "SELECT n, id FROM tasks WHERE open AND n > ? ORDER BY n LIMIT ?"
        while rows := self._connection.execute(query, (last, size)).fetchall():
            last = rows[-1][0]
            yield [row[1] for row in rows]

    def open_by_user(self) -> Iterator[tuple[int, set[str]]]:
        """Users with tasks that have no end, and these."""
        self._connection.execute("CREATE INDEX IF NOT EXISTS open_by_user ON tasks (user) WHERE open")
        for (user,) in self._connection.execute("SELECT DISTINCT user FROM tasks WHERE open ORDER BY user").fetchall():
            yield user, {row[0] for row in self._connection.execute("SELECT id FROM tasks WHERE open AND user = ?", (user,))}

    def note(self, states: Sequence[State], final: Collection[str]) -> None:
        """Take in what the target says; with a `final` status a task has ended. Tasks that nobody accepted are extra."""
        rows = [(one.status, one.started, one.ended, one.status not in final, one.task_id) for one in states]
        update = "UPDATE tasks SET status = ?, started = ?, ended = ?, open = ? WHERE id = ?"
        if self._connection.executemany(update, rows).rowcount != len(rows):
            self.note_extra(one.task_id for one in states)

    def note_extra(self, ids: Iterable[str]) -> None:
        """Take in ids that the target has: those that nobody accepted are extra."""
        unknown = "INSERT OR IGNORE INTO extra SELECT value FROM json_each(?) WHERE value NOT IN (SELECT id FROM tasks)"
        remaining = iter(ids)
        while batch := list(islice(remaining, BATCH)):
            self._connection.execute(unknown, (json.dumps(batch),))

    def records(self, completed: Collection[str], failed: Collection[str], unknown: Outcome) -> Iterator[dict[str, Any]]:
        """Lines of `tasks.jsonl`; `unknown` is the outcome of tasks of which the target said nothing."""
        outcomes: dict[str | None, Outcome] = {None: unknown, **dict.fromkeys(failed, "failed")}
        outcomes.update(dict.fromkeys(completed, "completed"))
        columns = "id, user, request, due, accepted, status, started, ended"
        for row in self._connection.execute(f"SELECT {columns} FROM tasks ORDER BY n"):  # noqa: S608  # our own words
            task, user, request, due_s, accepted_s, status, started, ended = row
            yield {
                "id": task,
                "user": user,
                "request": request,
                "due_s": due_s,
                "accepted_s": accepted_s,
                "status": status,
                "started": started,
                "ended": ended,
                "outcome": outcomes.get(status, "unfinished"),
            }

    def _number(self, query: str) -> int:
        return int(self._connection.execute(query).fetchone()[0])
