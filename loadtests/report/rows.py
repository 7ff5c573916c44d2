"""Objectives as a reader wants them: the missed ones first, each with its limit, its value and how far apart the two are."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from loadtests.objectives.evaluate import Result
from loadtests.objectives.grammar import Objective
from loadtests.report.evidence import Evidence
from loadtests.report.verdict import Verdict
from loadtests.units import format_duration, significant

NAMED = 3
"""Ids of tasks of each kind of trouble on a line."""


@dataclass(frozen=True)
class Row:
    """One objective beside its result."""

    result: Result
    metric: str
    """What is asked about, such as `response_time(list_tasks).p95`."""
    limit: str
    """Comparison and limit, such as `< 200 ms`."""
    margin: float | None
    """Room left, in shares of the limit; below zero it is missed by as much. None without data, or where the limit is zero."""

    @property
    def margin_text(self) -> str:
        """The margin for people, with its sign."""
        if self.margin is None:
            return "n/a"
        sign = "+" if self.margin > 0 else "\u2212" if self.margin < 0 else ""
        return f"{sign}{significant(abs(self.margin) * 100)} %"

    @property
    def bar(self) -> float | None:
        """The observed value on a bar that ends at twice the limit: 0 to 1, the limit at 0.5. None without data."""
        observed, limit = self.result.observed, self.result.limit
        return None if observed is None or limit <= 0 else min(max(observed / limit / 2, 0.0), 1.0)


def rows(evidence: Evidence, verdict: Verdict) -> list[Row]:
    """A row for each objective: those that were missed, then the others, otherwise as the scenario has them."""
    parsed = evidence.plan.parsed_objectives
    found = [_row(parsed[result.name], result) for result in verdict.objectives]
    return sorted(found, key=lambda row: row.result.status != "fail")


def margin(objective: Objective, observed: float | None) -> float | None:
    """Distance of the observed value from the limit in shares of the limit, positive on the side that meets it."""
    limit = objective.threshold
    if observed is None or limit == 0:
        return None
    room = limit - observed if objective.comparison.startswith("<") else observed - limit
    return room / abs(limit)


def reasons(verdict: Verdict) -> list[str]:
    """Why the verdict is not `pass`: the health checks that failed, or else the objectives that were missed."""
    return [*_failed(verdict.health)] if verdict.word == "invalid" else [*_failed(verdict.objectives)]


def answered(summary: Mapping[str, Any]) -> str:
    """What a summary's target answered per second, and how much that is of what was due."""
    return f"{summary['rate']:,.1f}/s answered{of_due(summary)}"


def of_due(summary: Mapping[str, Any]) -> str:
    """The turns that were due per second, and the share that was answered; nothing of a closed model or of no turns."""
    if summary["achieved"] is None:
        return ""
    return f" of {summary['due_rate']:,.1f}/s due ({significant(summary['achieved'] * 100)} %)"


def troubled_tasks(verdict: Verdict, summary: Mapping[str, Any]) -> str | None:
    """The first tasks of each kind that an objective did not permit, and where all are; None where there are none."""
    missed = {one.objective.partition(" ")[0] for one in verdict.objectives if one.status == "fail"}
    named = {kind: ids for kind, ids in summary["troubled_tasks"].items() if ids and f"tasks_{kind}" in missed}
    parts = [f"{kind}: {', '.join(ids[:NAMED])}{' …' if len(ids) > NAMED else ''}" for kind, ids in named.items()]
    return f"tasks {'; '.join(parts)} (more in ledger.json, every accepted task in tasks.jsonl)" if parts else None


def fault_lines(summary: Mapping[str, Any]) -> list[str]:
    """Each planted fault of a summary, when the target had recovered and what failed until then, in a line."""
    return [f"Fault {fault['fault']}, {_fault(fault)}" for fault in summary["faults"]]


def _fault(fault: Mapping[str, Any]) -> str:
    instance = "" if fault["instance"] is None else f"-{fault['instance']}"
    what = f"{fault['kind']} {fault['service']}{instance}"
    if fault["begin_s"] is None:
        return f"{what}: never began"
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in sorted(fault["failure_kinds"].items())) or "nothing"
    parts = [_recovered(fault)]
    if fault["recovery_s"] != 0:
        parts.append(f"failed: {kinds}")
    if fault["connections"]:
        parts.append(f"connections opened anew: {fault['connections']:,}")
    if fault["trouble"]:
        parts.append(fault["trouble"])
    return f"{what} at {fault['begin_s']:.1f} s: {'; '.join(parts)}"


def _recovered(fault: Mapping[str, Any]) -> str:
    """When the target had recovered from a fault of a summary, or why nobody knows."""
    recovery_s = fault["recovery_s"]
    if recovery_s is None:
        return f"not recovered: {fault['not_recovered']}"
    return f"recovered after {format_duration(recovery_s)}" if recovery_s else "no request noticed it"


def _failed(results: Iterable[Result]) -> Iterable[str]:
    return (f"{one.name}: {one.observed_text} (asked: {one.objective})" for one in results if one.status == "fail")


def _row(objective: Objective, result: Result) -> Row:
    metric, _, _ = str(objective).partition(f" {objective.comparison} ")
    limit = f"{objective.comparison} {objective.format_value(objective.threshold)}"
    return Row(result, metric, limit, margin(objective, result.observed))
