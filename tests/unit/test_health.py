"""Health: each check passes at its limit and fails beyond it."""

import re
from dataclasses import replace
from typing import Any

import pytest

from loadtests.measure.clocks import ClockReading, WorkerClock
from loadtests.measure.histogram import Histogram
from loadtests.objectives.clocks import clock_notes
from loadtests.objectives.evaluate import Result
from loadtests.objectives.health import HealthFacts, HealthLimits, judge_health

LIMITS = HealthLimits(
    lateness_p99_s=0.1,
    offered_ratio=0.99,
    cpu=0.95,
    loop_lag_p99_s=0.25,
    reconnects=0.01,
    sockets_per_user=2.0,
    memory_bytes=1e9,
    clock_s=0.1,
)


def lateness(*values_us: int) -> Histogram:
    """A histogram of these values."""
    made = Histogram()
    for value in values_us:
        made.record(value)
    return made


def clock(name: str, doubt_s: float, drift_s: float = 0.0) -> WorkerClock:
    """An hour ahead."""
    return WorkerClock(name, ClockReading(3600.0, doubt_s), ClockReading(3600.0 + drift_s, doubt_s))


SILENT = WorkerClock("w-2", ClockReading(0.0, 0.001), None)


def healthy() -> HealthFacts:
    """A run that can be believed, each number at its limit."""
    return HealthFacts(
        finished=None,
        lost_workers=(),
        missing_snapshots=0,
        imbalances=(),
        lateness=lateness(*[100_000] * 100),
        planned=1000,
        sent=990,
        users_planned=50,
        users_started=50,
        journey_errors=0,
        cpu=0.95,
        loop_lag=lateness(250_000),
        connections=60,
        requests=1000,
        most_sockets=100,
        memory_bytes=10**9,
        waiting=4,
        waiting_users=2,
        late=6,
        clocks=[clock("worker-1", 0.1), clock("worker-2", 0.001, drift_s=-0.1)],
    )


def checks(facts: HealthFacts) -> dict[str, Result]:
    """The results by name."""
    return {result.name: result for result in judge_health(facts, LIMITS)}


def test_everything_at_its_limit_passes() -> None:
    """Limits of health include themselves; the checks come in the order in which a reader wants them."""
    results = judge_health(healthy(), LIMITS)
    assert [(result.name, result.status) for result in results] == [
        ("complete", "pass"),
        ("workers", "pass"),
        ("snapshots", "pass"),
        ("ledger", "pass"),
        ("users", "pass"),
        ("journeys", "pass"),
        ("lateness", "pass"),
        ("offered", "pass"),
        ("cpu", "pass"),
        ("loop_lag", "pass"),
        ("reconnects", "pass"),
        ("sockets", "pass"),
        ("memory", "pass"),
        ("clock", "pass"),
    ]


@pytest.mark.parametrize(
    ("check", "changes", "observed", "words"),
    [
        ("complete", {"finished": "stopped 3.0 s into the load: Ctrl-C"}, 0.0, "Ctrl-C"),
        ("workers", {"lost_workers": ("worker-2 died", "worker-3 died")}, 0.0, "worker-2 died; worker-3 died"),
        ("snapshots", {"missing_snapshots": 1}, 1.0, "1"),
        ("ledger", {"imbalances": ("turns: 5", "requests: 6")}, 0.0, "turns: 5; requests: 6"),
        ("users", {"users_started": 49, "connections": 59, "most_sockets": 98}, 49.0, "49"),
        ("journeys", {"journey_errors": 1}, 1.0, "1"),
        ("lateness", {"lateness": lateness(*[100_001] * 100)}, 0.100001, "100 ms"),
        ("lateness", {"lateness": lateness()}, None, "no data"),
        ("offered", {"sent": 989}, 0.989, "98.9 % .989 of 1,000.; .*; nobody reported 1 turns$"),
        ("offered", {"sent": 980, "waiting": 20, "late": 0}, 0.98, "the target: 2 users were still waiting for it .20 turns.$"),
        ("offered", {"sent": 980, "waiting": 0, "late": 20}, 0.98, "of 1,000.; the generator: it was too late for 20 turns$"),
        ("offered", {"planned": 0, "sent": 0}, None, "no data"),
        ("cpu", {"cpu": 0.951}, 0.951, "95.1 %"),
        ("loop_lag", {"loop_lag": lateness(251_000)}, 0.251, "251 ms"),
        ("loop_lag", {"loop_lag": lateness()}, None, "no data"),
        ("reconnects", {"connections": 61}, 0.011, "1.1 % .11."),
        ("reconnects", {"requests": 0}, None, "no data"),
        ("sockets", {"most_sockets": 101}, 2.02, "2.02 .101."),
        ("memory", {"memory_bytes": 1_010_000_000}, 1.01e9, "1.01 GB"),
        ("clock", {"clocks": [clock("w-1", 0.05), clock("w-2", 0.101)]}, 0.101, "w-2: 3,600 s ahead ± 101 ms, no drift"),
        ("clock", {"clocks": [clock("w-1", 0.001, drift_s=-0.2)]}, 0.2, "w-1: 3,600 s ahead ± 1 ms, drifted 200 ms back"),
        ("clock", {"clocks": [clock("w-1", 0.001), SILENT]}, None, "w-2 gave no time at the end"),
        ("clock", {"clocks": []}, None, "no data"),
    ],
    ids=[
        "halted",
        "lost",
        "missing",
        "imbalance",
        "users",
        "journeys",
        "late",
        "no lateness",
        "offered",
        "target short",
        "generator short",
        "nothing offered",
        "busy",
        "lag",
        "no lag",
        "reconnects",
        "no requests",
        "sockets",
        "memory",
        "doubt",
        "drift",
        "no time at the end",
        "no clocks",
    ],
)
def test_each_check_fails_alone(check: str, changes: dict[str, Any], observed: float | None, words: str) -> None:
    """One trouble fails one check, which carries the limit and what was observed."""
    results = checks(replace(healthy(), **changes))
    assert [name for name, result in results.items() if result.status == "fail"] == [check]
    failed = results[check]
    assert failed.observed == (None if observed is None else pytest.approx(observed, rel=1e-9))
    assert re.search(words, failed.observed_text)


def test_a_load_that_never_began_is_not_asked_for_its_cpu() -> None:
    """Without windows there is nothing to say of the workers; another check says that there was no load."""
    assert {"cpu", "memory", "sockets"}.isdisjoint(checks(replace(healthy(), cpu=None, memory_bytes=None)))


def test_limits_are_in_the_results() -> None:
    """Each result says in words and as a number what was asked."""
    results = checks(healthy())
    assert (results["lateness"].objective, results["lateness"].limit) == ("lateness.p99 <= 100 ms", 0.1)
    assert (results["offered"].objective, results["offered"].limit) == ("offered >= 99 % of planned", 0.99)
    assert (results["users"].objective, results["users"].limit) == ("users started >= 50", 50.0)
    assert (results["cpu"].objective, results["cpu"].limit) == ("cpu of the busiest worker <= 95 %", 0.95)
    assert (results["memory"].objective, results["memory"].limit) == ("memory of the largest worker <= 1 GB", 1e9)
    assert (results["reconnects"].objective, results["reconnects"].limit) == ("reconnects per request <= 1 %", 0.01)
    assert (results["snapshots"].objective, results["snapshots"].limit) == ("missing snapshots <= 0", 0.0)


def test_more_users_than_planned_are_no_trouble() -> None:
    """Locust may spawn a user too many, which then idles."""
    assert checks(replace(healthy(), users_started=51))["users"].status == "pass"


def test_a_run_that_took_no_look_at_its_clocks_is_not_asked() -> None:
    """Records that are older than the check keep their verdict."""
    assert "clock" not in checks(replace(healthy(), clocks=None))


def test_every_check_names_its_files() -> None:
    """The source of each is files of a run's folder."""
    known = {"manifest.json", "windows.jsonl", "events.jsonl", "tasks.jsonl"}
    for result in judge_health(healthy(), LIMITS):
        assert set(result.source.split(", ")) <= known, result.name
    assert checks(healthy())["workers"].source == "events.jsonl"
    assert checks(healthy())["lateness"].source == "windows.jsonl"


def test_notes_tell_of_clocks_that_are_off() -> None:
    """Only of those beyond the limit, on whichever side; what is off is in the note."""
    behind = WorkerClock("w-3", ClockReading(-0.25, 0.001), ClockReading(-0.25, 0.001))
    exact = WorkerClock("w-4", ClockReading(0.01, 0.001), ClockReading(0.01, 0.001))
    assert clock_notes([clock("w-2", 0.001), behind, exact], 0.1) == [
        "w-2's clock is 3,600 s ahead; taken out",
        "w-3's clock is 250 ms behind; taken out",
    ]
