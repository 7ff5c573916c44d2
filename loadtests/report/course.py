"""A run that is still going on: its stages, what its windows say so far, and which objectives they miss at the moment.

Judged are the objectives that windows can answer: latencies, ratios, rates, and counts with an upper limit (one with a lower
limit is missed until it is reached, which says nothing before the end). Gauges and tasks are left to the verdict.
"""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from loadtests.measure.series import Series, merge_all
from loadtests.measure.window import Window
from loadtests.objectives.evaluate import Facts, Result, evaluate
from loadtests.objectives.grammar import Objective
from loadtests.scenario.plan import Plan
from loadtests.scenario.schema import Stage as PlannedStage
from loadtests.traffic.tokens import AUTH_SERIES
from loadtests.units import significant

PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
HISTORY = 60
"""Windows whose rate and p95 are kept for the sparklines."""
RATE_AFTER_S = 5
"""Steady seconds before a rate is judged: of fewer, the requests under way at their edges are too large a part."""


@dataclass(frozen=True)
class Stage:
    """A part of the load, in seconds after its start."""

    name: str
    begin_s: float
    end_s: float


class Point(NamedTuple):
    """One window of the sparklines."""

    achieved: int
    """Requests answered without failure."""
    p95_s: float | None
    steady: bool
    """Whether the second is one that rates are judged by."""


@dataclass(frozen=True)
class Figures:
    """What is known after a window."""

    window: Window
    total: Series
    """The window's requests of the mix."""
    latency_s: Mapping[str, float]
    """Their response times by `PERCENTILES`; empty without requests."""
    requests: int
    """Of the mix, since the start; `failures` among them."""
    failures: int
    history: tuple[Point, ...]
    results: tuple[Result, ...]
    """Objectives that are judged so far; those without data yet are not among them."""

    @property
    def failing(self) -> tuple[Result, ...]:
        """Objectives that are missed now."""
        return tuple(result for result in self.results if result.status == "fail")


class Course:
    """Adds windows up, in memory that does not grow with the run."""

    def __init__(self, plan: Plan) -> None:
        self._objectives = {name: one for name, one in plan.parsed_objectives.items() if judged_early(one)}
        self._first, self._last = plan.steady_seconds(plan.scenario.load.total_s)
        self._steady_s = 0
        self._series: dict[str, Series] = {}
        self._total = Series()
        self._steady_ok: Counter[str | None] = Counter()
        self._history: deque[Point] = deque(maxlen=HISTORY)
        self._halted = False

    def halt(self) -> None:
        """The load ends before its time: later seconds say nothing about its rate."""
        self._halted = True

    def add(self, window: Window) -> Figures:
        """Take the next window; what is known now."""
        total = window.total(without=AUTH_SERIES)
        merge_all(window.series, self._series)
        self._total.merge(total)
        steady = self._first <= window.number < self._last and not self._halted
        self._add_rate(window, total, steady)
        latency_s = _latency(total)
        self._history.append(Point(total.ok, latency_s.get("p95"), steady))
        requests, failures = self._total.requests, self._total.failed
        return Figures(window, total, latency_s, requests, failures, tuple(self._history), tuple(self._results()))

    def _add_rate(self, window: Window, total: Series, steady: bool) -> None:
        if not self._halted:
            self._steady_s = max(0, min(window.number + 1, self._last) - self._first)
        self._steady_ok[None] += total.ok if steady else 0
        for name, series in window.series.items():
            self._steady_ok[name] += series.ok if steady else 0

    def _results(self) -> list[Result]:
        steady_s = float(self._steady_s) if self._steady_s >= RATE_AFTER_S else 0.0
        facts = Facts(self._series, self._total, self._steady_ok, steady_s)
        results = [evaluate(name, objective, facts, final=False) for name, objective in self._objectives.items()]
        return [result for result in results if result.observed is not None]


def _latency(total: Series) -> dict[str, float]:
    if not total.response_time.count:
        return {}
    values = total.response_time.quantiles(*PERCENTILES.values())
    return {name: value_us / 1e6 for name, value_us in zip(PERCENTILES, values, strict=True)}


def judged_early(objective: Objective) -> bool:
    """Whether windows alone can tell before the end that it is being missed."""
    match objective.metric.kind:
        case "latency" | "rate":
            return True
        case "ratio":
            return objective.metric.name != "task_success"
        case "count":
            return objective.comparison in ("<", "<=")
    return False


def changes(before: Sequence[Result], now: Figures) -> tuple[list[Result], list[Result]]:
    """Objectives that have begun to fail since `before`, the failing ones then, and those that have recovered."""
    were = {result.name for result in before}
    began = [result for result in now.failing if result.name not in were]
    return began, [result for result in now.results if result.status == "pass" and result.name in were]


def stages_of(plan: Plan) -> tuple[Stage, ...]:
    """The parts of the load in order: its ramp and its steady part, or the stages of the plan. Jumps take no time."""
    load = plan.scenario.load
    if not load.stages:
        parts = (Stage("ramp", 0.0, load.ramp_up), Stage("steady", load.ramp_up, load.total_s))
        return tuple(part for part in parts if part.end_s > part.begin_s)
    ends = [0.0]
    for stage in load.stages:
        ends.append(ends[-1] + stage.duration)
    levels = [0.0, *(stage.level for stage in load.stages)]
    full = load.users * load.rate_per_user
    return tuple(
        Stage(_name(stage, before, full), begin_s, end_s)
        for stage, before, (begin_s, end_s) in zip(load.stages, levels[:-1], pairwise(ends), strict=True)
        if stage.duration
    )


def _name(stage: PlannedStage, before: float, full: float) -> str:
    rate = f"{significant(stage.level * full)}/s"
    if stage.wave is not None:
        return f"wave around {rate}"
    return f"steady at {rate}" if stage.at is not None or stage.level == before else f"ramp to {rate}"
