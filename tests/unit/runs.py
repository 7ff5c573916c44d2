"""A synthetic run: its folder is written by the project's own writers, from samples that a test can count itself."""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from loadtests.engine.http.failures import Failure
from loadtests.engine.recorder import Recorder
from loadtests.measure.snapshot import Accepted, Counts, Gauges, Snapshot
from loadtests.measure.window import Window, WindowMerger
from loadtests.pacing.draws import user_draws
from loadtests.pacing.shard import shard
from loadtests.pacing.stream import OpenLoad, StreamDigest, open_turns
from loadtests.report.evidence import Evidence
from loadtests.report.verdict import Verdict, judge
from loadtests.scenario.plan import Plan
from loadtests.store.accepted import AcceptedWriter, read_accepted
from loadtests.store.folder import RunFolder, create_folder
from loadtests.store.manifest import write_manifest
from loadtests.store.records import append_lines
from loadtests.store.tasks import Outcome, State, TaskIndex
from loadtests.store.windows import WindowWriter
from tests.unit.texts import plan_of

EPOCH = 1_800_000_000.0
"""When every synthetic load starts."""

TEXT = """\
name = "synthetic"
seed = 5

[load]
users = 6
rate_per_user = 2.0
duration = "10s"
ramp_up = "2s"

[[mix]]
journey = "list_tasks"
weight = 3

[[mix]]
journey = "create_task"
weight = 1

[objectives]
fast = "response_time.p95 < 200ms"
throughput = "rate >= 90% of 12/s"
failures = "failure_ratio < 10%"
users = "users.max >= 6"
done = "task_success >= 99%"
quick = "task_processing.p95 < 5s"

[health]
lateness_p99 = "50ms"

[tasks]
query = "SELECT 1"
"""


@dataclass(frozen=True)
class Sample:
    """One request of the run, as a test counts it."""

    user: int
    due_s: float
    name: str
    response_us: int
    service_us: int
    failure: str | None = None
    lateness_us: int = 100
    planned: bool = True

    @property
    def second(self) -> int:
        """The window that it ends in."""
        return int(self.due_s + self.response_us / 1e6)


def planned_samples(plan: Plan, fail_every: int = 0) -> list[Sample]:
    """A request for each turn of the plan, with latencies of 1 to 100 ms; every n-th fails."""
    assert isinstance(plan.load, OpenLoad)
    made: list[Sample] = []
    rng = random.Random(1)
    names = [share.journey for share in plan.scenario.mix]
    for user in range(plan.scenario.load.users):
        for turn in open_turns(plan.load, plan.mix, user_draws(plan.scenario.seed, user)):
            service_us = rng.randrange(1_000, 90_000)
            response_us = service_us + rng.randrange(10_000)
            failure = "timeout" if fail_every and len(made) % fail_every == 0 else None
            made.append(Sample(user, turn.due_s, names[turn.journey], response_us, service_us, failure))
    return made


@dataclass
class SyntheticRun:
    """Writes a run's folder step by step, so that a test can leave a step out or do it wrong."""

    folder: RunFolder
    plan: Plan
    workers: int = 2
    samples: list[Sample] = field(default_factory=list)
    recorders: list[Recorder] = field(default_factory=list)

    @classmethod
    def create(cls, tmp_path: Path, text: str = TEXT, workers: int = 2, stack: str = "none", **flags: str) -> "SyntheticRun":
        """A folder with its manifest."""
        plan = plan_of(tmp_path, text, **flags)
        folder = create_folder(tmp_path / "results", plan.scenario.name)
        how = {"workers": workers, "stack": stack, "host": "http://127.0.0.1:1"}
        write_manifest(folder, plan.to_json(), plan.hash, how)
        return cls(folder, plan, workers, recorders=[Recorder(worker) for worker in range(workers)])

    def start(self, users: int | None = None) -> None:
        """The load starts."""
        names = {worker: f"worker-{worker + 1}" for worker in range(self.workers)}
        count = self.plan.scenario.load.users if users is None else users
        self.folder.event("start", 0.0, epoch=EPOCH, users=count, workers=names)

    def play(self, samples: Sequence[Sample], silent_from: Mapping[int, int] | None = None) -> None:
        """The workers' seconds, merged as the master does; `silent_from`: a worker's first second without a report."""
        self.samples = list(samples)
        silent, merger = silent_from or {}, WindowMerger(self.workers)
        last = max(sample.second for sample in samples)
        for second in range(last + 1):
            for worker, recorder in enumerate(self.recorders):
                if second == silent.get(worker):
                    self._write(merger.forget(worker))
                if second < silent.get(worker, last + 1):
                    self._write(merger.add(self._second(worker, recorder, second)))
        self._write(merger.close())

    def _second(self, worker: int, recorder: Recorder, second: int) -> Snapshot:
        for sample in self.samples:
            if sample.user % self.workers == worker and sample.second == second:
                record(recorder, sample)
        users = len(shard(self.plan.scenario.load.users, worker, self.workers))
        snapshot = Snapshot.from_json(recorder.take(second, Gauges(users=users, in_flight=recorder.in_flight)))
        self.accept(str(worker), *snapshot.accepted)
        return snapshot

    def accept(self, writer: str, *tasks: Accepted) -> None:
        """A writer remembers tasks."""
        file = AcceptedWriter(self.folder, writer)
        file.append(tasks)
        file.close()

    def _write(self, windows: Iterable[Window]) -> None:
        writer = WindowWriter(self.folder.file("windows.jsonl"))
        writer.append(*windows)
        writer.close()

    def final(self, worker: int, missing: int = 0, **changes: Any) -> None:
        """A worker reports its end, with its own totals or with `changes` to them."""
        recorder = self.recorders[worker]
        report = {
            "worker": worker,
            "name": f"worker-{worker + 1}",
            "snapshots": recorder.snapshots,
            "counts": recorder.total_counts.to_json(),
            "ok": recorder.total_ok,
            "failures": dict(recorder.total_failures),
            "accepted": recorder.total_accepted,
            "users": len(shard(self.plan.scenario.load.users, worker, self.workers)),
            "stream_digest": f"{self._digest(worker):032x}",
        }
        self.folder.event("worker_final", 10.1, missing=missing, report=report | changes)

    def _digest(self, worker: int) -> int:
        assert isinstance(self.plan.load, OpenLoad)
        total = 0
        for user in shard(self.plan.scenario.load.users, worker, self.workers):
            one = StreamDigest(user)
            for turn in open_turns(self.plan.load, self.plan.mix, user_draws(self.plan.scenario.seed, user)):
                one.add(turn)
            total += one.value()
        return total % 2**128

    def end_tasks(
        self,
        processing_s: float = 1.0,
        statuses: Mapping[str, str | None] | None = None,
        foreign: Sequence[str] = (),
        **event: Any,
    ) -> None:
        """Every accepted task ends so long after it was due; `statuses` of some differ, None for unknown to the target."""
        given, ends = statuses or {}, {}
        for sample in self.accepted:
            status = given.get(task_id(sample), "completed")
            due = EPOCH + round(sample.due_s, 6)
            begun = due + processing_s / 2 if status in ("completed", "failed", "processing") else None
            ended = due + processing_s if status in ("completed", "failed") else None
            if status is not None:
                ends[task_id(sample)] = State(task_id(sample), status, begun, ended)
        with TaskIndex(self.folder.path) as index:
            index.fill(read_accepted(self.folder))
            index.note(list(ends.values()), ("completed", "failed"))
            unknown: Outcome = "unfinished" if event.get("trouble") else "lost"
            append_lines(self.folder.file("tasks.jsonl"), index.records(("completed",), ("failed",), unknown))
            facts = {"accepted": index.accepted, "known": index.known, "duplicated": index.duplicated}
            names = {"duplicated": index.names("again"), "foreign": list(foreign)}
        rest: dict[str, Any] = {
            "trouble": None,
            "time_s": EPOCH + 40,
            "rows": None,
            "extra": None,
            "tells_begin": True,
            "rows_trouble": None,
        }
        self.folder.event("followed", None, **{**facts, **rest, **event})
        self.folder.event("unaccounted_tasks", None, **names)

    @property
    def accepted(self) -> list[Sample]:
        """Samples that made a task."""
        return [sample for sample in self.samples if sample.name == "create_task" and sample.failure is None]

    def stop(self) -> None:
        """The master reports the end."""
        self.folder.event("stop", 10.2)

    def evidence(self) -> Evidence:
        """The folder as it is now."""
        return Evidence.of(self.folder)

    def verdict(self) -> Verdict:
        """What the files say."""
        return judge(self.evidence())


def record(recorder: Recorder, sample: Sample) -> None:
    """One sample, as a worker's user and client would record it."""
    if sample.planned:
        recorder.counts.scheduled += 1
        recorder.counts.started += 1
        recorder.late(sample.lateness_us)
    recorder.sent(planned=sample.planned)
    failed = None if sample.failure is None else Failure(sample.failure)
    recorder.done("GET", sample.name, sample.response_us, sample.service_us, 100, failed)
    if sample.name == "create_task" and sample.failure is None:
        recorder.accepted(Accepted(task_id(sample), sample.user, sample.due_s, sample.due_s + sample.response_us / 1e6))
    if sample.planned:
        recorder.counts.finished += 1


def task_id(sample: Sample) -> str:
    """The id of the task that a sample made."""
    return f"task-{sample.user}-{sample.due_s:.6f}"


def complete(run: SyntheticRun, samples: Sequence[Sample] | None = None, processing_s: float = 1.0) -> SyntheticRun:
    """The whole course of a healthy run."""
    run.start()
    run.play(planned_samples(run.plan) if samples is None else samples)
    for worker in range(run.workers):
        run.final(worker)
    run.stop()
    run.end_tasks(processing_s)
    return run


def slower(samples: Sequence[Sample], factor: int) -> list[Sample]:
    """The same requests, so many times as slow."""
    return [
        replace(sample, response_us=sample.response_us * factor, service_us=sample.service_us * factor) for sample in samples
    ]


def add_counts(run: SyntheticRun, worker: int, **counts: int) -> None:
    """Count something on a worker that no sample stands for, before `play`."""
    run.recorders[worker].counts.add(Counts(**counts))
