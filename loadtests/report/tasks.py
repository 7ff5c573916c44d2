"""Accepted tasks as they are judged: streams over `tasks.jsonl`, whatever its length."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loadtests.measure.histogram import Histogram
from loadtests.objectives.evaluate import TaskFacts
from loadtests.store.folder import RunFolder
from loadtests.store.ledger import TaskLedger
from loadtests.store.records import read_lines
from loadtests.store.tasks import MOST_NAMES


@dataclass(frozen=True)
class TaskEvidence:
    """What became of the accepted tasks: the books, and what objectives ask about."""

    ledger: TaskLedger
    facts: TaskFacts

    @classmethod
    def of(
        cls,
        folder: RunFolder,
        events: Sequence[Mapping[str, Any]],
        start: float,
        accepted: int,
        unanswered: Callable[[Collection[str]], int],
    ) -> "TaskEvidence | None":
        """Read the record of the following; None when there was none.

        `start` is the load's on the epoch, `accepted` how often the target took on a task, as the workers remember it;
        `unanswered` gives the requests of these names (all, without names) that may have made a task without telling.
        """
        followed = next((event for event in reversed(events) if event["event"] == "followed"), None)
        if followed is None:
            return None
        reading = _Reading(start, followed["time_s"], followed["tells_begin"])
        for record in read_lines(folder.file("tasks.jsonl")):
            reading.add(record)
        names: Mapping[str, Any] = next((event for event in reversed(events) if event["event"] == "unaccounted_tasks"), {})
        ledger = _ledger(reading, followed, names, accepted, unanswered(reading.requests))
        return cls(ledger, _facts(reading, ledger, known=followed["trouble"] is None))


class _Reading:
    """Sums over the records. A task without an end was waited for until the following stopped."""

    def __init__(self, start: float, until: float, tells_begin: bool) -> None:
        self._start, self._until, self._tells_begin = start, until, tells_begin
        self.processing, self.wait, self.run = Histogram(), Histogram(), Histogram()
        self.outcomes: Counter[str] = Counter()
        self.names: dict[str, list[str]] = {"unfinished": [], "lost": []}
        self.requests: set[str] = set()

    def add(self, record: Mapping[str, Any]) -> None:
        """One task."""
        outcome = record["outcome"]
        self.outcomes[outcome] += 1
        if record["request"]:
            self.requests.add(record["request"])
        if outcome in self.names and len(self.names[outcome]) < MOST_NAMES:
            self.names[outcome].append(record["id"])
        ended = record["ended"] if outcome in ("completed", "failed") else None
        until = self._until if ended is None else ended
        self.processing.record(_us(until - self._start - record["due_s"]))
        if self._tells_begin:
            self._add_work(record, until, done=outcome == "completed")

    def _add_work(self, record: Mapping[str, Any], until: float, done: bool) -> None:
        started = record["started"]
        if started is not None:
            self.run.record(_us(until - started))
        elif done:
            return  # it has worked, and the target does not say when
        self.wait.record(_us((until if started is None else started) - self._start - record["accepted_s"]))


def _us(seconds: float) -> int:
    return round(seconds * 1e6)


def _ledger(
    reading: _Reading, followed: Mapping[str, Any], names: Mapping[str, Any], accepted: int, unanswered: int
) -> TaskLedger:
    extra = followed["extra"]
    foreign = None if extra is None else max(0, extra - unanswered)
    found = {**reading.names, "duplicated": names.get("duplicated", []), "foreign": names.get("foreign", []) if foreign else []}
    return TaskLedger(
        accepted=accepted - followed["duplicated"],
        completed=reading.outcomes["completed"],
        failed=reading.outcomes["failed"],
        unfinished=reading.outcomes["unfinished"],
        lost=reading.outcomes["lost"],
        duplicated=followed["duplicated"],
        foreign=foreign,
        unanswered=None if extra is None else min(extra, unanswered),
        rows=followed["rows"],
        names=found,
    )


def _facts(reading: _Reading, ledger: TaskLedger, known: bool) -> TaskFacts:
    """With trouble at the end nobody knows what was lost, and nobody knows what had ended."""
    return TaskFacts(
        accepted=ledger.accepted,
        completed=ledger.completed,
        processing=reading.processing,
        wait=reading.wait,
        run=reading.run,
        counts={
            "tasks_lost": ledger.lost if known else None,
            "tasks_unfinished": ledger.unfinished if known else None,
            "tasks_duplicated": ledger.duplicated,
            "tasks_foreign": ledger.foreign if known else None,
        },
    )
