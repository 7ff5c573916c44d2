"""What planted faults did to the people who used the target, and how long it took until they noticed nothing any more. Pure.

Seconds are those of `windows.jsonl`; a request counts in the second in which it ended. A second with answers is bad when a
request of the mix failed in it or its p99 response time is above the fault's `recovered`, else good. A second without any
answer is neither: in a stall nothing ends, and in a quiet load nothing may have been due. But who waits is let down in all the
seconds of the wait: when the longest response time of a bad second n is r, and above `recovered`, those from n - r on are bad.

To a fault belong the seconds from that in which it began to the end of the load, or to the next fault: a later second in
which another one begins after this one is over. Within them, the target has recovered at the first GOOD_SECONDS good seconds
with no bad one between them that begin when the fault is over. The recovery time runs from the fault's begin to the end of the
last bad second before them; it is 0 when there is none, and nothing is known of it when there are no such seconds, or when the
fault did not go as planned.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
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
    longest_s: float = 0.0
    """Response time."""
    connections: int = 0
    """Opened in it."""

    @classmethod
    def of(cls, window: Window) -> "Second":
        """A line of `windows.jsonl`."""
        total = window.total(without=AUTH_SERIES)
        p99_s = total.response_time.quantile(0.99) / 1e6 if total.response_time.count else 0.0
        longest_s, opened = total.response_time.max_us / 1e6, window.counts.connections
        return cls(window.number, total.requests, dict(total.failures), p99_s, longest_s, opened)

    def is_bad(self, slowest_s: float) -> bool:
        """Whether somebody was let down."""
        return bool(self.requests) and (bool(self.failures) or self.p99_s > slowest_s)

    def bad_since(self, slowest_s: float) -> int:
        """The first second in which somebody was let down who waited until this one."""
        return math.ceil(self.number - self.longest_s) if self.longest_s > slowest_s else self.number


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
    not_recovered: str | None = None
    """Why there is no recovery, where there is none."""
    connections: int = 0
    """Opened anew by the users in the seconds in which `failures` are counted: beyond the first of each."""

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
            "connections": self.connections,
            "recovery_s": self.recovery_s,
            "not_recovered": self.not_recovered,
        }


def courses(faults: Sequence[Fault], events: Iterable[Mapping[str, Any]]) -> list[Course]:
    """The faults of a plan as the run's `fault` events tell."""
    by_phase = {(event["fault"], event["phase"]): event for event in events}
    found = []
    for number, fault in enumerate(faults, start=1):
        begin, end = by_phase.get((number, "begin"), {}), by_phase.get((number, "end"), {})
        found.append(Course(number, fault, begin.get("at_s"), end.get("at_s"), end.get("trouble")))
    return found


def effects(planted: Sequence[Course], seconds: Sequence[Second], end_s: float, users: int) -> list[Effect]:
    """What each did to a load of so many users that ended at `end_s`."""
    in_order = sorted(seconds, key=lambda one: one.number)
    return [_effect(course, _next_begin(course, planted), in_order, int(end_s), users) for course in planted]


def recoveries(found: Iterable[Effect]) -> dict[str, list[float | None]]:
    """Recovery times as objectives ask for them: by service, and by instance where a fault named one."""
    times: dict[str, list[float | None]] = {}
    for effect in found:
        for name in {effect.course.fault.service, effect.course.name}:
            times.setdefault(name, []).append(effect.recovery_s)
    return times


def _next_begin(course: Course, planted: Sequence[Course]) -> int | None:
    """The second from which on the next fault is to blame; None when there is none."""
    if course.begin_s is None:
        return None
    over_s = course.begin_s if course.end_s is None else course.end_s
    begins = [int(other.begin_s) for other in planted if other.begin_s is not None and other.begin_s > over_s]
    return min((begin for begin in begins if begin > int(course.begin_s or 0.0)), default=None)


def _effect(course: Course, next_begin: int | None, seconds: Sequence[Second], load_end: int, users: int) -> Effect:
    if course.begin_s is None:
        return Effect(course, {}, None, "it never began")
    before = [one for one in seconds if one.number < int(course.begin_s)]
    own = [one for one in seconds[len(before) :] if next_begin is None or one.number < next_begin]
    upto, recovery_s = _recovered(course, own, _bad(seconds, course.fault.recovered), load_end)
    failures = Counter[str]()
    for second in own[:upto]:
        failures.update(second.failures)
    opened = sum(one.connections for one in before)
    anew = max(0, sum(one.connections for one in own[:upto]) - max(0, users - opened))
    why = _why_not(course, next_begin, load_end) if recovery_s is None else None
    return Effect(course, failures, recovery_s, why, anew)


def _recovered(course: Course, own: Sequence[Second], bad: Collection[int], load_end: int) -> tuple[int, float | None]:
    """How many of its own seconds lie before the recovery, and its time; all and None without one.

    The drain's seconds are no recovery, but what fails in them was sent before.
    """
    good, recovered_s = 0, course.begin_s or 0.0
    for count, second in enumerate(own, start=1):
        if second.number in bad:
            good, recovered_s = 0, second.number + 1.0
        elif second.requests and course.end_s is not None and course.end_s <= second.number < load_end:
            good += 1
        if good == GOOD_SECONDS and course.trouble is None:
            return count, round(recovered_s - (course.begin_s or 0.0), 3)
    return len(own), None


def _bad(seconds: Sequence[Second], slowest_s: float) -> set[int]:
    """Numbers of the bad seconds, those in which somebody waited for the answer of a bad one included."""
    bad, since = set[int](), math.inf
    for second in reversed(seconds):
        if second.is_bad(slowest_s):
            since = min(since, second.bad_since(slowest_s))
        if second.number >= since:
            bad.add(second.number)
    return bad


def _why_not(course: Course, next_begin: int | None, load_end: int) -> str:
    """Why three good seconds were not seen."""
    if course.trouble is not None:
        return "it did not go as planned"
    if course.end_s is None or course.end_s >= load_end:
        return "it was not over before the load ended"
    return "the load ended before" if next_begin is None or next_begin >= load_end else "the next fault began before"
