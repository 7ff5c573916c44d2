"""What a probe says of one round."""

from typing import NamedTuple

from loadtests.measure.counters import Buckets


class Sample(NamedTuple):
    """One value of one gauge, in the metric's base unit."""

    metric: str
    selector: str | None
    value: float


class Counter(NamedTuple):
    """How far something that only grows has come; a value below the one before was started anew, from 0."""

    name: str
    value: float


class Distribution(NamedTuple):
    """Cumulative buckets of observations."""

    name: str
    buckets: Buckets


class Gap(NamedTuple):
    """A part of what was asked that did not answer, and why; the rest of the round is good. It holds no secret."""

    what: str
    reason: str


class Told(NamedTuple):
    """What a probe has to say once, at the end: an event of the run."""

    event: str
    details: dict[str, object]


Fact = Sample | Counter | Distribution | Gap
