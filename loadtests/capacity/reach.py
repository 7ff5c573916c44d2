"""How many units reach a throughput, as far as measurements carry."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from loadtests.capacity.usl import Fit, Law

FURTHEST = 2.0
"""Times the largest number of units measured: the law is not asked about more of them."""
Kind = Literal["answer", "too far", "never"]


@dataclass(frozen=True)
class Reach:
    """The answer for one target, or why there is none.

    "answer": `units` reach it. "never": the law's peak lies no further than `furthest`, and below the target. "too far":
    whether it is reached lies beyond `furthest`.
    """

    target: float
    kind: Kind
    units: int | None
    """The least whole number of units; None without an answer."""
    interval: tuple[float, float] | None
    """Between which whole numbers it lies (95 %); the highest is infinite where even `furthest` might not do. None without
    intervals, or if not even the upper end of them reaches the target."""
    furthest: float
    """The largest number of units that is answered for."""
    highest: float
    """The law's throughput at its peak, or at `furthest` where that comes first."""
    highest_at: float
    """Where."""
    linear: float
    """A lower bound: units, if nothing were lost by sharing."""
    amdahl: float
    """A lower bound: units, if nothing but sigma cost anything; infinite where even that does not reach the target."""


def reach(fit: Fit, target: float, furthest: float = FURTHEST) -> Reach:
    """The least number of units with X(N) >= `target`, up to `furthest` times the largest number measured."""
    law, most = fit.law, furthest * fit.most_units
    units = _whole(law.units_for(target))
    # Near the peak the next whole number may lie beyond it and below the target again.
    reached = units <= most and law.throughput(units) >= target * (1 - 1e-9)
    kind: Kind = "answer" if reached else "never" if law.peak <= most else "too far"
    highest_at = max(1.0, min(law.peak, most))
    return Reach(
        target=target,
        kind=kind,
        units=int(units) if reached else None,
        interval=_interval(fit, target, most),
        furthest=most,
        highest=law.throughput(highest_at),
        highest_at=highest_at,
        linear=_whole(target / law.lambda_),
        amdahl=_whole(Law(law.lambda_, law.sigma, 0.0).units_for(target)),
    )


def _interval(fit: Fit, target: float, most: float) -> tuple[float, float] | None:
    """From where the band of X first touches the target to where all of it is above, of numbers at most 0.2 % apart."""
    if fit.way is None:
        return None
    units = np.unique(np.geomspace(1, max(1.0, math.floor(most)), 10_000).round())
    low, high = fit.band(units)
    touched, above = units[high >= target], units[low >= target]
    if not touched.size:
        return None
    return float(touched[0]), float(above[0]) if above.size else math.inf


def _whole(units: float) -> float:
    """The next whole number, but not for a rounding error."""
    return max(1.0, math.ceil(units * (1 - 1e-12))) if math.isfinite(units) else math.inf
