"""What `report.html` marks in its charts: limits as lines, events as verticals, stages of the plan as bands."""

from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from typing import Any

from loadtests.objectives.evaluate import Result
from loadtests.objectives.grammar import Objective, percentile
from loadtests.report.evidence import Evidence
from loadtests.report.verdict import Verdict
from loadtests.scenario.schema import Load, Stage
from loadtests.store.folder import ABORTED
from loadtests.units import significant

MARKED = ("start", "halt", "abort", "worker_lost", "process_ended", "fault")
LONGEST_LABEL = 40
CHECKS = {"lateness": ("p99", 1e3), "loop_lag": ("p99", 1e3), "cpu": ("mean", 1.0)}
"""Health checks with a chart: what they look at, and the factor to the unit of the chart's column."""


def limits_of(evidence: Evidence, verdict: Verdict) -> dict[str, list[dict[str, Any]]]:
    """Limits for the whole mix: of response time's percentiles in ms, with their `q`; of the rate in 1/s, with its seconds."""
    found: dict[str, list[dict[str, Any]]] = {"response_time": [], "rate": []}
    for objective, result in _asked(evidence, verdict):
        if objective.selector is not None:
            continue
        q = percentile(objective.statistic or "")
        if objective.metric.name == "response_time" and q is not None:
            found["response_time"].append({**_limit(objective, result, 1e3), "q": q})
        if objective.metric.name == "rate":
            first, last = evidence.steady_s
            found["rate"].append({**_limit(objective, result), "from_s": first, "to_s": last})
    return found


def gauge_limits(evidence: Evidence, verdict: Verdict, metric: str, selector: str | None) -> list[dict[str, Any]]:
    """Limits of one gauge, in its base unit."""
    return [
        _limit(objective, result)
        for objective, result in _asked(evidence, verdict)
        if (objective.metric.name, objective.selector) == (metric, selector)
    ]


def gauge_statistic(evidence: Evidence, metric: str, selector: str | None) -> str:
    """What the first objective asks of a gauge: `max`, `min` or `mean`; `max` when none does."""
    asked = evidence.plan.parsed_objectives.values()
    return next((one.statistic or "max" for one in asked if (one.metric.name, one.selector) == (metric, selector)), "max")


def health_lines(verdict: Verdict) -> dict[str, list[dict[str, Any]]]:
    """Limits of the generator's health that a chart shows, in the unit of its column; none of a check that was not made."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in CHECKS}
    for result in verdict.health:
        if result.name in CHECKS:
            statistic, factor = CHECKS[result.name]
            limit = result.objective.partition(" <= ")[2]
            found[result.name].append(_line(result, factor, f"{statistic} {result.observed_text}", f"<= {limit}"))
    return found


def _asked(evidence: Evidence, verdict: Verdict) -> Iterator[tuple[Objective, Result]]:
    objectives = evidence.plan.parsed_objectives
    return ((objectives[result.name], result) for result in verdict.objectives)


def _limit(objective: Objective, result: Result, factor: float = 1.0) -> dict[str, Any]:
    asked = f"{objective.comparison} {objective.format_value(objective.threshold)}"
    what = objective.statistic or objective.metric.name
    return {**_line(result, factor, f"{what} {result.observed_text}", asked), "text": f"{what} {asked}"}


def _line(result: Result, factor: float, observed: str, asked: str) -> dict[str, Any]:
    return {"value": result.limit * factor, "status": result.status, "observed": observed, "asked": asked}


def events_of(evidence: Evidence) -> list[dict[str, Any]]:
    """What happened while the load ran, with the second and a short label; nothing of a load that never began."""
    start = evidence.start_epoch
    if start is None:
        return []
    found = []
    for event in evidence.events:
        at_s = event["at_s"]
        if event["event"] == "process_ended":  # the command does not know the load's clock
            at_s = datetime.fromisoformat(event["time"]).timestamp() - start
        if event["event"] == "halt" and event["reason"] == ABORTED:
            continue  # its abort says more
        if event["event"] == "abort" and event["name"] not in evidence.aborts:
            continue  # it came too late to end anything
        if event["event"] in MARKED and at_s is not None and at_s >= 0:
            found.append({"at_s": round(at_s, 3), "label": _label(event)})
    return found


def _label(event: dict[str, Any]) -> str:
    match event["event"]:
        case "halt":
            text = f"halt: {event['reason']}"
        case "abort":
            text = f"aborted by {event['name']}"
        case "worker_lost":
            text = f"{event['name']} lost"
        case "process_ended":
            text = f"{event['name']} {event['fate']}"
        case "fault":
            where = f"{event['service']}-{event['instance']}" if "instance" in event else event["service"]
            text = f"{where} {event['kind']}" + (" over" if event["phase"] == "end" else "")
        case kind:
            text = str(kind)
    return text if len(text) <= LONGEST_LABEL else text[: LONGEST_LABEL - 1] + "…"


def stages_of(evidence: Evidence, seconds: int) -> list[dict[str, Any]]:
    """The plan's stages until the load ended, then the drain; `shaded` tells neighbours apart."""
    load, end_s = evidence.plan.scenario.load, evidence.end_s
    named = list(_stages(load)) if load.stages else [(load.ramp_up, "ramp-up"), (load.total_s - load.ramp_up, "")]
    begins = [0.0]
    for length_s, _ in named:
        begins.append(begins[-1] + length_s)
    bands = [
        {"from_s": first, "to_s": min(last, end_s), "label": label, "shaded": bool(label) and index % 2 == 0}
        for index, ((first, last), (_, label)) in enumerate(zip(pairwise(begins), named, strict=True))
        if first < min(last, end_s)
    ]
    drain = {"from_s": end_s, "to_s": float(seconds), "label": "drain", "shaded": True}
    return [*bands, drain] if end_s < seconds and evidence.totals.ok_by_second else bands


def _stages(load: Load) -> Iterator[tuple[float, str]]:
    full, before = load.rate_per_user * load.users, 0.0
    for stage in load.stages:
        yield stage.duration, _stage_label(stage, before, full)
        before = stage.level


def _stage_label(stage: Stage, before: float, full: float) -> str:
    rate = f"{significant(stage.level * full)}/s"
    if stage.wave is not None:
        return f"{rate} ± {significant(stage.wave.amplitude * full)}"
    return rate if stage.to is None or stage.to == before else f"to {rate}"
