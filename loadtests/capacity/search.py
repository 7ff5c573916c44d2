"""The search for the highest rate that meets all objectives: results in, the next rate out. No clock, no I/O.

    climb     from `start` by FACTOR until a rate fails; when the first one fails already, down until one passes
    halve     the middle, on the logarithmic scale, of the highest passing and the lowest failing rate, until the two are
              within `precision` of each other
    confirm   a plateau, which is longer, at the highest passing rate; one that fails makes it a failing rate, and the
              search goes on below it

A shared machine stumbles, so what fails counts when it has failed in all of its tries. What passes counts at once: that the
answer is no stroke of luck is for the plateau to say.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

FACTOR = 2.0


@dataclass(frozen=True)
class Bounds:
    """Where to search. Rates are turns per second. Raises ValueError for bounds that leave nothing to search."""

    start: float
    lowest: float
    highest: float
    precision: float = 0.05
    """How far apart the highest passing and the lowest failing rate may be in the end, as a share of the former."""
    most_steps: int = 30
    """All of them: repetitions and plateaus too."""
    tries: int = 3
    """Failures after which a rate, or a plateau, has failed."""
    grain: float = 0.0
    """Rates are multiples of this, as start, lowest and highest have to be: what one user more offers. 0: any rate will do."""

    def __post_init__(self) -> None:
        if not 0 < self.lowest <= self.start <= self.highest:
            raise ValueError(f"the rate to start at, {self.start:g}/s, must be within {self.lowest:g}/s and {self.highest:g}/s")
        if self.precision <= 0:
            raise ValueError("the precision must be above 0")
        if self.tries < 1:
            raise ValueError("a rate needs at least one try")
        if self.most_steps <= self.tries:
            raise ValueError(f"at least {self.tries + 1} steps are needed")


class Step(NamedTuple):
    """What is to be tried next."""

    rate: float
    plateau: bool = False
    """Whether it is to confirm the answer, and so to last longer."""


class Tried(NamedTuple):
    """What a step came to."""

    step: Step
    passed: bool


Kind = Literal["confirmed", "unconfirmed", "none passed"]


@dataclass(frozen=True)
class Answer:
    """What is known when the search is over."""

    kind: Kind
    """`unconfirmed`: there were no steps left; `none passed`: not even the lowest rate."""
    rate: float | None
    """The highest rate that passed."""
    failing: float | None
    """The lowest rate that failed: the truth lies between the two. None when none did."""
    bounded: bool = False
    """Whether the upper bound passed, so that the truth may be anywhere above it."""


def next_step(bounds: Bounds, tried: Sequence[Tried]) -> Step | Answer:
    """What to do after these steps, in the order in which they were tried; the answer when nothing is left to do."""
    if tried and (again := _again(tried, bounds.tries)) is not None and len(tried) < bounds.most_steps:
        return again
    low, high = interval(tried, bounds.tries)
    if tried and tried[-1].step.plateau and tried[-1].passed:
        return Answer("confirmed", low, high, bounded=high is None and low == bounds.highest)
    left = bounds.most_steps - len(tried)
    if low is None and high is not None and high <= bounds.lowest:
        return Answer("none passed", None, high)
    if left <= 0:
        return Answer("unconfirmed", low, high)
    rate = _next_rate(bounds, low, high)
    if low is not None and (rate is None or left <= bounds.tries):  # the last ones are for confirming what there is
        return Step(low, plateau=True)
    assert rate is not None, "without a passing rate there is always a lower one, or the answer"
    return Step(rate)


def interval(tried: Sequence[Tried], tries: int) -> tuple[float | None, float | None]:
    """The highest rate that passed and the lowest that failed, as far as these steps tell; None where none did."""
    failures = [one for one in tried if not one.passed]
    # One that failed so often at its plateau is no better than one that did at its step.
    failing = {one.step.rate for one in failures if failures.count(one) >= tries}
    passing = {one.step.rate for one in tried if one.passed} - failing
    return max(passing, default=None), min(failing, default=None)


def _again(tried: Sequence[Tried], tries: int) -> Step | None:
    """The last step, when it has not failed as often as it takes."""
    last = tried[-1]
    return last.step if not last.passed and tried.count(last) < tries else None


def _next_rate(bounds: Bounds, low: float | None, high: float | None) -> float | None:
    """The next rate to try; None when the two are as near to each other, or to the upper bound, as is asked for."""
    if low is None and high is None:
        return bounds.start
    if high is None:
        assert low is not None
        return min(low * FACTOR, bounds.highest) if low < bounds.highest else None
    if low is None:
        return max(_snapped(high / FACTOR, bounds), bounds.lowest)
    if high <= low * (1 + bounds.precision):
        return None
    middle = _snapped(math.sqrt(low * high), bounds)
    return middle if low < middle < high else None


def _snapped(rate: float, bounds: Bounds) -> float:
    return round(rate / bounds.grain) * bounds.grain if bounds.grain else rate
