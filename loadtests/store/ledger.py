"""The ledger: every turn, every request and every accepted task is accounted for, or the run is invalid.

    turns:     scheduled = sent + dropped + in flight
    requests:  sent = ok + failed
    tasks:     accepted = completed + failed + pending

The two sides of each line are counted in different places: turns by the arrivals and by the journeys that returned, requests
by the client as it sends and by the recorder as it records, totals by the workers' last reports and by the sum of the
windows. Equal numbers therefore say that nothing fell between them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loadtests.measure.series import Series
from loadtests.measure.snapshot import Counts

VERSION = 1


@dataclass(frozen=True)
class FinalReport:
    """What one worker said at its end: its own totals, counted apart from its snapshots."""

    worker: int
    name: str
    snapshots: int
    counts: Counts
    ok: int
    failed: int
    accepted: int
    users: int
    stream_digest: int

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "FinalReport":
        """The report as `events.jsonl` has it."""
        return cls(**{**data, "counts": Counts(**data["counts"]), "stream_digest": int(data["stream_digest"], 16)})


@dataclass(frozen=True)
class TaskLedger:
    """Accepted tasks by what became of them; `rows` is the target's own count, None where it was not asked."""

    accepted: int
    completed: int
    failed: int
    pending: int
    lost: int
    rows: int | None = None
    rows_expected: tuple[int, int] | None = None
    """Fewest and most rows that fit the requests: creates that failed at the client may have made a row or not."""

    def imbalances(self) -> Iterable[str]:
        """What does not add up, in words."""
        if self.accepted != self.completed + self.failed + self.pending + self.lost:
            yield (
                f"tasks: accepted {self.accepted:,} is not completed {self.completed:,} + failed {self.failed:,} "
                f"+ pending {self.pending:,} + lost {self.lost:,}"
            )
        if self.lost:
            yield f"tasks: the target does not know {self.lost:,} of the tasks that it accepted"
        if self.rows is not None and self.rows_expected is not None:
            fewest, most = self.rows_expected
            if not fewest <= self.rows <= most:
                yield f"tasks: the target has {self.rows:,} tasks, the requests account for {fewest:,} to {most:,}"


@dataclass(frozen=True)
class Ledger:
    """The books of a run."""

    counts: Counts
    series: Mapping[str, Series]
    finals: Sequence[FinalReport]
    tasks: TaskLedger | None = None

    @property
    def ok(self) -> int:
        """Requests answered as expected."""
        return sum(series.ok for series in self.series.values())

    @property
    def failed(self) -> int:
        """Requests that failed."""
        return sum(series.failed for series in self.series.values())

    @property
    def in_flight(self) -> int:
        """Turns begun and not ended; 0 after a drain."""
        return self.counts.started - self.counts.finished

    def imbalances(self) -> list[str]:
        """What does not add up, in words; empty when the ledger balances."""
        found = []
        counts = self.counts
        if counts.scheduled != counts.finished + counts.dropped + self.in_flight:
            found.append(
                f"turns: scheduled {counts.scheduled:,} is not sent {counts.finished:,} + dropped {counts.dropped:,} "
                f"+ in flight {self.in_flight:,}"
            )
        if counts.sent != self.ok + self.failed:
            found.append(f"requests: sent {counts.sent:,} is not ok {self.ok:,} + failed {self.failed:,}")
        found.extend(self._against_finals())
        if self.tasks is not None:
            found.extend(self.tasks.imbalances())
        return found

    def _against_finals(self) -> Iterable[str]:
        if not self.finals:
            return
        for name, windows, workers in (
            ("scheduled", self.counts.scheduled, sum(final.counts.scheduled for final in self.finals)),
            ("sent", self.counts.sent, sum(final.counts.sent for final in self.finals)),
            ("ok", self.ok, sum(final.ok for final in self.finals)),
            ("failed", self.failed, sum(final.failed for final in self.finals)),
        ):
            if windows != workers:
                yield f"{name}: the windows hold {windows:,}, the workers counted {workers:,}"

    def to_json(self) -> dict[str, Any]:
        """As `ledger.json` has it."""
        counts, tasks = self.counts, self.tasks
        imbalances = self.imbalances()
        return {
            "version": VERSION,
            "balanced": not imbalances,
            "imbalances": imbalances,
            "turns": {
                "scheduled": counts.scheduled,
                "sent": counts.finished,
                "dropped": counts.dropped,
                "in_flight": self.in_flight,
            },
            "requests": {
                "sent": counts.sent,
                "ok": self.ok,
                "failed": self.failed,
                "authentication": counts.unplanned,
            },
            "tasks": None
            if tasks is None
            else {
                "accepted": tasks.accepted,
                "completed": tasks.completed,
                "failed": tasks.failed,
                "pending": tasks.pending,
                "lost": tasks.lost,
                "rows": tasks.rows,
            },
            "workers": [
                {"worker": final.worker, "name": final.name, **final.counts.to_json(), "ok": final.ok, "failed": final.failed}
                for final in sorted(self.finals, key=lambda final: final.worker)
            ],
        }
