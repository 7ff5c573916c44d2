"""Follows accepted tasks in the target's own database."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import psycopg

from loadtests.measure.clocks import ClockReading
from loadtests.orchestrate.askers import Askers, answered
from loadtests.orchestrate.follow import AwayError, Others, finite
from loadtests.probes.within import within
from loadtests.scenario.system import Tasks
from loadtests.store.tasks import BATCH, State, TaskIndex

CONNECT_S = 5
STATEMENT_S = 10
SILENT_S = STATEMENT_S + 2
"""For a statement whose end the server does not tell either: it is frozen, or the way to it is cut."""
IDS_S = 60
"""For all ids that the target has, however many statements that takes."""
LOOKS_AT_THE_CLOCK = 5
COLUMNS = 3


class SqlWay:
    """Asks by `tasks.query`. `own`: the database is the run's alone, so that everything in it has to be accounted for."""

    name = "sql"

    def __init__(self, dsn: str, tasks: Tasks, own: bool) -> None:
        self._dsn, self._tasks, self._own = dsn, tasks, own
        self._connector = Askers(1, "connect")
        self.tells_begin = False

    def clock(self, index: TaskIndex, check: Callable[[], None]) -> ClockReading:
        """The best of a few looks: half of its round trip is the doubt."""
        with self._connected(check) as connection, within(connection, SILENT_S, check):
            best = _look(connection)
            for _ in range(LOOKS_AT_THE_CLOCK - 1):
                best = _look(connection).better(best)
        return best

    def ask(self, index: TaskIndex, check: Callable[[], None]) -> Iterator[Sequence[State]]:
        """A statement for each batch of ids."""
        query = (self._tasks.query or "").encode()
        with self._connected(check) as connection:
            for number, ids in enumerate(index.open_ids(BATCH)):
                if number:
                    check()
                with within(connection, SILENT_S, check):
                    cursor = connection.execute(query, {"ids": ids})
                columns = len(cursor.description or ())
                if columns not in (COLUMNS, COLUMNS + 1):
                    raise AwayError(f"tasks.query gives {columns} columns; it needs (id, status, end) and perhaps the begin")
                self.tells_begin = columns > COLUMNS
                yield [_state(row) for row in cursor]

    def others(self, index: TaskIndex, check: Callable[[], None]) -> Others:
        """Rows are counted; only when they are more than the accepted tasks are their ids asked for."""
        if self._tasks.rows is None:
            return Others(None, None)
        with self._connected(check) as connection:
            with within(connection, SILENT_S, check):
                found = connection.execute(self._tasks.rows.encode()).fetchall()
            rows = _number(found)
            if not self._own:
                return Others(rows, None)
            if rows > index.known and self._tasks.ids is not None:
                # A cursor that the server keeps lives in a transaction.
                with within(connection, IDS_S, check), connection.transaction(), connection.cursor(name="ids") as cursor:
                    cursor.itersize = BATCH
                    index.note_extra(str(row[0]) for row in cursor.execute(self._tasks.ids.encode()))
                return Others(rows, index.extra)
        return Others(rows, max(0, rows - index.known))

    def close(self) -> None:
        """No connection is held between rounds."""
        self._connector.close()

    @contextmanager
    def _connected(self, check: Callable[[], None]) -> Iterator["psycopg.Connection[tuple[Any, ...]]"]:
        check()
        options = f"-c statement_timeout={STATEMENT_S * 1000}"
        connect = partial(psycopg.connect, self._dsn, autocommit=True, connect_timeout=CONNECT_S, options=options)
        try:
            with answered(self._connector.ask(connect), check) as connection:
                yield connection
        except psycopg.Error as error:
            raise AwayError((str(error).splitlines() or [type(error).__name__])[0]) from error


def _look(connection: "psycopg.Connection[tuple[Any, ...]]") -> ClockReading:
    asked = time.time()
    ((moment,),) = connection.execute("SELECT extract(epoch FROM clock_timestamp())").fetchall()
    return ClockReading.of_round(asked, float(moment), time.time())


def _state(row: tuple[Any, ...]) -> State:
    """A row of the query; its fourth column may be left out. Raises AwayError when it is not as it should be."""
    task, status, ended, *begin = row
    try:
        moments = [None if moment is None else finite(moment) for moment in (*begin, ended)]
    except (TypeError, ValueError, OverflowError) as error:
        raise AwayError(f"tasks.query: end and begin are not seconds of the Unix epoch: {error}") from error
    return State(str(task), str(status), moments[0] if begin else None, moments[-1])


def _number(found: Sequence[tuple[Any, ...]]) -> int:
    """What `tasks.rows` selects. Raises AwayError when it is not one number."""
    try:
        ((number,),) = found
        return int(number)
    except (TypeError, ValueError, OverflowError) as error:
        raise AwayError("tasks.rows does not select one number") from error
