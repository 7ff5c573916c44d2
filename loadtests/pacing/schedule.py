r"""When each user's turns are due: pure sequences of absolute times, so that only the driver sleeps.

Arrivals come by time rescaling. With the rate r(t) of one user and its integral R(t), let E_0 < E_1 < ... be arrivals of
a process of rate one; then t_k = R^-1(E_k) are arrivals of rate r(t). (Daley and Vere-Jones, An Introduction to the
Theory of Point Processes, section 7.4.)

    rate      ____          R(t)       __--        E_k, equally spaced or exponential,
         ____/    \___           __--''            read off on the vertical axis,
        /                   _-''                   give t_k on the horizontal one.

E_k is k + phase for constant pacing, so a time comes from its index and cannot drift, and the random phase keeps users from
marching in step. For uniform pacing it is k + u_k, anywhere in its own interval. For Poisson it is a sum of k + 1 exponential
gaps of mean one.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate, count, pairwise, takewhile
from typing import Literal

from loadtests.pacing.draws import Draws

WAVE_KNOTS = 128
"""Knots in one period of a sine wave."""

Process = Literal["constant", "uniform", "poisson"]


@dataclass(frozen=True)
class RateProfile:
    """A rate over time, piecewise linear between knots (time in s, rate in 1/s).

    Times never fall; two knots at one time are a jump. Raises ValueError for negative rates or times out of order.
    """

    knots: tuple[tuple[float, float], ...]
    _areas: tuple[float, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.knots) < 2 or self.knots[0][0] != 0:
            raise ValueError("a rate profile starts at 0 s and has at least two knots")
        if any(later[0] < earlier[0] for earlier, later in pairwise(self.knots)):
            raise ValueError("the times of a rate profile must not fall")
        if any(rate < 0 for _, rate in self.knots):
            raise ValueError("a rate must not be negative")
        pieces = ((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(self.knots))
        object.__setattr__(self, "_areas", tuple(accumulate(pieces, initial=0.0)))

    @property
    def duration_s(self) -> float:
        """The end of the profile; there is no rate after it."""
        return self.knots[-1][0]

    @property
    def total(self) -> float:
        """Expected number of arrivals over the whole profile."""
        return self._areas[-1]

    def rate(self, time_s: float) -> float:
        """The rate at `time_s`, in 1/s; at a jump the later one; 0 outside the profile."""
        if not 0 <= time_s < self.duration_s:
            return 0.0
        after = bisect_right(self.knots, time_s, key=lambda knot: knot[0])
        (t0, r0), (t1, r1) = self.knots[after - 1], self.knots[after]
        return r0 + (r1 - r0) * (time_s - t0) / (t1 - t0)

    def cumulative(self, time_s: float) -> float:
        """R(t): expected number of arrivals before `time_s`."""
        if time_s <= 0:
            return 0.0
        if time_s >= self.duration_s:
            return self.total
        after = bisect_right(self.knots, time_s, key=lambda knot: knot[0])
        t0, r0 = self.knots[after - 1]
        return self._areas[after - 1] + (time_s - t0) * (r0 + self.rate(time_s)) / 2

    def inverse(self, area: float) -> float:
        """R^-1: the moment by which `area` arrivals are expected; inf at and beyond the total.

        Inside a piece, r0 x + s x^2 / 2 = a with slope s; its root is written as 2a / (r0 + sqrt(r0^2 + 2sa)), which does
        not cancel when s is small.
        """
        if area >= self.total:
            return math.inf
        after = max(1, bisect_left(self._areas, area))
        (t0, r0), (t1, r1) = self.knots[after - 1], self.knots[after]
        rest = area - self._areas[after - 1]
        if rest <= 0:
            return t0
        slope = (r1 - r0) / (t1 - t0)
        return min(t1, t0 + 2 * rest / (r0 + math.sqrt(max(0.0, r0 * r0 + 2 * slope * rest))))


def wave(duration_s: float, mean: float, amplitude: float, period_s: float) -> Iterator[tuple[float, float]]:
    r"""Knots of a sine wave from 0 s to `duration_s`, its first included.

        r(t) = mean + amplitude * sin(2 pi t / period)            _            _
                                                          mean  /   \       /   \
                                                                     \ _ /

    between knots WAVE_KNOTS to a period apart, which is nowhere further from the sine than amplitude * (pi / WAVE_KNOTS)^2 / 2
    (the error of linear interpolation), and has exactly its mean over whole periods. Raises ValueError for an amplitude above
    the mean: there is no negative rate.
    """
    if not 0 <= amplitude <= mean:
        raise ValueError("the amplitude of a wave lies between 0 and its mean")
    step_s = period_s / WAVE_KNOTS
    for index in takewhile(lambda index: index * step_s < duration_s, count()):
        yield index * step_s, mean + amplitude * math.sin(2 * math.pi * index / WAVE_KNOTS)
    yield duration_s, mean + amplitude * math.sin(2 * math.pi * duration_s / period_s)


def unit_arrivals(process: Process, draws: Draws) -> Iterator[float]:
    """E_0 < E_1 < ...: arrivals of rate one, without end."""
    if process == "constant":
        phase = draws.random()
        return (phase + index for index in count())
    if process == "uniform":
        return (index + draws.random() for index in count())
    return accumulate(-math.log(1.0 - draws.random()) for _ in count())


def arrival_times(profile: RateProfile, process: Process, draws: Draws) -> Iterator[float]:
    """One user's arrivals in seconds from the start of the load, until the profile ends."""
    for area in unit_arrivals(process, draws):
        time_s = profile.inverse(area)
        if math.isinf(time_s):
            return
        yield time_s
