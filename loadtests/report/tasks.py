"""Accepted tasks as they are judged: streams over `tasks.jsonl`, whatever its length."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loadtests.measure.histogram import Histogram
from loadtests.objectives.evaluate import NO_END_US, TaskFacts
from loadtests.store.folder import RunFolder
from loadtests.store.ledger import TaskLedger
from loadtests.store.records import read_lines
from loadtests.store.tasks import MOST_NAMES

NOTHING_DONE = ("connect_refused", "connect_timeout", "connect_failed", "dns", "tls", "no_sockets")
"""Kinds of failure of a request that was never sent."""


def may_have_worked(kind: str) -> bool:
    """Whether a request that failed like this may have done its work all the same: not unsent, nor refused (4xx but 408)."""
    return kind not in NOTHING_DONE and (not kind.startswith("status_4") or kind == "status_408")


@dataclass(frozen=True)
class TaskEvidence:
    """What became of the accepted tasks: the books, and what objectives ask about."""

    ledger: TaskLedger
    facts: TaskFacts
    trouble: str | None = None
    """Why it is not known what became of all, in the target's words."""
    rows_trouble: str | None = None
    """Why it is not known what else the target has."""

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
        facts = _facts(reading, ledger, known=followed["trouble"] is None)
        return cls(ledger, facts, followed["trouble"], followed["rows_trouble"])


class _Reading:
    """Sums over the records. A task without an end took longer than any limit, however short the following was."""

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
        due, ended = self._start + record["due_s"], self._ended(record)
        self.processing.record(_us_between(due, ended))
        if self._tells_begin:
            self._add_work(due, record["started"], ended, outcome)

    def _ended(self, record: Mapping[str, Any]) -> float | None:
        """Where the target does not say when, it was before the following stopped."""
        if record["outcome"] not in ("completed", "failed"):
            return None
        return self._until if record["ended"] is None else record["ended"]

    def _add_work(self, due: float, started: float | None, ended: float | None, outcome: str) -> None:
        if started is not None or ended is None:
            self.wait.record(_us_between(due, started))
            self.run.record(_us_between(started, ended))
        elif outcome == "failed":  # before anybody worked on it
            self.wait.record(_us_between(due, ended))


def _us_between(begin: float | None, end: float | None) -> int:
    return NO_END_US if begin is None or end is None else round((end - begin) * 1e6)


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
