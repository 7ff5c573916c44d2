"""Of a run that did not meet its objectives: the one that was missed first."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from loadtests.measure.series import Series, merge_all
from loadtests.measure.window import Window
from loadtests.objectives.evaluate import Facts, Result, evaluate
from loadtests.objectives.grammar import Objective
from loadtests.report.course import judged_early
from loadtests.report.evidence import Evidence
from loadtests.report.rows import margin
from loadtests.report.series import Sample, timed_samples
from loadtests.report.verdict import Verdict
from loadtests.store.windows import read_windows
from loadtests.traffic.tokens import AUTH_SERIES

TRAILING_S = 5
"""Seconds over which an objective is looked at, each second anew."""
Samples = Mapping[tuple[str, str | None], Sequence[Sample]]


@dataclass(frozen=True)
class Broken:
    """An objective that was missed, with what was observed over the whole run, or when it ended the load."""

    name: str
    objective: str
    observed_text: str
    at_s: float | None
    """When it was known to be missed, in seconds after the start of the load; None for what only the whole run tells."""

    def to_json(self) -> dict[str, Any]:
        """As `capacity.json` has it."""
        return vars(self).copy()


def first_to_break(evidence: Evidence, verdict: Verdict) -> Broken | None:
    """The objective that ended the load; else the one whose limit was passed first over the last TRAILING_S seconds.

    Of several in the same second, and where only the whole run tells, it is the one that is missed by the largest share of its
    limit. None when none was missed.
    """
    missed = {result.name: result for result in verdict.objectives if result.status == "fail"}
    for name, abort in evidence.aborts.items():
        if name in missed:
            return _broken(missed[name], float(abort["at_s"]))
    parsed = evidence.plan.parsed_objectives
    for end_s, results in _courses(evidence, {name: parsed[name] for name in missed}):
        if results:
            worst = _worst(results, parsed)
            return _broken(missed[worst.name], float(end_s))
    return _broken(_worst(list(missed.values()), parsed), None) if missed else None


def _broken(result: Result, at_s: float | None) -> Broken:
    return Broken(result.name, result.objective, result.observed_text, at_s)


def _worst(results: Sequence[Result], parsed: Mapping[str, Objective]) -> Result:
    """One without a margin, for want of data or because nothing at all was allowed, comes after those that have one."""

    def room(result: Result) -> float:
        found = margin(parsed[result.name], result.observed)
        return inf if found is None else found

    return min(results, key=room)


def _courses(evidence: Evidence, objectives: Mapping[str, Objective]) -> Iterator[tuple[int, list[Result]]]:
    """By second of the load, what was missed over the seconds that end with it."""
    early = {name: one for name, one in objectives.items() if judged_early(one) or one.metric.kind == "gauge"}
    if not early:
        return
    last: deque[Window] = deque(maxlen=TRAILING_S)
    samples = timed_samples(evidence, int(evidence.end_s))
    for window in read_windows(evidence.folder.file("windows.jsonl")):
        end_s = window.number + 1
        last.append(window)
        if end_s < TRAILING_S or end_s > evidence.end_s:
            continue
        results = (evaluate(name, one, _facts(evidence, last, samples, end_s), final=False) for name, one in early.items())
        yield end_s, [result for result in results if result.status == "fail" and result.observed is not None]


def _facts(evidence: Evidence, windows: Sequence[Window], samples: Samples, end_s: int) -> Facts:
    """What these seconds say. A rate has none before the load is at its full one."""
    begin_s = end_s - TRAILING_S
    series: dict[str, Series] = {}
    total = Series()
    for window in windows:
        merge_all(window.series, series)
        total.merge(window.total(without=AUTH_SERIES))
    gauges = {key: [value for at_s, value in found if begin_s <= at_s < end_s] for key, found in samples.items()}
    return Facts(
        series=series,
        total=total,
        steady_ok={**{name: one.ok for name, one in series.items()}, None: total.ok},
        steady_s=float(len(windows)) if begin_s >= evidence.steady_s[0] else 0.0,
        gauges={**gauges, ("users", None): [float(window.users) for window in windows]},
    )
