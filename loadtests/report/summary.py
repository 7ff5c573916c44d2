"""`summary.json`: the run in numbers, and `hdr/*.hlog`: its histograms second by second for HdrHistogram's own tools."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hdrh.log import HistogramLogWriter

from loadtests.measure.histogram import HIGHEST_US, Histogram
from loadtests.measure.series import Series
from loadtests.pacing.stream import ClosedLoad, OpenLoad, PlannedLoad, expected_turns, turns_between
from loadtests.report.authentication import authentication_costs
from loadtests.report.evidence import Evidence
from loadtests.scenario.plan import Plan
from loadtests.store.windows import read_windows

VERSION = 1
MOST_COUNTED = 1_000_000
"""Turns, which take two seconds to draw; the number of so many random ones is their mean to within 0.2 %."""
QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}
MOST_NAMED = 10
"""Ids of tasks of each kind of trouble; `ledger.json` has more."""


def summarise(evidence: Evidence) -> dict[str, Any]:
    """The content of `summary.json`. `rate` is what was answered without failure per second of the steady part.

    `achieved` is its share of `due_rate`, the turns that were due per second of the same part: random arrivals are not as many
    as the plan's mean, `offered_rate`. Journeys of several requests bring more than one request a turn.
    """
    first, last = evidence.steady_s
    total = evidence.total
    rate, due = evidence.rate, due_rate(evidence.plan, evidence.rated)
    series = {name: _series(series) for name, series in sorted(evidence.totals.series.items())}
    return {
        "version": VERSION,
        "requests": total.requests,
        "failures": total.failed,
        "rate": round(rate, 3),
        "offered_rate": evidence.plan.offered_rate,
        "due_rate": None if due is None else round(due, 3),
        "achieved": round(rate / due, 6) if due else None,
        "duration_s": evidence.end_s,
        "steady_s": [first, last],
        "users": evidence.plan.scenario.load.users,
        "stream": evidence.stream,
        "lateness_ms": latencies(evidence.totals.lateness),
        "task_processing_ms": _times(evidence.tasks.facts.processing) if evidence.tasks else None,
        "task_wait_ms": _times(evidence.tasks.facts.wait) if evidence.tasks else None,
        "task_run_ms": _times(evidence.tasks.facts.run) if evidence.tasks else None,
        "troubled_tasks": _troubled(evidence),
        "faults": [effect.to_json() for effect in evidence.effects],
        "total": _series(total),
        "authentication": authentication_costs(series),
        "series": series,
    }


def due_rate(plan: Plan, seconds: Sequence[int]) -> float | None:
    """Turns of the plan's stream that were due per second, in these seconds; None for a closed model, or without seconds.

    They are counted, one by one where arrivals are random; of more than MOST_COUNTED the plan's mean stands for them.
    """
    if isinstance(plan.load, ClosedLoad) or not seconds:
        return None
    return sum(_due(plan, plan.load, begin_s, end_s) for begin_s, end_s in _spans(seconds)) / len(seconds)


def _spans(seconds: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Beginning and end of each unbroken run of ascending seconds."""
    begin = seconds[0]
    for second, after in zip(seconds, [*seconds[1:], None], strict=True):
        if after != second + 1:
            yield begin, second + 1
            begin = after or 0


def _due(plan: Plan, load: PlannedLoad, from_s: float, to_s: float) -> float:
    users, seed = plan.scenario.load.users, plan.scenario.seed
    upto = expected_turns(load, users, to_s)
    if isinstance(load, OpenLoad) and load.process != "constant" and upto > MOST_COUNTED:
        return upto - expected_turns(load, users, from_s)
    return turns_between(load, seed, users, from_s, to_s)


def _troubled(evidence: Evidence) -> dict[str, list[str]]:
    """Ids of tasks by what is wrong with them, MOST_NAMED of each kind; kinds without are left out."""
    names = evidence.tasks.ledger.names if evidence.tasks else {}
    return {kind: list(ids[:MOST_NAMED]) for kind, ids in names.items() if ids}


def _series(series: Series) -> dict[str, Any]:
    return {
        "requests": series.requests,
        "failures": series.failed,
        "failure_kinds": dict(series.failures),
        "bytes": series.bytes_received,
        "response_time_ms": latencies(series.response_time),
        "service_time_ms": latencies(series.service_time),
    }


def latencies(histogram: Histogram) -> dict[str, float] | None:
    """Percentiles, largest and mean in milliseconds; None without data."""
    if not histogram.count:
        return None
    values = {name: histogram.quantile(q) / 1e3 for name, q in QUANTILES.items()}
    return {**values, "max": histogram.max_us / 1e3, "mean": round(histogram.mean_us / 1e3, 3)}


def _times(histogram: Histogram) -> dict[str, float | None] | None:
    """Those of tasks, likewise: None for a figure that tasks without an end leave without one."""
    found = latencies(histogram)
    return {name: value if value * 1e3 <= HIGHEST_US else None for name, value in found.items()} if found else None


def write_hlogs(evidence: Evidence) -> None:
    """One log a series and latency; values are microseconds, intervals are the windows."""
    start_s = evidence.start_epoch or 0.0
    logs: dict[str, _Log] = {}
    for window in read_windows(evidence.folder.file("windows.jsonl")):
        for name, series in window.series.items():
            for kind, histogram in (("response", series.response_time), ("service", series.service_time)):
                file = evidence.folder.hdr / f"{name.replace('/', '_')}.{kind}.hlog"
                if str(file) not in logs:
                    logs[str(file)] = _Log(file, start_s)
                logs[str(file)].add(window.number, histogram)
    for log in logs.values():
        log.close()


class _Log:
    def __init__(self, file: Path, start_s: float) -> None:
        self._file = file.open("w", encoding="ascii")
        self._writer = HistogramLogWriter(self._file)
        self._writer.output_log_format_version()
        self._writer.output_comment("[Values in microseconds]")
        self._writer.output_base_time(start_s * 1000)
        self._writer.output_legend()

    def add(self, second: int, histogram: Histogram) -> None:
        # By hand: the library's writer rounds the interval's largest value down to a whole second.
        self._file.write(f"{second:f},{1.0:f},{histogram.max_us / 1e6:f},{histogram.encode_hdr()}\n")

    def close(self) -> None:
        self._file.close()
