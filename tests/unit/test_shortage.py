"""What a run was short of, from synthetic folders."""

from collections.abc import Callable
from pathlib import Path

import pytest

from loadtests.report.shortage import NOTHING, Shortage, short_words, shortages
from loadtests.store.records import append_lines
from tests.unit.rich_run import probe_line
from tests.unit.runs import TEXT, SyntheticRun, complete
from tests.unit.texts import changed

ASKED = changed(
    "[health]",
    'connections = "db_connections.max < 100"\nmemory = "memory(api).max < 2GB"\nusers_least = "users.min >= 0"\n\n[health]',
    TEXT,
)
PROBES = """
[probes]
processes = ["api", "worker"]
celery = ["celery"]
postgres_statistics = true

[probes.postgres]
db_connections = "SELECT 1"
"""
Level = Callable[[float], float]


def found(tmp_path: Path, *gauges: tuple[str, str | None, Level | float]) -> dict[str, Shortage]:
    """What is said of a run of ten seconds, of which two are a ramp, with these gauges as functions of the second."""
    run = complete(SyntheticRun.create(tmp_path, ASKED + PROBES))
    for second in range(10):
        samples = [(metric, selector, level(second) if callable(level) else level) for metric, selector, level in gauges]
        append_lines(run.folder.file("probes.jsonl"), [probe_line(second + 0.5, *samples)])
    result = shortages(run.folder)
    assert [one.use for one in result] == sorted((one.use for one in result), reverse=True)
    return {one.name: one for one in result}


def test_the_most_used_comes_first_and_is_short(tmp_path: Path) -> None:
    """The machine, each service's busiest process and limits of objectives, in the order of their use."""
    one = found(
        tmp_path,
        ("cpu", "worker", 0.2),
        ("cpu", "api", 0.97),
        ("machine_cpu", None, 0.6),
        ("machine_steal", None, 0.02),
        ("db_connections", None, 45.0),
        ("memory", "api", 5e8),
    )
    assert [*one][:5] == ["cpu(api)", "machine", "db_connections", "memory(api)", "cpu(worker)"]
    assert one["machine"].use == pytest.approx(0.62)
    assert one["machine"].words == "the machine: its cores were 60 % busy, 2 % were taken away by other machines"
    assert one["db_connections"].words == "db_connections: 45, with a limit of 100"
    assert one["memory(api)"].words == "memory(api): 500 MB, with a limit of 2 GB"
    assert short_words([*one.values()]) == "api: its busiest process used 97 % of a core"


def test_nothing_short_is_an_answer(tmp_path: Path) -> None:
    """Whatever is measured; of nothing that is measured as well."""
    quiet = found(tmp_path, ("cpu", "api", 0.5), ("machine_cpu", None, 0.7))
    assert quiet and short_words([*quiet.values()]) == NOTHING
    assert short_words([]) == NOTHING


def test_the_ramp_does_not_count(tmp_path: Path) -> None:
    """Of two seconds at the beginning, when others still started."""
    one = found(tmp_path, ("cpu", "api", lambda second: 1.0 if second < 2 else 0.4))
    assert one["cpu(api)"].use == pytest.approx(0.4)


def test_a_process_of_many_threads_has_no_end_at_one_core(tmp_path: Path) -> None:
    """It is left out."""
    assert "cpu(api)" not in found(tmp_path, ("cpu", "api", 1.6))


def test_a_queue_that_grows_is_short_of_workers(tmp_path: Path) -> None:
    """Its use says how much more came in than went out; one that only swings has none."""
    growing = found(tmp_path, ("celery_queue_depth", "celery", lambda second: 10 + 2 * second))
    queue = growing["celery_queue_depth(celery)"]
    assert queue.short and queue.use > 1
    assert queue.words == "the workers of queue celery: it grew by 2 messages/s, to 28"
    assert "celery_queue_depth(celery)" not in found(
        tmp_path, ("celery_queue_depth", "celery", lambda second: 50 * (second % 2))
    )


def test_locks_that_sessions_wait_for(tmp_path: Path) -> None:
    """As a share of the sessions with a statement under way."""
    one = found(tmp_path, ("pg_lock_waits", None, 9.0), ("pg_connections_active", None, 10.0))
    assert one["pg_lock_waits"] == Shortage(
        "pg_lock_waits", 0.9, "locks of the database: 9 of 10 active sessions waited for one"
    )


@pytest.mark.parametrize(
    ("busy", "words"),
    [
        (0.9, "its cores were 90 % busy (the stack 40 %, the generator 0 %, other programs 50 %)"),
        (0.5, "its cores were 50 % busy (the stack 40 %, the generator 0 %)"),
    ],
)
def test_whose_work_it_was(tmp_path: Path, busy: float, words: str) -> None:
    """What is neither the stack's nor the generator's is told when it is much."""
    one = found(tmp_path, ("machine_cpu", None, busy), ("machine_stack", None, 0.4))
    assert one["machine"].words == f"the machine: {words}"


def test_the_generator_is_among_them(tmp_path: Path) -> None:
    """Its busiest worker, of the windows; the synthetic ones used nothing."""
    assert found(tmp_path)["generator"].use == 0.0
