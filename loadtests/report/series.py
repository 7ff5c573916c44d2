"""The columns that `report.html` draws: a pure function from a run's files.

A point is one second. A run of more than MOST_POINTS seconds has points of several neighbouring seconds each, whose
histograms are merged before anything is read off them, so a percentile is always that of the requests of its point and never
a mean of percentiles. What is not known is null, which charts show as a gap.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, groupby, pairwise, takewhile
from math import ceil, inf
from statistics import fmean
from typing import Any

from loadtests.measure.histogram import Histogram
from loadtests.measure.series import Series
from loadtests.measure.snapshot import Counts
from loadtests.measure.window import Window
from loadtests.pacing.stream import ClosedLoad, expected_turns
from loadtests.report.evidence import Evidence
from loadtests.report.marks import events_of, gauge_limits, gauge_statistic, health_lines, limits_of, stages_of
from loadtests.report.verdict import Verdict
from loadtests.scenario.plan import metrics
from loadtests.store.records import read_lines
from loadtests.store.windows import read_windows
from loadtests.traffic.tokens import AUTH_SERIES

MOST_POINTS = 600
MOST_KINDS = 7
"""Kinds of failure with a column of their own, the most frequent ones; the others share one."""
EDGES_US = tuple(dict.fromkeys(round(10 ** (step / 10)) for step in range(97)))
"""Edges of the heat map's bins, from 1 us to above an hour."""
STEPS_PER_DECADE = 20
"""Points of the percentile curve while 1 / (1 - q) grows tenfold."""
GAP = 1.8
"""A probe's round every second: when one fails, two seconds lie between its neighbours."""

REDUCE: Mapping[str, Callable[[Sequence[float]], float]] = {"max": max, "min": min, "mean": fmean}
"""How neighbouring samples of a gauge become one: as the objective has it that speaks of them."""

Column = list[float | None]
Sample = tuple[float, float]


def columns(evidence: Evidence, verdict: Verdict) -> dict[str, Any]:
    """Everything that the charts need: columns over time, distributions, limits, events and stages."""
    seconds = max([ceil(evidence.end_s), *(number + 1 for number, _ in evidence.totals.ok_by_second)])
    step_s = ceil(seconds / MOST_POINTS)
    edges_us = bin_edges(evidence.total.response_time)
    table = _Table(ceil(seconds / step_s), edges_us)
    for index, point in points_of(read_windows(evidence.folder.file("windows.jsonl")), step_s):
        table.put(index, point)
    planned = planned_rates(evidence, step_s, seconds)
    if planned is not None:
        table.replace("offered", planned)
    events = events_of(evidence)
    return {
        "step_s": step_s,
        "until_s": max([seconds, *(event["at_s"] for event in events)]),
        "t": [index * step_s for index in range(table.points)],
        "columns": table.columns,
        "planned": planned is not None,
        "failures": table.failures(),
        "heat": {"edges_ms": [edge / 1e3 for edge in edges_us], "counts": table.heat},
        "spectrum": spectrum(evidence.total),
        "probes": _probes(evidence, verdict, step_s, seconds),
        "limits": {**limits_of(evidence, verdict), **health_lines(verdict)},
        "events": events,
        "stages": stages_of(evidence, seconds),
    }


def planned_rates(evidence: Evidence, step_s: int, seconds: int) -> list[float] | None:
    """Turns per second that the plan offers on average in each point, none once the load has ended; None for a closed model.

    What the users made of it is no measure: those that waited for the target when the load ended drop all their turns at once.
    """
    load, users = evidence.plan.load, evidence.plan.scenario.load.users
    if isinstance(load, ClosedLoad):
        return None
    edges = [*range(0, seconds, step_s), seconds]
    upto = [expected_turns(load, users, min(edge, evidence.end_s)) for edge in edges]
    return [
        round((after - before) / (end - begin), 3)
        for (before, after), (begin, end) in zip(pairwise(upto), pairwise(edges), strict=True)
    ]


@dataclass
class Point:
    """Neighbouring windows in one."""

    windows: int = 0
    counts: Counts = field(default_factory=Counts)
    lateness: Histogram = field(default_factory=Histogram)
    total: Series = field(default_factory=Series)
    """All requests of the mix."""
    users: int = 0
    in_flight: int = 0
    sockets: int = 0
    loop_lag_us: int = 0
    cpu_s: dict[int, float] = field(default_factory=dict)
    """By worker."""

    def add(self, window: Window) -> None:
        """Merge one more window; of a gauge the largest is kept."""
        self.windows += 1
        self.counts.add(window.counts)
        self.lateness.merge(window.lateness)
        self.total.merge(window.total(without=AUTH_SERIES))
        self.users = max(self.users, window.users)
        self.in_flight = max(self.in_flight, sum(gauges.in_flight for gauges in window.workers.values()))
        self.sockets = max(self.sockets, window.sockets)
        for worker, gauges in window.workers.items():
            self.loop_lag_us = max(self.loop_lag_us, gauges.loop_lag_us)
            self.cpu_s[worker] = self.cpu_s.get(worker, 0.0) + gauges.cpu

    def row(self) -> dict[str, float | None]:
        """One value a column: rates in 1/s, times in ms, `cpu` in cores of the busiest worker."""
        p50, p95, p99 = _quantiles_ms(self.total.response_time, 0.5, 0.95, 0.99)
        return {
            "offered": round(self.counts.scheduled / self.windows, 3),
            "achieved": round(self.total.ok / self.windows, 3),
            "response_p50": p50,
            "response_p95": p95,
            "response_p99": p99,
            "service_p99": _quantiles_ms(self.total.service_time, 0.99)[0],
            "users": self.users,
            "in_flight": self.in_flight,
            "sockets": self.sockets,
            "lateness_p99": _quantiles_ms(self.lateness, 0.99)[0],
            "loop_lag": self.loop_lag_us / 1e3,
            "cpu": round(max(self.cpu_s.values(), default=0.0) / self.windows, 4),
        }


def points_of(windows: Iterable[Window], step_s: int) -> Iterator[tuple[int, Point]]:
    """Windows merged to points of `step_s` seconds, with their numbers; one point is in memory at a time."""
    for index, group in groupby(windows, key=lambda window: window.number // step_s):
        point = Point()
        for window in group:
            point.add(window)
        yield index, point


class _Table:
    """Columns with one place for each point, null until it is known."""

    def __init__(self, points: int, edges_us: Sequence[int]) -> None:
        self.points, self._edges_us = points, edges_us
        self.columns: dict[str, Column] = {}
        self.heat: list[list[int] | None] = [None] * points
        self._failures: list[Mapping[str, int] | None] = [None] * points
        self._windows = [0] * points

    def put(self, index: int, point: Point) -> None:
        for name, value in point.row().items():
            self.columns.setdefault(name, [None] * self.points)[index] = value
        self.heat[index] = binned(point.total.response_time, self._edges_us)
        self._failures[index] = point.total.failures
        self._windows[index] = point.windows

    def replace(self, name: str, values: Sequence[float]) -> None:
        """Other values for the points that are known."""
        for index, value in enumerate(values):
            if self._windows[index]:
                self.columns[name][index] = value

    def failures(self) -> dict[str, Column]:
        """Failures per second by kind, the most frequent kind first."""
        whole = sum((Counter(found) for found in self._failures if found), Counter[str]())
        kinds = [kind for kind, _ in whole.most_common()]
        own, others = (kinds, []) if len(kinds) <= MOST_KINDS + 1 else (kinds[:MOST_KINDS], kinds[MOST_KINDS:])
        named = {kind: self._rates([kind]) for kind in own}
        return named | ({f"{len(others)} other kinds": self._rates(others)} if others else {})

    def _rates(self, kinds: Sequence[str]) -> Column:
        return [
            None if found is None else round(sum(found.get(kind, 0) for kind in kinds) / windows, 3)
            for found, windows in zip(self._failures, self._windows, strict=True)
        ]


def _quantiles_ms(histogram: Histogram, *qs: float) -> Sequence[float | None]:
    return [value / 1e3 for value in histogram.quantiles(*qs)] if histogram.count else [None] * len(qs)


def bin_edges(histogram: Histogram) -> Sequence[int]:
    """Edges in microseconds, ten to a tenfold, around all values; none without values."""
    if not histogram.count:
        return ()
    first = min(max(bisect_left(EDGES_US, histogram.min_us or 0) - 1, 0), len(EDGES_US) - 2)
    last = max(bisect_left(EDGES_US, histogram.max_us), first + 1)
    return EDGES_US[first : last + 1]


def binned(histogram: Histogram, edges_us: Sequence[int]) -> list[int]:
    """How many values lie between neighbouring edges, in the sense of `Histogram.at_most`; the outer bins are open."""
    upto = [*histogram.at_most(edges_us[1:-1]), histogram.count]
    return [after - before for before, after in pairwise([0, *upto])]


def spectrum(total: Series) -> dict[str, list[float]]:
    """Response and service time in ms by percentile: at `x` = 1 / (1 - q), up to the largest value, which ends the curve."""
    requests = total.response_time.count
    if not requests:
        return {"x": [], "response": [], "service": []}
    xs = list(takewhile(lambda x: x < requests, (10 ** (step / STEPS_PER_DECADE) for step in count())))
    qs = [1 - 1 / x for x in xs]
    return {
        "x": [*(round(x, 4) for x in xs), requests],
        "response": _curve(total.response_time, qs),
        "service": _curve(total.service_time, qs),
    }


def _curve(histogram: Histogram, qs: Sequence[float]) -> list[float]:
    values = histogram.quantiles(*qs) if qs else []
    return [value / 1e3 for value in (*values, histogram.max_us)]


def _probes(evidence: Evidence, verdict: Verdict, step_s: int, seconds: int) -> list[dict[str, Any]]:
    """A column with times of its own for each metric and selector that was sampled, and what objectives ask of it."""
    known, found = metrics(evidence.plan.scenario.probes, evidence.plan.scenario.tasks), timed_samples(evidence, seconds)
    return [
        {
            "name": f"{metric}({selector})" if selector else metric,
            "unit": known[metric].unit if metric in known else "count",
            "limits": gauge_limits(evidence, verdict, metric, selector),
            **thinned(samples, step_s, gauge_statistic(evidence, metric, selector)),
        }
        for (metric, selector), samples in sorted(found.items(), key=lambda item: (item[0][0], item[0][1] or ""))
    ]


def timed_samples(evidence: Evidence, seconds: int) -> dict[tuple[str, str | None], list[Sample]]:
    """The probes' samples as (seconds since the start, value), by metric and selector."""
    found: dict[tuple[str, str | None], list[Sample]] = {}
    start = evidence.start_epoch
    for record in read_lines(evidence.folder.file("probes.jsonl")) if start is not None else ():
        at_s = record["time"] - start
        if 0 <= at_s <= seconds:
            for metric, selector, value in record["samples"]:
                found.setdefault((metric, selector), []).append((at_s, value))
    return found


def thinned(samples: Sequence[Sample], step_s: int, statistic: str) -> dict[str, Column]:
    """Samples as two columns, `t` and `v`, with a null where rounds are missing; of a long run one a point, by `statistic`."""
    kept = samples
    if step_s > 1:
        groups = groupby(samples, key=lambda sample: int(sample[0] // step_s))
        kept = [((index + 0.5) * step_s, REDUCE[statistic]([value for _, value in group])) for index, group in groups]
    t: Column = []
    v: Column = []
    before_s = inf
    for at_s, value in kept:
        if at_s - before_s > GAP * step_s:
            t.append(round((at_s + before_s) / 2, 3))
            v.append(None)
        t.append(round(at_s, 3))
        v.append(value)
        before_s = at_s
    return {"t": t, "v": v}
