"""The one-line grammar of objectives, checked before anything starts.

    objective := metric [ "(" selector ")" ] [ "." statistic ] comparison [ share "of" ] limit
    comparison := "<" | "<=" | ">" | ">="
    share := number "%"            the limit is this share of what follows: rate >= 99% of 10000/s
    statistic := "p" digits | "max" | "min" | "mean"        p50 p90 p95 p99 p999 (digits after the second are decimals)

    response_time(list_tasks).p95 < 200ms      from the moment a request was due to its last byte
    service_time.p99 <= 0.5s                   from its send; without a selector: all series of the mix together
    rate >= 9500/s                             answered without failure, per second of the steady part of the load
    failure_ratio(create_task) < 1%            failed / all; availability is its complement
    requests > 1000                            finished requests; failures: those that failed
    users.max >= 10000                         simulated users at work
    task_processing.p95 < 30s                  from the moment the creating request was due to the task's completion
    task_wait.p95 < 5s                         from due to the beginning of the task's work; task_run: from there on
    task_success >= 99%                        completed / accepted
    tasks_lost <= 0                            accepted and unknown to the target; also _unfinished, _duplicated, _foreign
    db_connections.max < 100                   a gauge that the scenario's probes deliver, here named db_connections
    memory(api).max < 2GB                      a probe's gauge with a selector, here one service of the stack
    cache_read_reduction >= 50%                a share of two counters of a probe, over the whole load
    server_time.p95 < 100ms                    a probe's histogram, over the whole load
    recovery(postgres).time < 15s              from a planted fault to the first of three seconds without trouble

Selectors are request names for latencies, ratios and counts, and services for gauges. A metric without data never passes.
"""

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from loadtests import units
from loadtests.measure.histogram import HIGHEST_US

Kind = Literal["latency", "task_latency", "ratio", "rate", "count", "gauge", "task_count", "share", "distribution", "recovery"]
Unit = Literal["duration", "ratio", "rate", "count", "size"]
Comparison = Literal["<", "<=", ">", ">="]

COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True)
class Metric:
    """What an objective may speak of: how it is measured and which unit its limit has."""

    name: str
    kind: Kind
    unit: Unit
    selectable: bool = False
    source: str = "client"
    """Who says so, in words."""
    probe: str = ""
    """The probe that delivers it, as `probes.jsonl` calls it."""

    @property
    def has_statistic(self) -> bool:
        """Whether a value of it needs `.p95`, `.max` ..."""
        return self.kind in ("latency", "task_latency", "gauge", "distribution", "recovery")


_TASKS = "ledger of tasks"

BUILT_IN = {
    metric.name: metric
    for metric in (
        Metric("response_time", "latency", "duration", selectable=True),
        Metric("service_time", "latency", "duration", selectable=True),
        Metric("rate", "rate", "rate", selectable=True),
        Metric("failure_ratio", "ratio", "ratio", selectable=True),
        Metric("availability", "ratio", "ratio", selectable=True),
        Metric("requests", "count", "count", selectable=True),
        Metric("failures", "count", "count", selectable=True),
        Metric("users", "gauge", "count"),
        Metric("task_processing", "task_latency", "duration", source=_TASKS),
        Metric("task_wait", "task_latency", "duration", source=_TASKS),
        Metric("task_run", "task_latency", "duration", source=_TASKS),
        Metric("task_success", "ratio", "ratio", source=_TASKS),
        Metric("tasks_lost", "task_count", "count", source=_TASKS),
        Metric("tasks_unfinished", "task_count", "count", source=_TASKS),
        Metric("tasks_duplicated", "task_count", "count", source=_TASKS),
        Metric("tasks_foreign", "task_count", "count", source=_TASKS),
        Metric("recovery", "recovery", "duration", selectable=True, source="client and events"),
    )
}

_UNITS: dict[str, tuple[dict[str, float], str]] = {
    "duration": (units.DURATION_S, "200ms"),
    "ratio": (units.RATIO, "1%"),
    "rate": (units.RATE_PER_S, "9500/s"),
    "count": ({"": 1.0}, "1000"),
    "size": (units.SIZE_BYTES, "2GB"),
}

_SHOWN: dict[str, dict[str, float]] = {
    "duration": {"us": 1e-6, "ms": 1e-3, "s": 1.0},
    "ratio": units.RATIO,
    "rate": {"/s": 1.0},
    "count": {"": 1.0},
    "size": {"B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9},
}

_OBJECTIVE = re.compile(
    r"\s*(?P<metric>[a-z_]\w*)\s*(?:\(\s*(?P<selector>[\w.\-/ ]+?)\s*\))?\s*(?:\.\s*(?P<statistic>\w+))?"
    r"\s*(?P<comparison><=|>=|<|>)\s*(?:(?P<share>[0-9]+(?:\.[0-9]+)?)\s*%\s+of\s+)?(?P<limit>\S.*?)\s*"
)


@dataclass(frozen=True)
class Objective:
    """One parsed objective; `limit` is in the metric's base unit (s, 1/s, bytes, a ratio, a count)."""

    metric: Metric
    selector: str | None
    statistic: str | None
    comparison: Comparison
    limit: float
    share: float = 1.0

    @property
    def threshold(self) -> float:
        """The number that the observed value is compared with."""
        return units.product(self.limit, self.share)

    def holds(self, observed: float) -> bool:
        """Whether the observed value meets the limit."""
        return COMPARE[self.comparison](observed, self.threshold)

    def scaled(self, factor: float) -> "Objective":
        """The same objective with its limit multiplied, for a run of another size."""
        return replace(self, limit=units.product(self.limit, factor))

    def format_value(self, value: float) -> str:
        """A value of this metric for people."""
        return format_value(self.metric, value)

    def __str__(self) -> str:
        where = f"({self.selector})" if self.selector else ""
        statistic = f".{self.statistic}" if self.statistic else ""
        share = "" if self.share == 1.0 else f"{units.exact(self.share, units.RATIO)} of "
        return f"{self.metric.name}{where}{statistic} {self.comparison} {share}{self._limit_text()}"

    def _limit_text(self) -> str:
        """The limit with every digit that it has, so that the text can be asked again."""
        return units.exact(self.limit, _SHOWN[self.metric.unit])


def format_value(metric: Metric, value: float) -> str:
    """A value in the unit of its metric (`181 ms`, `0.2 %`, `9,950/s`, `1.2 GB`)."""
    match metric.unit:
        case "duration":
            return units.format_duration(value)
        case "ratio":
            return units.percent(value)
        case "rate":
            return f"{value:,.1f}/s" if value < 1000 else f"{value:,.0f}/s"
        case "size":
            return units.format_size(value)
    return f"{value:,.10g}"


def format_interval(metric: Metric, low: float, high: float) -> str:
    """An interval of such values in one unit (`195 to 207 ms`), with the digits that its width makes meaningful.

    An infinite end is one that nobody knows (`195 ms to ?`); of tasks it may be that of one without an end (`2 s to no end`).
    """
    if _is_open(metric, high):
        return f"{format_value(metric, low)} to {'?' if math.isinf(high) else 'no end'}"
    if low == high:
        return f"{format_value(metric, low)} to {format_value(metric, high)}"
    unit, digits = _scale(metric, low, high)
    first, last = low / _SHOWN[metric.unit][unit], high / _SHOWN[metric.unit][unit]
    return f"{first:,.{digits}f} to {last:,.{digits}f}{'' if unit in ('', '/s') else ' '}{unit}"


def format_measured(metric: Metric, value: float, low: float, high: float) -> str:
    """A value and its interval (`98.7 % (98.3 to 99.1 %)`), with the same digits where they have the same unit."""
    shown = format_value(metric, value)
    if low < high and not _is_open(metric, high):
        unit, digits = _scale(metric, low, high)
        if shown.endswith(f" {unit}"):
            shown = f"{value / _SHOWN[metric.unit][unit]:,.{digits}f} {unit}"
    return f"{shown} ({format_interval(metric, low, high)})"


def _is_open(metric: Metric, high: float) -> bool:
    """Whether the higher end of an interval is no figure for people; no histogram tells times above an hour apart."""
    return math.isinf(high) or (metric.unit == "duration" and high * 1e6 > HIGHEST_US)


def _scale(metric: Metric, low: float, high: float) -> tuple[str, int]:
    """The unit that suits the higher end of an interval, and how many digits after the point its width makes meaningful."""
    shown = _SHOWN[metric.unit]
    fitting = [unit for unit, factor in shown.items() if high >= factor]
    unit = max(fitting, key=shown.__getitem__) if fitting else min(shown, key=shown.__getitem__)
    return unit, max(0, -math.floor(math.log10((high - low) / shown[unit] / 5)))


def percentile(statistic: str) -> float | None:
    """0.95 for `p95`, 0.999 for `p999`, 0.9999 for `p9999`; None for what is no percentile (`p100` is `max`)."""
    match = re.fullmatch(r"p([0-9]{2})((?:[0-9]{0,2}[1-9])?)", statistic)
    return int(match[1] + match[2]) / 10 ** (2 + len(match[2])) if match else None


def parse_objective(text: str, metrics: dict[str, Metric]) -> Objective:
    """The objective that `text` says. Raises ValueError with what is wrong and how it is written."""
    match = _OBJECTIVE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not an objective (write e.g. 'response_time(list_tasks).p95 < 200ms')")
    metric = metrics.get(match["metric"])
    if metric is None:
        raise ValueError(f"{match['metric']!r} is no metric here (there are: {', '.join(sorted(metrics))})")
    _check_parts(metric, match["selector"], match["statistic"])
    allowed, example = _UNITS[metric.unit]
    return Objective(
        metric=metric,
        selector=match["selector"],
        statistic=match["statistic"],
        comparison=match["comparison"],  # type: ignore[arg-type]  # the pattern admits nothing else
        limit=units.parse_quantity(match["limit"], allowed, example),
        share=units.product(float(match["share"]), 0.01) if match["share"] else 1.0,
    )


def _check_parts(metric: Metric, selector: str | None, statistic: str | None) -> None:
    if selector and not metric.selectable:
        raise ValueError(f"{metric.name} takes no selector")
    if metric.has_statistic and statistic is None:
        raise ValueError(f"{metric.name} needs a statistic (write e.g. '{metric.name}.{_example(metric)}')")
    if not metric.has_statistic and statistic is not None:
        raise ValueError(f"{metric.name} has no statistics; leave out '.{statistic}'")
    if statistic is None or (metric.kind == "recovery" and statistic == "time"):
        return
    if metric.kind == "recovery":
        raise ValueError(f"{metric.name} has the statistic time (write e.g. 'recovery(postgres).time')")
    is_percentile = percentile(statistic) is not None
    if not is_percentile and statistic not in ("max", "mean", "min"):
        raise ValueError(f"{statistic!r} is no statistic (there are: p50, p95, p99, p999 ..., max, min, mean)")
    if is_percentile and metric.kind == "gauge":
        raise ValueError(f"{metric.name} is a gauge: use max, min or mean")
    if not is_percentile and metric.kind == "distribution":
        raise ValueError(f"{metric.name} is made of buckets: use p50, p95, p99 ...")


def _example(metric: Metric) -> str:
    return {"gauge": "max", "recovery": "time"}.get(metric.kind, "p95")
