"""From a run's files to points, as docs/metrics.md has them. Pure: the same files give the same points, whenever asked."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from influxdb_client import Point, WritePrecision

from loadtests.measure.histogram import Histogram
from loadtests.measure.series import Series
from loadtests.measure.snapshot import Gauges
from loadtests.measure.traffic import BOUNDS_MS, Traffic
from loadtests.measure.window import Window
from loadtests.objectives.evaluate import Result
from loadtests.scenario.plan import Plan
from loadtests.traffic.tokens import AUTH_SERIES

ALL = "*"
"""Name of the whole mix."""
NONE = "-"
"""Selector of a metric that has none: a tag is never empty."""
QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}
VERDICT_CODES = {"pass": 0, "fail": 1, "invalid": 2}
Field = float | int | str


@dataclass(frozen=True)
class PointMaker:
    """Makes the points of one run; `start_epoch_s` is the start of its load."""

    run_id: str
    scenario: str
    start_epoch_s: float

    def window(self, window: Window) -> Iterator[Point]:
        """One second: requests of each worker, merged latencies, the generator."""
        time_ns = self._second(window.number)
        for worker, by_name in sorted(window.traffic.items()):
            for name, traffic in sorted(by_name.items()):
                yield from self._requests(name, str(worker), traffic, time_ns)
        series = {ALL: window.total(without=AUTH_SERIES), **dict(sorted(window.series.items()))}
        for name, one in series.items():
            if one.requests:
                fields = {"elapsed_s": float(window.number), **_latencies(one), "count": one.requests}
                yield self._point("loadtest_latency", {"name": name}, fields, time_ns)
        yield self._point("loadtest_window", {}, _window_fields(window), time_ns)
        if window.lateness.count:
            yield self._point("loadtest_lateness", {}, _lateness_fields(window.lateness), time_ns)
        for worker, gauges in sorted(window.workers.items()):
            yield self._point("loadtest_worker", {"worker": str(worker)}, _worker_fields(gauges), time_ns)

    def probe(self, record: Mapping[str, Any]) -> Iterator[Point]:
        """One line of `probes.jsonl`."""
        time_ns = _nanoseconds(record["time"])
        for metric, selector, value in record["samples"]:
            tags = {"metric": metric, "selector": selector or NONE}
            yield self._point("loadtest_probe", tags, {"value": float(value)}, time_ns)
        for probe, reason in record["gaps"].items():
            yield self._point("loadtest_gap", {"probe": probe}, {"reason": reason}, time_ns)

    def event(self, record: Mapping[str, Any], line: int) -> Iterator[Point]:
        """Line number `line` of `events.jsonl`; the start of the load is that moment, not when it was written."""
        starts = record["event"] == "start"
        time_ns = self._second(0) if starts else _nanoseconds(datetime.fromisoformat(record["time"]).timestamp())
        known = {key: value for key, value in record.items() if key not in ("event", "at_s", "time", "report")}
        yield self._event(record["event"], record["at_s"], _in_words(known), time_ns + line)

    def stages(self, plan: Plan) -> Iterator[Point]:
        """The beginning of each stage of the plan."""
        at_s = 0.0
        for number, stage in enumerate(plan.scenario.load.stages):
            level = f"to {stage.to:g}" if stage.to is not None else f"at {stage.at:g}"
            yield self._event("stage", at_s, f"{number + 1}: {level} for {stage.duration:g} s", self._second(at_s) + number)
            at_s += stage.duration

    def verdict(self, verdict: Mapping[str, Any], summary: Mapping[str, Any], manifest: Mapping[str, Any]) -> Iterator[Point]:
        """The run as a whole, from `verdict.json`, `summary.json` and `manifest.json`."""
        start_ns, end_s = self._second(0), summary["duration_s"]
        yield self._point("loadtest_summary", {}, _summary_fields(verdict["verdict"], summary, manifest), start_ns)
        for name, series in summary["series"].items():
            fields = {"rate": series["requests"] / end_s if end_s else 0.0, **_counted(series), **_summarised(series)}
            yield self._point("loadtest_endpoint", {"name": name}, fields, start_ns)
        for kind, results in (("objective", verdict["objectives"]), ("health", verdict["health"])):
            for result in results:
                tags = {"objective": result["name"], "kind": kind}
                yield self._point("loadtest_objective", tags, _objective_fields(Result(**result)), start_ns)
        missed = [result for result in verdict["objectives"] if result["status"] == "fail"]
        for number, result in enumerate(missed):
            text = f"{result['name']}: {result['objective']}, observed {result['observed_text']}"
            yield self._event("objective_missed", end_s, text, self._second(end_s) + number)

    def _requests(self, name: str, worker: str, traffic: Traffic, time_ns: int) -> Iterator[Point]:
        tags = {"name": name, "worker": worker}
        counts = {"ok": traffic.ok, "failed": traffic.failed, "bytes": traffic.bytes_received}
        buckets = {f"le_{bound}ms": count for bound, count in zip(BOUNDS_MS, traffic.at_most, strict=True)}
        sums = {"response_sum_us": traffic.response_sum_us, "le_inf": traffic.requests}
        yield self._point("loadtest_requests", tags, {**counts, **sums, **buckets}, time_ns)
        for kind, count in sorted(traffic.failures.items()):
            yield self._point("loadtest_failures", {**tags, "kind": kind}, {"count": count}, time_ns)

    def _event(self, event: str, at_s: float | None, text: str, time_ns: int) -> Point:
        when = {} if at_s is None else {"at_s": float(at_s)}
        return self._point("loadtest_event", {"event": event}, {"text": text, **when}, time_ns)

    def _point(self, measurement: str, tags: Mapping[str, str], fields: Mapping[str, Field], time_ns: int) -> Point:
        point = Point(measurement).tag("run_id", self.run_id).tag("scenario", self.scenario)
        for name, tag in tags.items():
            point.tag(name, tag)
        for name, value in fields.items():
            point.field(name, value)
        return point.time(time_ns, WritePrecision.NS)

    def _second(self, second: float) -> int:
        """In nanoseconds. The start is taken to the microsecond, so that whole seconds are whole ones exactly."""
        return _nanoseconds(self.start_epoch_s) + round(second * 1e6) * 1000


def _nanoseconds(epoch_s: float) -> int:
    return round(epoch_s * 1e6) * 1000


def _latencies(series: Series) -> dict[str, float]:
    found: dict[str, float] = {}
    for kind, histogram in (("response", series.response_time), ("service", series.service_time)):
        values = zip(QUANTILES, histogram.quantiles(*QUANTILES.values()), strict=True)
        found.update({f"{kind}_{name}_ms": value_us / 1e3 for name, value_us in values})
        found[f"{kind}_max_ms"] = histogram.max_us / 1e3
        found[f"{kind}_mean_ms"] = histogram.mean_us / 1e3
    return found


def _window_fields(window: Window) -> dict[str, Field]:
    in_flight = sum(gauges.in_flight for gauges in window.workers.values())
    now = {"users": window.users, "in_flight": in_flight, "sockets": window.sockets}
    return {"elapsed_s": float(window.number), **window.counts.to_json(), **now}


def _lateness_fields(lateness: Histogram) -> dict[str, Field]:
    p50, p99 = lateness.quantiles(0.5, 0.99)
    return {"p50_ms": p50 / 1e3, "p99_ms": p99 / 1e3, "max_ms": lateness.max_us / 1e3, "count": lateness.count}


def _worker_fields(gauges: Gauges) -> dict[str, Field]:
    whole = {name: int(getattr(gauges, name)) for name in ("users", "in_flight", "sockets", "rss_bytes")}
    return {"cpu": float(gauges.cpu), "loop_lag_ms": gauges.loop_lag_us / 1e3, **whole}


def _summary_fields(word: str, summary: Mapping[str, Any], manifest: Mapping[str, Any]) -> dict[str, Field]:
    requests, failures = summary["requests"], summary["failures"]
    fields: dict[str, Field] = {
        "verdict": word,
        "verdict_code": VERDICT_CODES[word],
        "rate": float(summary["rate"]),
        "offered_rate": float(summary["offered_rate"] or 0.0),
        "duration_s": float(summary["duration_s"]),
        "failure_ratio": failures / requests if requests else 0.0,
        "users": summary["users"],
        **_counted(summary),
        **_summarised(summary["total"]),
        "plan_hash": manifest["plan_hash"],
        "commit": manifest["commit"] or NONE,
    }
    if summary["lateness_ms"]:
        fields["lateness_p99_ms"] = float(summary["lateness_ms"]["p99"])
    tasks = summary["task_processing_ms"]
    if tasks and tasks["p95"] is not None:
        fields["task_processing_p95_ms"] = float(tasks["p95"])
    return fields


def _counted(series: Mapping[str, Any]) -> dict[str, int]:
    return {"requests": series["requests"], "failures": series["failures"]}


def _summarised(series: Mapping[str, Any]) -> dict[str, float]:
    found = {}
    for kind in ("response", "service"):
        for name, value in (series[f"{kind}_time_ms"] or {}).items():
            found[f"{kind}_{name}_ms"] = float(value)
    return found


def _objective_fields(result: Result) -> dict[str, Field]:
    fields: dict[str, Field] = {
        "limit": float(result.limit),
        "passed": int(result.status == "pass"),
        "asked": result.objective,
        "observed_text": result.observed_text,
    }
    return fields if result.observed is None else {**fields, "observed": float(result.observed)}


def _in_words(known: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in known.items())
