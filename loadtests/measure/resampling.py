"""How far one build's runs lie from another's, and how far chance alone would put them: by resampling whole runs.

The unit is the run. Requests of one run share its machine, its caches and its minute, so runs differ by more than chance does
to requests (`intervals.py`), and a thousand times the requests do not make a run more sure. Values are on a scale on which
effects add: logarithms of times and of CPU, so that an effect is a ratio of geometric means, and ratios as they are.

The interval is that of a residual bootstrap. What a run is off from the others of its side is a residual; the pool of all of
them, those of other nights among them, stands for what a run may be off. So many of them as there are runs are drawn anew and
anew, and their means say how far off the effect may be. Two corrections for few runs, both of T. Hesterberg, What Teachers
Should Know About the Bootstrap, The American Statistician 69 (2015):

    residuals are short, as the mean was fitted to them     x sqrt(N / (N - p)), p means fitted to N residuals
    their spread itself is a guess of few                   x t(tail, N - p) / z(tail)

There the second one takes percentiles further out; here the distribution is stretched by as much, which is the same for a
normal one and does not ask for percentiles beyond those that so few residuals can make.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from statistics import fmean

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtrc, ndtri, stdtrit

Floats = NDArray[np.float64]
RESAMPLES = 10_000
SEED = 20150  # any number: equal runs must give equal intervals
NOISE_LEVEL = 0.95
"""Of what two groups of runs of the same build would differ by."""
LOUDER = 0.1
"""Chance at which these runs count as noisier than the other nights, which then say nothing about them."""
LEAST_STEPS = 4
"""From night to night, to tell what nights differ by."""


@dataclass(frozen=True)
class Change:
    """From the baseline to the candidate, on the scale of the values."""

    effect: float
    """Difference of the means, of the pairs or of the sides."""
    low: float
    high: float
    """The interval; each end is wrong with the chance `tail` that was asked for."""
    noise: float
    """What two groups of so many runs of the same build differ by, at the most in 95 % of cases."""
    freedom: int
    """Degrees of freedom of the noise: about how many residuals it is known from."""


@dataclass(frozen=True)
class _Pool:
    residuals: Floats
    freedom: int

    @property
    def variance(self) -> float:
        return float((self.residuals**2).sum()) / self.freedom if self.freedom else 0.0

    @property
    def corrected(self) -> Floats:
        return self.residuals * float(np.sqrt(len(self.residuals) / self.freedom))


def change(
    baseline: Sequence[float], candidate: Sequence[float], pairs: bool, tail: float, history: Sequence[Sequence[float]] = ()
) -> Change | None:
    """The change with its interval and noise; None where no run says how far runs differ (one a side and no history).

    `pairs`: the i-th runs of both sides were run one after the other, so what the machine did to both goes out. `history` are
    groups of runs of one build in one night, in order. Raises ValueError for pairs of unequal sides, and for an empty side.
    """
    if not baseline or not candidate or (pairs and len(baseline) != len(candidate)):
        raise ValueError(f"nothing to compare, or no pairs: {len(baseline)} and {len(candidate)} runs")
    one, other = np.asarray(baseline, float), np.asarray(candidate, float)
    if pairs:
        effect, own, rest = float((other - one).mean()), _deviations(other - one), _along_lines(history)
        sizes = (len(one), 0)
    else:
        effect, own, rest = float(other.mean() - one.mean()), _joined([_deviations(one), _deviations(other)]), _within(history)
        sizes = (len(other), len(one))
    pool = _pooled(own, rest)
    if pool is None:
        return None
    drawn = _differences(pool.corrected, *sizes)
    if not pairs:
        drawn = drawn * _wider(history, pool.variance, pool.variance * (1 / len(one) + 1 / len(other)))
    low, high = np.quantile(drawn, [tail, 1 - tail]) * _stretch(tail, pool.freedom)
    noise = float(np.quantile(np.abs(drawn), NOISE_LEVEL)) * _stretch((1 - NOISE_LEVEL) / 2, pool.freedom)
    return Change(effect, effect + float(low), effect + float(high), noise, pool.freedom)


def _deviations(values: Floats) -> _Pool:
    """What each is off from their mean."""
    return _Pool(values - values.mean(), len(values) - 1)


def _joined(pools: Sequence[_Pool]) -> _Pool:
    return _Pool(np.concatenate([np.empty(0), *(pool.residuals for pool in pools)]), sum(pool.freedom for pool in pools))


def _within(history: Sequence[Sequence[float]]) -> _Pool:
    """Of groups of runs of the same build, each about its own mean."""
    return _joined([_deviations(np.asarray(group, float)) for group in history if len(group) > 1])


def _along_lines(history: Sequence[Sequence[float]]) -> _Pool:
    """Of groups of runs of the same build, each about a straight line over its rounds: pairs have no slow drift in them either.

    The difference of two runs is off by more than one run is, hence the square root of 2.
    """
    return _joined([_off_line(np.asarray(group, float)) for group in history if len(group) > 2])


def _off_line(values: Floats) -> _Pool:
    rounds = np.arange(len(values)) - (len(values) - 1) / 2
    off = values - values.mean() - rounds * float(rounds @ values) / float(rounds @ rounds)
    return _Pool(off * float(np.sqrt(2)), len(values) - 2)


def _pooled(own: _Pool, rest: _Pool) -> _Pool | None:
    """Both, unless these runs are noisier than the others: then the others do not speak for them."""
    if not own.freedom + rest.freedom:
        return None
    if own.freedom and rest.freedom and own.variance > 0:
        ratio = own.variance / rest.variance if rest.variance > 0 else np.inf
        if fdtrc(own.freedom, rest.freedom, ratio) < LOUDER:
            return own
    return _joined([own, rest])


def _differences(residuals: Floats, size: int, other: int) -> Floats:
    """Means of `size` residuals drawn at random, less those of `other` more; of pairs (0 more) either sign is as likely."""
    pool = residuals if other else np.concatenate([residuals, -residuals])
    drawn = pool[_draws(len(pool), size + other)]
    means: Floats = drawn[:, :size].mean(axis=1)
    return means - drawn[:, size:].mean(axis=1) if other else means


@lru_cache(maxsize=16)
def _draws(among: int, count: int) -> NDArray[np.int64]:
    """The same ones for all figures of the same number of runs."""
    return np.random.default_rng(SEED).integers(among, size=(RESAMPLES, count))


def _wider(history: Sequence[Sequence[float]], run: float, effect: float) -> float:
    """How much wider an effect of two groups is for what whole nights differ by: 1 where that is not known, or is nothing.

    `run` and `effect` are the variances that runs of one night explain, of a run and of the effect. From one group of the
    history to the next the mean takes a step; half of the steps are larger than their median, which the few nights in which
    the stack did change hardly move. What is left of it when runs have explained their part, groups of two nights have besides.
    """
    means = [float(np.mean(group)) for group in history if group]
    sizes = [len(group) for group in history if group]
    if len(means) <= LEAST_STEPS or not effect:
        return 1.0
    step = float(np.median(np.abs(np.diff(means)))) / float(ndtri(0.75))
    explained = run * fmean(1 / size + 1 / after for size, after in pairwise(sizes))
    return float(np.sqrt(1 + max(0.0, step**2 - explained) / effect))


def _stretch(tail: float, freedom: int) -> float:
    """How much further out a quantile is when the spread is a guess."""
    return float(stdtrit(freedom, 1 - tail) / ndtri(1 - tail))
