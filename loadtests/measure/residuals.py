"""What runs of one build are off from each other: residuals, and of how many of them as much is known as of free ones."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Group = Sequence[float]
"""Values of one build's runs of one night, in the order of their rounds."""


@dataclass(frozen=True)
class Pool:
    """Residuals, and the degrees of freedom that they have."""

    residuals: Floats
    freedom: int

    @property
    def variance(self) -> float:
        """Of one run, or of the difference of one pair; 0 where nothing is free."""
        return float((self.residuals**2).sum()) / self.freedom if self.freedom else 0.0

    @property
    def corrected(self) -> Floats:
        """As large as they would be, had no mean been fitted to them."""
        return self.residuals * float(np.sqrt(len(self.residuals) / self.freedom))


@dataclass(frozen=True)
class Runs:
    """One figure in the runs of both sides and of the history's groups, on a scale on which effects add."""

    baseline: Group
    candidate: Group
    history: Sequence[Group] = ()

    def effect(self, pairs: bool) -> float:
        """How much more it is on the candidate's side: the mean of the pairs' differences, or the difference of the means."""
        one, other = np.asarray(self.baseline, float), np.asarray(self.candidate, float)
        return float((other - one).mean() if pairs else other.mean() - one.mean())

    def own(self, pairs: bool) -> Pool:
        """Residuals of these runs: of the differences of pairs, or of both sides."""
        one, other = np.asarray(self.baseline, float), np.asarray(self.candidate, float)
        return deviations(other - one) if pairs else joined([deviations(one), deviations(other)])

    def rest(self, pairs: bool) -> Pool:
        """Residuals of the history, of the same kind."""
        return along_lines(self.history) if pairs else within(self.history)

    def spread(self, pairs: bool) -> float:
        """Variance of the effect in units of a residual's."""
        return 1 / len(self.baseline) + (0.0 if pairs else 1 / len(self.candidate))

    def less(self, slope: float, other: "Runs") -> "Runs":
        """Each value less `slope` times the other figure's of the same run."""

        def rid(group: Group, theirs: Group) -> Group:
            return [value - slope * yard for value, yard in zip(group, theirs, strict=True)]

        history = [rid(group, theirs) for group, theirs in zip(self.history, other.history, strict=True)]
        return Runs(rid(self.baseline, other.baseline), rid(self.candidate, other.candidate), history)


def deviations(values: Floats) -> Pool:
    """What each is off from their mean."""
    return Pool(values - values.mean(), len(values) - 1)


def joined(pools: Sequence[Pool]) -> Pool:
    """All of them in one."""
    return Pool(np.concatenate([np.empty(0), *(pool.residuals for pool in pools)]), sum(pool.freedom for pool in pools))


def within(history: Sequence[Group]) -> Pool:
    """Of groups of runs of the same build, each about its own mean."""
    return joined([deviations(np.asarray(group, float)) for group in history if len(group) > 1])


def along_lines(history: Sequence[Group]) -> Pool:
    """Of groups of runs of the same build, each about a straight line over its rounds: pairs have no slow drift in them either.

    The difference of two runs is off by more than one run is, hence the square root of 2.
    """
    return joined([_off_line(np.asarray(group, float)) for group in history if len(group) > 2])


def _off_line(values: Floats) -> Pool:
    rounds = np.arange(len(values)) - (len(values) - 1) / 2
    off = values - values.mean() - rounds * float(rounds @ values) / float(rounds @ rounds)
    return Pool(off * float(np.sqrt(2)), len(values) - 2)
