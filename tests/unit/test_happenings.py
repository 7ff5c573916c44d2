"""Events as the page has them: in words, without what is none."""

from datetime import UTC, datetime
from typing import Any

import pytest

from loadtests.report.happenings import happenings
from tests.unit.runs import EPOCH

FOLLOWED = {
    "by": "sql",
    "accepted": 67696,
    "known": 67696,
    "duplicated": 0,
    "trouble": None,
    "time_s": EPOCH + 97.5,
    "rows": 68553,
    "extra": 857,
    "rows_trouble": None,
    "tells_begin": True,
    "clock_offset_s": -2e-06,
    "clock_doubt_s": 3.2e-05,
}
READ = [
    (
        {"event": "start", "at_s": 0.0, "epoch": EPOCH, "users": 10_000, "workers": {"0": "worker-1", "1": "worker-2"}}
        | {"clocks": {"0": {"offset_s": 3e-06, "doubt_s": 5e-05}}},
        ("0.0 s", "load begun", "users: 10,000 · workers: worker-1, worker-2"),
    ),
    (
        {"event": "fault", "at_s": 10.04, "phase": "begin", "fault": 1, "kind": "kill", "service": "worker", "instance": 2},
        ("10.0 s", "fault begun", "number: 1 · kill · worker · instance: 2"),
    ),
    (
        {"event": "worker_lost", "at_s": 6.5, "worker": 1, "name": "worker-2", "how": "stopped answering"},
        ("6.5 s", "worker lost", "worker-2 · stopped answering"),
    ),
    (
        {"event": "not_ready", "at_s": None, "worker": "worker-2", "trouble": "late"},
        ("40.0 s", "not ready", "worker: worker-2 · trouble: late"),
    ),
    (
        {"event": "abort", "at_s": 12.0, "name": "fast", "objective": "response_time.p95 < 200ms", "observed": 0.25}
        | {"observed_text": "250 ms", "window_s": 10},
        ("12.0 s", "load aborted", "fast · asked: response_time.p95 < 200ms · observed: 250 ms · over the last: 10 s"),
    ),
    (
        {"event": "followed", "at_s": None, **FOLLOWED},
        (
            "40.0 s",
            "tasks followed",
            "by: sql · accepted by the target: 67,696 · of them known to it: 67,696 · "
            "rows at the target: 68,553 · rows beside the accepted: 857 · the target tells when work begins: yes · "
            "the target's clock: 2 us behind ± 32 us",
        ),
    ),
    (
        {"event": "statements", "at_s": None}
        | {"slowest": [{"statement": "SELECT 1", "calls": 1200, "total_ms": 2500.123, "mean_ms": 2.083, "rows": 0}]},
        ("40.0 s", "slowest statements", "statement SELECT 1, calls 1,200, total 2.5 s, mean 2.08 ms, rows 0"),
    ),
    (
        {"event": "some_more", "at_s": 1.0, "own_field": 0.1234, "list": [], "off": False},
        ("1.0 s", "some more", "own field: 0.123 · off: no"),
    ),
]


@pytest.mark.parametrize(("event", "read"), READ, ids=[read[1] for _, read in READ])
def test_events_in_words(event: dict[str, Any], read: tuple[str, str, str]) -> None:
    """Numbers are round, nothing is true or none, and what has no moment of the load's clock has that of its record."""
    time = datetime.fromtimestamp(EPOCH + 40, UTC).isoformat()
    (found,) = happenings([{"time": time, **event}], EPOCH)
    assert (found.when, found.what, found.details) == read


def test_what_is_for_programs_is_left_out() -> None:
    """Totals of workers and long lists of ids; without a load nothing has a moment."""
    time = datetime.fromtimestamp(EPOCH, UTC).isoformat()
    events = [{"event": kind, "at_s": None, "time": time} for kind in ("worker_final", "unaccounted_tasks", "halt")]
    assert [(one.when, one.what) for one in happenings(events, None)] == [("", "load halted")]
