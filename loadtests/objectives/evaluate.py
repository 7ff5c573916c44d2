"""From facts to results: a pure function, the same today and in a year.

An objective without data fails: what was not measured was not met.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Literal

from loadtests.measure.counters import Buckets, quantile
from loadtests.measure.histogram import HIGHEST_US, Histogram
from loadtests.measure.intervals import Interval, decided, quantile_interval, ratio_interval
from loadtests.measure.series import Series
from loadtests.objectives.grammar import Kind, Metric, Objective, format_measured, percentile

Status = Literal["pass", "fail"]
NO_END_US = 10**15
"""How long a task took that never ended: 31 years, longer than any limit."""


@dataclass(frozen=True)
class TaskFacts:
    """What became of the accepted tasks; None where nobody looked."""

    accepted: int
    completed: int
    processing: Histogram
    """From due to the task's end; NO_END_US for a task without one."""
    wait: Histogram = field(default_factory=Histogram)
    """From due to the beginning of its work, where the target tells it; likewise for a task that never began."""
    run: Histogram = field(default_factory=Histogram)
    """From there to its end."""
    counts: Mapping[str, int | None] = field(default_factory=dict)
    """Tasks by what is wrong with them (`tasks_lost` ...); None where nobody looked."""


@dataclass(frozen=True)
class Facts:
    """Everything that objectives may ask about."""

    series: Mapping[str, Series]
    total: Series
    """All requests of the mix; logins and token refreshes are series of their own and not in it."""
    steady_ok: Mapping[str | None, int]
    """Requests answered without failure in the steady part of the load, by name; None for all."""
    steady_s: float
    gauges: Mapping[tuple[str, str | None], Sequence[float]] = field(default_factory=dict)
    """Samples by (metric, selector)."""
    doubts: Mapping[tuple[str, str | None], str] = field(default_factory=dict)
    """What is wrong with the samples of metrics that are known for too little of the load, by (metric, selector)."""
    silences: Callable[[Metric, str | None], str | None] = lambda *_: None
    """Why there is nothing of a metric at all, where somebody knows."""
    shares: Mapping[str, float] = field(default_factory=dict)
    """Ratios of counters, over the whole load."""
    share_counts: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """What they are ratios of: part and whole."""
    distributions: Mapping[str, Buckets] = field(default_factory=dict)
    """Histograms of the target's own, over the whole load."""
    recoveries: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    """Seconds from each planted fault to the recovery from it, by service; None where there was none."""
    tasks: TaskFacts | None = None


@dataclass(frozen=True)
class Result:
    """One line of the verdict. `observed` is in the metric's base unit, None when there was no data."""

    name: str
    objective: str
    observed: float | None
    observed_text: str
    status: Status
    limit: float
    source: str
    interval: Sequence[float] | None = None
    """Lowest and highest value that chance alone leaves open (95 %), the highest infinite where there are too few values to
    tell it; None where there is no such thing.
    """
    decided: bool = True
    """Whether the limit lies outside of the interval, so that another run would say the same."""

    @property
    def open_ended(self) -> bool:
        """Whether there were too few values to tell how high the interval reaches."""
        return self.interval is not None and not isfinite(self.interval[1])

    @property
    def mark(self) -> str:
        """Beside a status that another run may not confirm."""
        return "" if self.decided else " \u00b1"

    def to_json(self) -> dict[str, Any]:
        """As `verdict.json` has it."""
        return {
            "name": self.name,
            "objective": self.objective,
            "observed": self.observed,
            "observed_text": self.observed_text,
            "status": self.status,
            "limit": self.limit,
            "source": self.source,
            "interval": None if self.interval is None else [end if isfinite(end) else None for end in self.interval],
            "decided": self.decided,
        }


def evaluate(name: str, objective: Objective, facts: Facts, *, final: bool = True) -> Result:
    """Compare one objective with the facts. What was known too rarely misses it, whatever its value.

    Of facts that are not final nobody asks what another run would say: then there are no intervals.
    """
    observed = observe(objective, facts)
    doubt = facts.doubts.get((objective.metric.name, objective.selector))
    interval = interval_of(objective, facts) if final and observed is not None else None
    return Result(
        name=name,
        objective=str(objective),
        observed=observed,
        observed_text=_observed_text(objective, observed, interval, doubt, facts),
        status="pass" if observed is not None and doubt is None and objective.holds(observed) else "fail",
        limit=objective.threshold,
        source=_source(objective),
        interval=interval,
        decided=doubt is not None or decided(objective.holds, interval),
    )


def interval_of(objective: Objective, facts: Facts) -> Interval | None:
    """Within what the value would lie in most repetitions of the run, in the metric's base unit; None where nobody can say."""
    match objective.metric.kind:
        case "latency" | "task_latency":
            histogram = _histogram(objective, facts)
            q = percentile(objective.statistic or "")
            found = None if histogram is None or q is None else quantile_interval(histogram, q)
            return None if found is None else (found[0] / 1e6, found[1] / 1e6)
        case "ratio" | "share":
            counts = _ratio_counts(objective, facts)
            return None if counts is None else ratio_interval(*counts)
    return None


def _observed_text(
    objective: Objective, observed: float | None, interval: Interval | None, doubt: str | None, facts: Facts
) -> str:
    """The value; with its interval where that decides something, or where the value says little without: an availability."""
    if observed is None:
        reason = facts.silences(objective.metric, objective.selector)
        return f"no data ({reason})" if reason else "no data"
    shown = objective.format_value(observed)
    if objective.metric.kind == "task_latency" and observed * 1e6 > HIGHEST_US:
        return "no end"
    if interval is not None and (objective.metric.name == "availability" or not decided(objective.holds, interval)):
        shown = format_measured(objective.metric, observed, *interval)
    return f"{shown}, {doubt}" if doubt else shown


def observe(objective: Objective, facts: Facts) -> float | None:
    """The observed value in the metric's base unit; None without data."""
    return _OBSERVERS[objective.metric.kind](objective, facts)


def _latency(objective: Objective, facts: Facts) -> float | None:
    histogram = _histogram(objective, facts)
    return None if histogram is None else _statistic(histogram, objective.statistic)


def _rate(objective: Objective, facts: Facts) -> float | None:
    count = facts.steady_ok.get(objective.selector)
    return None if count is None or facts.steady_s <= 0 else count / facts.steady_s


def _count(objective: Objective, facts: Facts) -> float | None:
    series = _series(objective, facts)
    if series is None:
        return None
    return float(series.requests if objective.metric.name == "requests" else series.failed)


def _share(objective: Objective, facts: Facts) -> float | None:
    return facts.shares.get(objective.metric.name)


def _recovery(objective: Objective, facts: Facts) -> float | None:
    """The slowest; a fault that was not recovered from has no time, and so has the whole service."""
    times = facts.recoveries.get(objective.selector or "", ())
    known = [time for time in times if time is not None]
    return max(known) if known and len(known) == len(times) else None


def _task_count(objective: Objective, facts: Facts) -> float | None:
    count = facts.tasks.counts.get(objective.metric.name) if facts.tasks else None
    return None if count is None else float(count)


def _series(objective: Objective, facts: Facts) -> Series | None:
    series = facts.total if objective.selector is None else facts.series.get(objective.selector)
    return series if series is not None and series.requests else None


def _histogram(objective: Objective, facts: Facts) -> Histogram | None:
    """What a latency is read off; None when nobody looked."""
    if objective.metric.kind == "task_latency":
        tasks = facts.tasks
        by_name = {"task_processing": tasks.processing, "task_wait": tasks.wait, "task_run": tasks.run} if tasks else {}
        return by_name.get(objective.metric.name)
    series = _series(objective, facts)
    if series is None:
        return None
    return series.response_time if objective.metric.name == "response_time" else series.service_time


def _distribution(objective: Objective, facts: Facts) -> float | None:
    q = percentile(objective.statistic or "")
    return None if q is None else quantile(q, facts.distributions.get(objective.metric.name, ()))


def _statistic(histogram: Histogram, statistic: str | None) -> float | None:
    if not histogram.count or statistic is None:
        return None
    q = percentile(statistic)
    if q is not None:
        return histogram.quantile(q) / 1e6
    if statistic == "mean":
        return histogram.mean_us / 1e6
    return (histogram.max_us if statistic == "max" else histogram.min_us or 0) / 1e6


def _gauge(objective: Objective, facts: Facts) -> float | None:
    samples = facts.gauges.get((objective.metric.name, objective.selector))
    if not samples:
        return None
    match objective.statistic:
        case "max":
            return max(samples)
        case "min":
            return min(samples)
    return sum(samples) / len(samples)


def _ratio(objective: Objective, facts: Facts) -> float | None:
    counts = _ratio_counts(objective, facts)
    return None if counts is None else counts[0] / counts[1]


def _ratio_counts(objective: Objective, facts: Facts) -> tuple[float, float] | None:
    """What a ratio is one of: part and whole, which is not 0."""
    name = objective.metric.name
    if objective.metric.kind == "share":
        return facts.share_counts.get(name)
    if name == "task_success":
        tasks = facts.tasks
        return (tasks.completed, tasks.accepted) if tasks and tasks.accepted else None
    series = _series(objective, facts)
    if series is None:
        return None
    return series.failed if name == "failure_ratio" else series.ok, series.requests


_OBSERVERS: dict[Kind, Callable[[Objective, Facts], float | None]] = {
    "latency": _latency,
    "task_latency": _latency,
    "ratio": _ratio,
    "rate": _rate,
    "count": _count,
    "gauge": _gauge,
    "share": _share,
    "distribution": _distribution,
    "recovery": _recovery,
    "task_count": _task_count,
}


def _source(objective: Objective) -> str:
    """Who says so, and the file in which it stands."""
    return f"{objective.metric.source}, {_file(objective)}"


def _file(objective: Objective) -> str:
    match objective.metric.kind:
        case "gauge" if objective.metric.name != "users":
            return "probes.jsonl"
        case "share" | "distribution":
            return "probes.jsonl"
        case "task_latency" | "task_count":
            return "tasks.jsonl"
        case "ratio" if objective.metric.name == "task_success":
            return "tasks.jsonl"
        case "recovery":
            return "windows.jsonl and events.jsonl"
    return "windows.jsonl"
