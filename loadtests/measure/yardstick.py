"""A figure less what the machine's speed made of it: analysis of covariance with a yardstick.

A machine that others share is a tenth slower in one run than in the next, and everything takes longer then: that is most of
what runs of one build differ by. Where each run also knows what some work took that is the same for every build, the
yardstick, what goes with it is taken out. How much a figure follows the yardstick (its slope) is fitted to the residuals alone,
so a change from one build to the other is no part of it (R. A. Fisher, Statistical Methods for Research Workers, 4th edition,
section 49.1).

    y = figure, x = yardstick, both logarithms     slope = sum(x y) / sum(x x) over residuals      y' = y - slope x

The slope takes a degree of freedom, and what is not known of it makes the interval wider, the more the further apart both
sides' yardsticks are. A yardstick that explains nothing is left alone.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import fdtrc

from loadtests.measure.residuals import Runs, joined

LEAST_FREEDOM = 2
"""That must be left when the slope has taken its one: with less the spread is hardly known at all."""
SURE = 0.05
"""Chance at which a yardstick without any meaning explains as much."""


@dataclass(frozen=True)
class Adjusted:
    """A figure without what the yardstick explains."""

    runs: Runs
    slope: float
    wider: float
    """Factor of the interval for what is not known of the slope."""


def adjusted(runs: Runs, yardstick: Runs) -> Adjusted | None:
    """The figure adjusted; None where the yardstick explains nothing of it, or too few runs could tell."""
    figure = joined([runs.own(pairs=False), runs.rest(pairs=False)])
    yard = joined([yardstick.own(pairs=False), yardstick.rest(pairs=False)]).residuals
    freedom, square = figure.freedom - 1, float(yard @ yard)
    if freedom < LEAST_FREEDOM or square == 0:
        return None
    slope = float(yard @ figure.residuals) / square
    left = figure.residuals - slope * yard
    variance, explained = float(left @ left) / freedom, slope**2 * square
    if variance > 0 and fdtrc(1, freedom, explained / variance) > SURE:
        return None
    wider = float(np.sqrt(1 + yardstick.effect(pairs=False) ** 2 / (square * runs.spread(pairs=False))))
    return Adjusted(runs.less(slope, yardstick), slope, wider)
