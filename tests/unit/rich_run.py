"""A synthetic run that has everything a report can show, and texts that try to break out of it."""

from pathlib import Path

from loadtests.store.records import append_lines
from tests.unit.runs import EPOCH, TEXT, Sample, SyntheticRun, complete, planned_samples
from tests.unit.texts import changed

HOSTILE = "</script><script>alert(1)</script><!-- & | `x` @all \"q\" 'a' _b_"

PROBED = """
connections = "db_connections.max < 100"
busy = "cpu(api).mean < 70%"
slow = "response_time.p99 < 20ms"
create = "response_time(create_task).p95 < 200ms"
"""

PROBES = """
[probes]
processes = ["api"]
postgres_statistics = true

[probes.postgres]
db_connections = "SELECT 1"
"""

GAUGES: tuple[tuple[str, str | None, float, float], ...] = (
    ("cpu", "api", 0.0, 0.1),
    ("db_connections", None, 10.0, 1.0),
    ("pg_commits", None, 40.0, 3.0),
    ("pg_longest_transaction", None, 0.02, 0.3),
    ("pg_temporary_bytes", None, 0.0, 5e5),
)
"""Probes of every unit: metric, selector, value at the start, growth a second."""


def rich_text(description: str = HOSTILE) -> str:
    """The synthetic scenario with probes, more objectives and this description."""
    quoted = "'''" + description + "'''"
    text = changed('name = "synthetic"', f'name = "synthetic"\ndescription = {quoted}', TEXT)
    return (
        changed('quick = "task_processing.p95 < 5s"\n', f'quick = "task_processing.p95 < 5s"\n{PROBED.strip()}\n', text)
        + PROBES
    )


def probe_line(second: float, *samples: tuple[str, str | None, float]) -> dict[str, object]:
    """A line of `probes.jsonl`."""
    return {"time": EPOCH + second, "samples": [list(sample) for sample in samples], "gaps": {}}


def rich_run(tmp_path: Path, description: str = HOSTILE) -> SyntheticRun:
    """A complete run with failures of three kinds, a hostile request name, probes with a gap and events of each kind."""
    tmp_path.mkdir(exist_ok=True)
    run = SyntheticRun.create(tmp_path, rich_text(description))
    samples = []
    for index, one in enumerate(planned_samples(run.plan)):
        kinds = {0: "timeout", 1: "http_500", 2: HOSTILE}
        samples.append(Sample(**{**vars(one), "failure": kinds.get(index % 30)}))
    samples.append(Sample(0, 3.5, f'list "quoted" {HOSTILE}', 2_000, 1_000, planned=False))
    complete(run, samples)
    rounds = [second for second in range(10) if second != 5]
    gauges = [
        probe_line(second + 0.1, *((metric, selector, first + step * second) for metric, selector, first, step in GAUGES))
        for second in rounds
    ]
    append_lines(run.folder.file("probes.jsonl"), gauges)
    run.folder.event("worker_lost", 6.5, worker=1, name="worker-2", how=HOSTILE)
    run.folder.event("halt", 9.9, reason=HOSTILE)
    return run
