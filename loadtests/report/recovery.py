"""What planted faults did to the people who used the target, and how long it took until they noticed nothing any more. Pure.

Seconds are those of `windows.jsonl`; a request counts in the second in which it ended. A second with answers is bad when a
request of the mix failed in it or its p99 response time is above the fault's `recovered`, else good. A second without any
answer is neither: in a stall nothing ends, and in a quiet load nothing may have been due.

To a fault belong the seconds from that in which it began to the end of the load, or to the next fault: a later second in
which another one begins after this one is over. Within them, the target has recovered at the first GOOD_SECONDS good seconds
with no bad one between them that begin when the fault is over. The recovery time runs from the fault's begin to the end of the
last bad second before them; it is 0 when there is none, and nothing is known of it when there are no such seconds.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from loadtests.measure.window import Window
from loadtests.scenario.system import Fault
from loadtests.traffic.tokens import AUTH_SERIES

GOOD_SECONDS = 3


@dataclass(frozen=True)
class Second:
    """What the users saw in a second of the run."""

    number: int
    requests: int = 0
    failures: Mapping[str, int] = field(default_factory=dict)
    """By kind."""
    p99_s: float = 0.0
    """Of the response time; 0 without requests."""

    @classmethod
    def of(cls, window: Window) -> "Second":
        """A line of `windows.jsonl`."""
        total = window.total(without=AUTH_SERIES)
        p99_s = total.response_time.quantile(0.99) / 1e6 if total.response_time.count else 0.0
        return cls(window.number, total.requests, dict(total.failures), p99_s)

    def is_bad(self, slowest_s: float) -> bool:
        """Whether somebody was let down."""
        return bool(self.requests) and (bool(self.failures) or self.p99_s > slowest_s)


@dataclass(frozen=True)
class Course:
    """A fault as it went; moments in seconds after the start of the load."""

    number: int
    """Its place in the scenario, from 1."""
    fault: Fault
    begin_s: float | None = None
    """None when it never began."""
    end_s: float | None = None
    """None when it was not over before the record ended."""
    trouble: str | None = None
    """What went wrong with the fault itself."""

    @property
    def name(self) -> str:
        """What was harmed: a service, or an instance of it."""
        return self.fault.service if self.fault.instance is None else f"{self.fault.service}-{self.fault.instance}"


@dataclass(frozen=True)
class Effect:
    """What a fault did."""

    course: Course
    failures: Mapping[str, int]
    """Failed requests of the mix by kind, from its begin until the target had recovered."""
    recovery_s: float | None
    """To the millisecond; None when the target did not recover while the fault's own seconds lasted."""

    def to_json(self) -> dict[str, Any]:
        """As `summary.json` has it."""
        course, fault = self.course, self.course.fault
        return {
            "fault": course.number,
            "kind": fault.kind,
            "service": fault.service,
            "instance": fault.instance,
            "begin_s": course.begin_s,
            "end_s": course.end_s,
            "trouble": course.trouble,
            "failures": sum(self.failures.values()),
            "failure_kinds": dict(self.failures),
            "recovery_s": self.recovery_s,
        }


def courses(faults: Sequence[Fault], events: Iterable[Mapping[str, Any]]) -> list[Course]:
    """The faults of a plan as the run's `fault` events tell."""
    by_phase = {(event["fault"], event["phase"]): event for event in events}
    found = []
    for number, fault in enumerate(faults, start=1):
        begin, end = by_phase.get((number, "begin"), {}), by_phase.get((number, "end"), {})
        found.append(Course(number, fault, begin.get("at_s"), end.get("at_s"), end.get("trouble")))
    return found


def effects(planted: Sequence[Course], seconds: Sequence[Second], end_s: float) -> list[Effect]:
    """What each did to a load that ended at `end_s`."""
    return [_effect(course, _own(course, planted, seconds, end_s)) for course in planted]


def recoveries(found: Iterable[Effect]) -> dict[str, list[float | None]]:
    """Recovery times as objectives ask for them: by service, and by instance where a fault named one."""
    times: dict[str, list[float | None]] = {}
    for effect in found:
        for name in {effect.course.fault.service, effect.course.name}:
            times.setdefault(name, []).append(effect.recovery_s)
    return times


def _own(course: Course, planted: Sequence[Course], seconds: Sequence[Second], end_s: float) -> list[Second]:
    """The seconds that belong to a fault, in order."""
    if course.begin_s is None:
        return []
    over_s = course.begin_s if course.end_s is None else course.end_s
    first = int(course.begin_s)
    begins = [other.begin_s for other in planted if other.begin_s is not None and other.begin_s > over_s]
    last = min([int(end_s), *(int(begin_s) for begin_s in begins if int(begin_s) > first)])
    return sorted((one for one in seconds if first <= one.number < last), key=lambda one: one.number)


def _effect(course: Course, own: Sequence[Second]) -> Effect:
    slowest_s, good, last_bad, failures = course.fault.recovered, 0, None, Counter[str]()
    for second in own:
        if second.is_bad(slowest_s):
            good, last_bad = 0, second.number
        elif second.requests and course.end_s is not None and second.number >= course.end_s:
            good += 1
        failures.update(second.failures)
        if good == GOOD_SECONDS:
            ended_s = course.begin_s if last_bad is None else last_bad + 1.0
            return Effect(course, failures, round((ended_s or 0.0) - (course.begin_s or 0.0), 3))
    return Effect(course, failures, None)
