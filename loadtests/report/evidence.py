"""Everything that a run's folder says, in the shape in which it is judged. Reads files only."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from loadtests.errors import RunError
from loadtests.measure.clocks import ClockReading, WorkerClock
from loadtests.measure.series import Series, merge_all
from loadtests.objectives.evaluate import Facts
from loadtests.objectives.grammar import Metric
from loadtests.objectives.health import HealthFacts
from loadtests.pacing.stream import DIGEST_MODULUS, ClosedLoad, planned_turns
from loadtests.report.losses import Losses, find_losses
from loadtests.report.probed import Probed
from loadtests.report.recovery import Effect, Second, courses, effects, recoveries
from loadtests.report.tasks import TaskEvidence, may_have_worked
from loadtests.scenario.plan import Plan
from loadtests.store.accepted import count_accepted
from loadtests.store.folder import ABORTED, RunFolder
from loadtests.store.ledger import FinalReport, Ledger
from loadtests.store.manifest import read_manifest
from loadtests.store.records import read_lines
from loadtests.store.windows import Totals, read_windows, total_of
from loadtests.traffic.tokens import AUTH_SERIES


@contextmanager
def readable(folder: RunFolder) -> Iterator[None]:
    """Within it, records that are not what a run writes are one clear line. Raises RunError for them."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RunError(f"{folder.path}: a file is damaged: {type(error).__name__}: {error}") from error


@dataclass(frozen=True)
class Evidence:
    """The files of one run, read once."""

    folder: RunFolder
    manifest: dict[str, Any]
    plan: Plan
    totals: Totals
    events: Sequence[dict[str, Any]]

    @classmethod
    def of(cls, folder: RunFolder) -> "Evidence":
        """Read a run's folder. Raises RunError when a file is damaged."""
        manifest = read_manifest(folder)
        events = list(read_lines(folder.file("events.jsonl")))
        plan = Plan.from_json(manifest["plan"]).with_recording(folder.recording)
        return cls(folder, manifest, plan, total_of(folder.file("windows.jsonl")), events)

    def events_of(self, kind: str) -> list[dict[str, Any]]:
        """The events of one kind, in order."""
        return [event for event in self.events if event["event"] == kind]

    @property
    def start_epoch(self) -> float | None:
        """The start of the load; None when it never started."""
        starts = self.events_of("start")
        return starts[0]["epoch"] if starts else None

    @property
    def end_s(self) -> float:
        """The end of the load, in seconds after its start: as planned, or where it was halted."""
        halts = [event["at_s"] or 0.0 for event in self.events_of("halt")]
        return min([self.plan.scenario.load.total_s, *halts])

    @cached_property
    def aborts(self) -> dict[str, dict[str, Any]]:
        """The objective that ended the load before its time, if one did: its event, by its name.

        One that something else forestalled, or the load's own end, ended nothing.
        """
        if not any(event["reason"] == ABORTED for event in self.events_of("halt")):
            return {}
        return {event["name"]: event for event in self.events_of("abort")}

    @cached_property
    def finals(self) -> list[FinalReport]:
        """The workers' last reports."""
        return [FinalReport.from_json(event["report"]) for event in self.events_of("worker_final")]

    @cached_property
    def total(self) -> Series:
        """All requests of the mix in one series; logins and refreshes are not among them."""
        whole: dict[str, Series] = {}
        for name, series in self.totals.series.items():
            if name not in AUTH_SERIES:
                merge_all({"": series}, whole)
        return whole.get("", Series())

    @property
    def rate(self) -> float:
        """Requests of the mix that were answered without failure, per second of the steady part."""
        return self.steady_ok.get(None, 0) / len(self.rated) if self.rated else 0.0

    @property
    def steady_s(self) -> tuple[int, int]:
        """First second of the steady part and the one after its last; whole seconds, as windows are."""
        return self.plan.steady_seconds(self.end_s)

    @cached_property
    def rated(self) -> list[int]:
        """The seconds of the steady part that rates are taken from: all in which every user was there."""
        return [second for second in range(*self.steady_s) if not self.losses.in_hole(second)]

    @cached_property
    def steady_ok(self) -> dict[str | None, int]:
        """Requests answered without failure in the seconds that rates are taken from, by name; None for the whole mix."""
        rated = set(self.rated)
        found: Counter[str | None] = Counter()
        for second, by_name in self.totals.ok_by_second:
            for name, count in by_name.items():
                inside = count if second in rated else 0
                found[name] += inside
                found[None] += 0 if name in AUTH_SERIES else inside
        return dict(found)

    @property
    def stream(self) -> str | None:
        """Hash of the stream that was carried out; None for closed or unfinished loads, whose stream is not the plan's.

        Nor is that of a load that lost a worker.
        """
        if isinstance(self.plan.load, ClosedLoad) or not self.finals or self.losses:
            return None
        return self.plan.stream_hash(sum(final.stream_digest for final in self.finals) % DIGEST_MODULUS)

    @cached_property
    def tasks(self) -> TaskEvidence | None:
        """What became of the accepted tasks; None when nobody looked."""
        if self.start_epoch is None:
            return None
        return TaskEvidence.of(self.folder, self.events, self.start_epoch, self.accepted, self._unanswered)

    @cached_property
    def accepted(self) -> int:
        """How often the target took on a task, as the workers wrote it down."""
        return count_accepted(self.folder)

    def _unanswered(self, names: Collection[str]) -> int:
        """Requests of these names, or all, that may have done their work without telling."""
        asked = [series for name, series in self.totals.series.items() if not names or name in names]
        failed = sum(count for series in asked for kind, count in series.failures.items() if may_have_worked(kind))
        return failed + self.losses.in_flight + self.losses.unreported

    @cached_property
    def ledger(self) -> Ledger:
        """The books."""
        losses = self.losses
        return Ledger(
            counts=self.totals.counts,
            series=self.totals.series,
            finals=self.finals,
            lost_in_flight=losses.in_flight,
            unreported=losses.unreported if losses else None,
            missed=losses.missed,
            accepted=self.accepted,
            tasks=self.tasks.ledger if self.tasks else None,
        )

    @cached_property
    def losses(self) -> Losses:
        """Workers that did not report their end."""
        return find_losses(self.plan, self.totals, self.events)

    @cached_property
    def probed(self) -> Probed:
        """What the probes saw of the load."""
        scenario = self.plan.scenario
        return Probed.of(self.folder.file("probes.jsonl"), scenario.probes, scenario.tasks, self.start_epoch, self.end_s)

    @cached_property
    def effects(self) -> list[Effect]:
        """What the planted faults did."""
        planted = courses(self.plan.scenario.faults, self.events_of("fault"))
        if not planted:
            return []
        seconds = [Second.of(window) for window in read_windows(self.folder.file("windows.jsonl"))]
        return effects(planted, seconds, self.end_s, self.plan.scenario.load.users)

    def gauges(self) -> dict[tuple[str, str | None], list[float]]:
        """The probes' samples during the load, by (metric, selector), and the users of each window."""
        found = dict(self.probed.gauges)
        if self.totals.users:
            found["users", None] = self.totals.users
        return found

    def facts(self) -> Facts:
        """What objectives ask about."""
        return Facts(
            series=self.totals.series,
            total=self.total,
            steady_ok=self.steady_ok,
            steady_s=float(len(self.rated)),
            gauges=self.gauges(),
            doubts=self.probed.doubts(),
            silences=self._silence,
            shares=self.probed.shares,
            share_counts=self.probed.share_counts,
            distributions=self.probed.distributions,
            tasks=self.tasks.facts if self.tasks else None,
            recoveries=recoveries(self.effects),
        )

    def _silence(self, metric: Metric, selector: str | None) -> str | None:
        """Why there is nothing of a metric, where somebody knows."""
        if metric.kind != "task_count":
            return self.probed.silence(metric, selector)
        return None if self.tasks is None else self.tasks.trouble or self.tasks.rows_trouble

    def health_facts(self) -> HealthFacts:
        """What the health checks ask about."""
        counts = self.totals.counts
        return HealthFacts(
            finished=self._unfinished(),
            aborted="; ".join(f"aborted {one['at_s']:g} s into the load by {name}" for name, one in self.aborts.items()),
            lost_workers=self.losses.stories,
            missing_snapshots=sum(event["missing"] for event in self.events_of("worker_final")),
            imbalances=self.ledger.imbalances(),
            lateness=self.totals.lateness,
            planned=self._planned(),
            sent=counts.started,
            waiting=counts.waiting,
            waiting_users=counts.waiting_users,
            late=counts.dropped - counts.waiting,
            users_planned=self.plan.scenario.load.users,
            users_started=sum(event["users"] for event in self.events_of("start")),
            journey_errors=counts.journey_errors,
            cpu=max((use.cpu for use in self.totals.use.values()), default=None),
            loop_lag=self.totals.loop_lag,
            connections=counts.connections,
            requests=counts.sent,
            most_sockets=self.totals.most_sockets,
            memory_bytes=max((use.most_rss_bytes for use in self.totals.use.values()), default=None),
            clocks=self.clocks,
        )

    @cached_property
    def clocks(self) -> list[WorkerClock] | None:
        """The clocks of the workers that reported their end; None when the load did not start, or nobody looked."""
        starts = self.events_of("start")
        if not starts or "clocks" not in starts[0]:
            return None
        begun = {int(worker): ClockReading.from_json(reading) for worker, reading in starts[0]["clocks"].items()}
        ended = {event["report"]["worker"]: event.get("clock") for event in self.events_of("worker_final")}
        names = {int(worker): str(name) for worker, name in starts[0]["workers"].items()}
        readings = {worker: end and ClockReading.from_json(end) for worker, end in ended.items()}
        return [WorkerClock(names[worker], begun[worker], readings[worker]) for worker in sorted(ended)]

    def _planned(self) -> int:
        """Turns of the plan; of a closed load, which plans nothing but users, as many as all of them would have had.

        Of a load that was halted, those that were due until then, as far as anybody was to play them.
        """
        load, scenario, scheduled = self.plan.load, self.plan.scenario, self.totals.counts.scheduled
        losses = self.losses
        if isinstance(load, ClosedLoad):
            return round(scheduled / (1.0 - losses.away)) if losses.away < 1.0 else scheduled
        if self.events_of("halt"):
            return scheduled + (losses.missed + losses.unreported if losses.compensated else 0)
        return planned_turns(load, self.plan.mix, scenario.seed, scenario.load.users)

    def _unfinished(self) -> str | None:
        halts = self.events_of("halt")
        if halts and not self.aborts:
            at_s = halts[0]["at_s"]
            when = "before the load" if at_s is None else f"{at_s:.1f} s into the load"
            return f"stopped {when}: {halts[0]['reason']}"
        if self.start_epoch is None:
            return "the load never started"
        if not self.events_of("stop"):
            return f"the record ends {len(self.totals.ok_by_second)} s into the load: the master did not report its end"
        return None
