"""Follows accepted tasks to their end, or to the deadline, and writes what became of each."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple, Protocol

from loadtests.measure.clocks import ClockReading
from loadtests.scenario.system import Tasks
from loadtests.store.accepted import read_accepted
from loadtests.store.folder import RunFolder
from loadtests.store.records import LineWriter
from loadtests.store.tasks import BATCH, State, TaskIndex

PAUSE_S = 0.5
GRACE_S = 60.0
"""How long after the deadline a round that began before it may take, and the look at the target's other tasks."""
HURRIED_S = 2.0
"""How long that look may take for who is in a hurry."""


class AwayError(Exception):
    """The target did not answer, in one line; it is asked again until the deadline."""


class Others(NamedTuple):
    """What the target has besides the accepted tasks; None where that cannot be known."""

    rows: int | None
    """All its tasks, as it counts them."""
    extra: int | None
    """Those of them that nobody accepted."""


class Way(Protocol):
    """How the target is asked. Every method but `close` raises AwayError.

    Whatever becomes of the target, none goes on for long after `check()` has begun to raise it, in whatever thread.
    """

    name: str
    tells_begin: bool
    """Whether it says when a task's work began."""

    def clock(self, index: TaskIndex, check: Callable[[], None], /) -> ClockReading:
        """What the target's clock says; there is a task without an end."""

    def ask(self, index: TaskIndex, check: Callable[[], None]) -> Iterator[Sequence[State]]:
        """One round: what the target says of each task without an end."""

    def others(self, index: TaskIndex, check: Callable[[], None], /) -> Others:
        """After the last round: how many tasks there are that nobody accepted; their ids are noted where they are known."""

    def close(self) -> None:
        """Give back what it holds."""


def finite(moment: Any) -> float:
    """A target's moment as a number. Raises TypeError, ValueError or OverflowError for what is none."""
    number = float(moment)
    if not math.isfinite(number):
        raise ValueError(f"{number} is no moment")
    return number


def follow_tasks(
    folder: RunFolder,
    tasks: Tasks,
    way: Way,
    pause: Callable[[float], None] = time.sleep,
    hurry: Callable[[], bool] = lambda: False,
) -> None:
    """Ask until every accepted task has ended or the deadline is over; writes `tasks.jsonl`, a line a task, and an event.

    `pause(seconds)` waits; when `hurry()` becomes true, what is known by then is the end. A target that does not answer at the
    end is trouble, which the event names: then nothing is lost, only unknown. Raises RunError when the disk refuses.
    """
    with TaskIndex(folder.path) as index:
        index.fill(read_accepted(folder))
        following = _Following(tasks, way, index, hurry)
        trouble = following.follow(pause)
        ended_s = time.time()
        others, rows_trouble = following.others() if trouble is None else (Others(None, None), trouble)
        _write_tasks(folder, tasks, index, trouble)
        clock = following.clock
        folder.event(
            "followed",
            None,
            by=way.name,
            accepted=index.accepted,
            known=index.known,
            duplicated=index.duplicated,
            trouble=trouble,
            time_s=ended_s,
            rows=others.rows,
            extra=others.extra,
            rows_trouble=rows_trouble,
            tells_begin=way.tells_begin,
            clock_offset_s=None if clock is None else round(clock.offset_s, 6),
            clock_doubt_s=None if clock is None else round(clock.doubt_s, 6),
        )
        names = {"duplicated": index.names("again"), "foreign": index.names("extra")}
        if any(names.values()):
            folder.event("unaccounted_tasks", None, **names)


class _Following:
    """Rounds of questions until all have ended or time is up."""

    def __init__(self, tasks: Tasks, way: Way, index: TaskIndex, hurry: Callable[[], bool]) -> None:
        self._way, self._index, self._hurry = way, index, hurry
        self._final = {*tasks.completed, *tasks.failed}
        self._deadline = time.monotonic() + tasks.deadline
        self.clock: ClockReading | None = None

    def follow(self, pause: Callable[[float], None]) -> str | None:
        """The trouble of the last round, if it had any; with every task at its end there is none."""
        while self._index.open:
            trouble = self._round()
            if self._index.open and self._is_over(pause):
                return trouble
        return None

    def _is_over(self, pause: Callable[[float], None]) -> bool:
        """Now, or after a pause; at the deadline there is a last round, and none for who is in a hurry."""
        if self._hurry() or time.monotonic() >= self._deadline:
            return True
        pause(PAUSE_S)
        return self._hurry()

    def others(self) -> tuple[Others, str | None]:
        """After the last round: what the target has besides, or why that is not known."""
        begun = time.monotonic()

        def check() -> None:
            if time.monotonic() >= begun + (HURRIED_S if self._hurry() else GRACE_S):
                raise AwayError("the target's other tasks could not be counted in time")

        try:
            return self._way.others(self._index, check), None
        except AwayError as error:
            return Others(None, None), str(error)

    def _round(self) -> str | None:
        try:
            if self.clock is None:
                self.clock = self._way.clock(self._index, self._check)
            for states in self._way.ask(self._index, self._check):
                self._index.note([self._corrected(state, self.clock) for state in states], self._final)
        except AwayError as error:
            return str(error)
        return None

    def _corrected(self, state: State, clock: ClockReading) -> State:
        return state._replace(started=clock.ours(state.started), ended=clock.ours(state.ended))

    def _check(self) -> None:
        if self._hurry():
            raise AwayError("interrupted before every task had been asked about")
        if time.monotonic() >= self._deadline + GRACE_S:
            raise AwayError(f"{GRACE_S:g} s after the deadline not every task had been answered for")


def _write_tasks(folder: RunFolder, tasks: Tasks, index: TaskIndex, trouble: str | None) -> None:
    records = index.records(tasks.completed, tasks.failed, unknown="lost" if trouble is None else "unfinished")
    writer = LineWriter(folder.file("tasks.jsonl"))
    try:
        while batch := list(islice(records, BATCH)):
            writer.append(*batch)
    finally:
        writer.close()
