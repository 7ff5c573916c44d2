"""The ledger: every turn, every request and every accepted task is accounted for, or the run is invalid.

    turns:     scheduled = sent + dropped + in flight
    requests:  sent = ok + failed + in flight         failed by kind
    tasks:     accepted = completed + failed + unfinished + lost

After a drain nothing is in flight, except with a worker that was lost: then it is what that worker had in flight at its last
report. What such a worker did after its last report is unknown; how many turns that can be at the most is known from the plan,
and stands in the ledger as `unreported`. Where others take such a worker's users over, `missed` is what was due until then.

A task that is lost, unfinished, duplicated or foreign is the target's fault and not the books': objectives ask for it.

The two sides of each line are counted in different places: turns by the arrivals and by the journeys that returned, requests
by the client as it sends and by the recorder as it records, totals by the workers' last reports and by the sum of the
windows. Equal numbers therefore say that nothing fell between them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from loadtests.measure.series import Series
from loadtests.measure.snapshot import Counts

VERSION = 2


@dataclass(frozen=True)
class FinalReport:
    """What one worker said at its end: its own totals, counted apart from its snapshots."""

    worker: int
    name: str
    snapshots: int
    counts: Counts
    ok: int
    failures: Mapping[str, int]
    """Failed requests by kind."""
    accepted: int
    users: int
    stream_digest: int

    @property
    def failed(self) -> int:
        """Failed requests of every kind."""
        return sum(self.failures.values())

    def imbalances(self) -> Iterable[str]:
        """What does not add up in this worker's own totals, in words."""
        counts = self.counts
        if counts.scheduled != counts.finished + counts.dropped:
            yield f"{self.name}: scheduled {counts.scheduled:,} is not sent {counts.finished:,} + dropped {counts.dropped:,}"
        if counts.sent != self.ok + self.failed:
            yield f"{self.name}: sent {counts.sent:,} is not ok {self.ok:,} + failed {self.failed:,}"

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "FinalReport":
        """The report as `events.jsonl` has it."""
        return cls(**{**data, "counts": Counts(**data["counts"]), "stream_digest": int(data["stream_digest"], 16)})


@dataclass(frozen=True)
class TaskLedger:
    """Accepted tasks by what became of them; None where nobody can know."""

    accepted: int
    """Each counted once."""
    completed: int
    failed: int
    unfinished: int
    """Without an end at the deadline."""
    lost: int
    """Unknown to the target."""
    duplicated: int = 0
    """Times that the target gave an id out again."""
    foreign: int | None = None
    """Tasks of the target that no request accounts for."""
    unanswered: int | None = None
    """Tasks of the target that nobody accepted, but that a create without a good answer may have made."""
    rows: int | None = None
    """Tasks of the target, as it counts them."""
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The first ids of each kind of trouble; of the foreign ones all that nobody accepted, for which is which is not known."""

    def imbalances(self) -> Iterable[str]:
        """What does not add up, in words."""
        if self.accepted != self.completed + self.failed + self.unfinished + self.lost:
            yield (
                f"tasks: accepted {self.accepted:,} is not completed {self.completed:,} + failed {self.failed:,} "
                f"+ unfinished {self.unfinished:,} + lost {self.lost:,}"
            )

    def to_json(self) -> dict[str, Any]:
        """As `ledger.json` has it."""
        return {**asdict(self), "names": {kind: list(ids) for kind, ids in self.names.items()}}


@dataclass(frozen=True)
class Ledger:
    """The books of a run."""

    counts: Counts
    series: Mapping[str, Series]
    finals: Sequence[FinalReport]
    lost_in_flight: int = 0
    """Requests in flight at the last reports of the workers that were lost."""
    unreported: int | None = None
    """Most turns that lost workers can have begun after their last reports; None when none was lost."""
    missed: int = 0
    """Turns of lost workers that nobody took, until others took over."""
    accepted: int = 0
    """How often the target took on a task, as the workers wrote it down."""
    tasks: TaskLedger | None = None

    @property
    def ok(self) -> int:
        """Requests answered as expected."""
        return sum(series.ok for series in self.series.values())

    @property
    def failed(self) -> int:
        """Requests that failed."""
        return self.failures.total()

    @property
    def failures(self) -> Counter[str]:
        """Failed requests by kind."""
        kinds: Counter[str] = Counter()
        for series in self.series.values():
            kinds.update(series.failures)
        return kinds

    @property
    def in_flight(self) -> int:
        """Turns begun and not ended."""
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
        if counts.sent != self.ok + self.failed + self.lost_in_flight:
            found.append(
                f"requests: sent {counts.sent:,} is not ok {self.ok:,} + failed {self.failed:,} "
                f"+ in flight {self.lost_in_flight:,}"
            )
        for final in self.finals:
            found.extend(final.imbalances())
        if self.unreported is None:
            found.extend(self._against_finals())
        if self.tasks is not None:
            found.extend(self.tasks.imbalances())
        return found

    def _against_finals(self) -> Iterable[str]:
        if self.in_flight:
            yield f"turns: {self.in_flight:,} began and never ended"
        for name, windows, workers in (
            ("scheduled", self.counts.scheduled, sum(final.counts.scheduled for final in self.finals)),
            ("sent", self.counts.sent, sum(final.counts.sent for final in self.finals)),
            ("ok", self.ok, sum(final.ok for final in self.finals)),
            ("failed", self.failed, sum(final.failed for final in self.finals)),
        ):
            if windows != workers:
                yield f"{name}: the windows hold {windows:,}, the workers counted {workers:,}"
        counted = sum(final.accepted for final in self.finals)
        if self.accepted != counted:
            yield f"accepted: the files hold {self.accepted:,} tasks, the workers counted {counted:,}"

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
                "failures": dict(self.failures.most_common()),
                "in_flight": self.lost_in_flight,
                "authentication": counts.unplanned,
            },
            "unreported": self.unreported,
            "missed": self.missed,
            "tasks": None if tasks is None else tasks.to_json(),
            "workers": [
                {
                    "worker": final.worker,
                    "name": final.name,
                    **final.counts.to_json(),
                    "ok": final.ok,
                    "failed": final.failed,
                    "failures": dict(final.failures),
                }
                for final in sorted(self.finals, key=lambda final: final.worker)
            ],
        }
