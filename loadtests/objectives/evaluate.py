"""From facts to results: a pure function, the same today and in a year.

An objective without data fails: what was not measured was not met.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from loadtests.measure.histogram import Histogram
from loadtests.measure.series import Series
from loadtests.objectives.grammar import Objective, percentile

Status = Literal["pass", "fail"]


@dataclass(frozen=True)
class TaskFacts:
    """What became of the accepted tasks; None where nobody looked."""

    accepted: int
    completed: int
    processing: Histogram
    """From due to the task's end. A task without an end is in it with the time it was waited for."""


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
        }


def evaluate(name: str, objective: Objective, facts: Facts) -> Result:
    """Compare one objective with the facts."""
    observed = observe(objective, facts)
    return Result(
        name=name,
        objective=str(objective),
        observed=observed,
        observed_text="no data" if observed is None else objective.format_value(observed),
        status="pass" if observed is not None and objective.holds(observed) else "fail",
        limit=objective.threshold,
        source=_source(objective),
    )


def observe(objective: Objective, facts: Facts) -> float | None:
    """The observed value in the metric's base unit; None without data."""
    match objective.metric.kind:
        case "latency":
            series = _series(objective, facts)
            return None if series is None else _statistic(_latency(objective, series), objective.statistic)
        case "task_latency":
            return None if facts.tasks is None else _statistic(facts.tasks.processing, objective.statistic)
        case "rate":
            count = facts.steady_ok.get(objective.selector)
            return None if count is None or facts.steady_s <= 0 else count / facts.steady_s
        case "gauge":
            return _gauge(objective, facts)
        case "count":
            series = _series(objective, facts)
            if series is None:
                return None
            return float(series.requests if objective.metric.name == "requests" else series.failed)
        case "ratio":
            return _ratio(objective, facts)


def _series(objective: Objective, facts: Facts) -> Series | None:
    series = facts.total if objective.selector is None else facts.series.get(objective.selector)
    return series if series is not None and series.requests else None


def _latency(objective: Objective, series: Series) -> Histogram:
    return series.response_time if objective.metric.name == "response_time" else series.service_time


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
    if objective.metric.name == "task_success":
        tasks = facts.tasks
        return tasks.completed / tasks.accepted if tasks and tasks.accepted else None
    series = _series(objective, facts)
    if series is None:
        return None
    return (series.failed if objective.metric.name == "failure_ratio" else series.ok) / series.requests


def _source(objective: Objective) -> str:
    match objective.metric.kind:
        case "gauge":
            return "windows.jsonl" if objective.metric.name == "users" else "probes.jsonl"
        case "task_latency":
            return "tasks.jsonl"
        case "ratio" if objective.metric.name == "task_success":
            return "tasks.jsonl"
    return "windows.jsonl"
