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

from loadtests.measure.residuals import Floats, Group, Pool, Runs, joined
from loadtests.measure.yardstick import Adjusted, adjusted

RESAMPLES = 10_000
SEED = 20150  # any number: equal runs must give equal intervals
NOISE_LEVEL = 0.95
"""Of what two groups of runs of the same build would differ by."""
LOUDER = 0.1
"""Chance at which these runs count as noisier than the other nights, which then say nothing about them."""
MOVED = 0.01
"""Chance at either end that a yardstick that no build moved is taken for one that was."""
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
    slope: float | None = None
    """How much the figure follows the yardstick, whose part is taken out; None where nothing is."""


def change(
    baseline: Group,
    candidate: Group,
    pairs: bool,
    tail: float,
    history: Sequence[Group] = (),
    yardstick: Runs | None = None,
) -> Change | None:
    """The change with its interval and noise; None where no run says how far runs differ (one a side and no history).

    `pairs`: the i-th runs of both sides were run one after the other, so what the machine did to both goes out. `history` are
    groups of runs of one build in one night, in order. `yardstick` has for each of these runs what work took that no build
    changes. Raises ValueError for pairs of unequal sides, and for an empty side.
    """
    if not baseline or not candidate or (pairs and len(baseline) != len(candidate)):
        raise ValueError(f"nothing to compare, or no pairs: {len(baseline)} and {len(candidate)} runs")
    runs = Runs(baseline, candidate, history)
    # The yardstick takes the machine out run by run: two groups then have twice the residuals that pairs have.
    fit = None if yardstick is None or (pairs and _moved(yardstick)) else adjusted(runs, yardstick)
    if fit is not None and (found := _change(fit.runs, False, tail, nights_apart=not pairs, fit=fit)):
        return found
    return _change(runs, pairs, tail, nights_apart=not pairs)


def _change(runs: Runs, pairs: bool, tail: float, nights_apart: bool, fit: Adjusted | None = None) -> Change | None:
    """None without a residual that is free."""
    pool = _pooled(runs.own(pairs), runs.rest(pairs), spent=0 if fit is None else 1)
    if pool is None:
        return None
    sizes = (len(runs.baseline), 0) if pairs else (len(runs.candidate), len(runs.baseline))
    drawn = _differences(pool.corrected, *sizes) * (1.0 if fit is None else fit.wider)
    if nights_apart:
        drawn = drawn * _wider(runs.history, pool.variance, pool.variance * runs.spread(pairs))
    low, high = np.quantile(drawn, [tail, 1 - tail]) * _stretch(tail, pool.freedom)
    noise = float(np.quantile(np.abs(drawn), NOISE_LEVEL)) * _stretch((1 - NOISE_LEVEL) / 2, pool.freedom)
    effect = runs.effect(pairs)
    return Change(effect, effect + float(low), effect + float(high), noise, pool.freedom, None if fit is None else fit.slope)


def _moved(yardstick: Runs) -> bool:
    """Whether the yardstick itself differs between runs that took turns: not the machine did that, but the builds.

    Answers twice as long, or connections that are not kept, are work for the generator, too. To take that out of a figure would
    hide a part of what the build did to it.
    """
    found = _change(yardstick, True, MOVED, nights_apart=False)
    return found is not None and not found.low <= 0 <= found.high


def _pooled(own: Pool, rest: Pool, spent: int) -> Pool | None:
    """Both, unless these runs are noisier than the others: then the others do not speak for them.

    `spent` degrees of freedom were taken by what was fitted before. None when nothing is free.
    """
    whole = joined([own, rest])
    if own.freedom and rest.freedom and own.variance > 0:
        ratio = own.variance / rest.variance if rest.variance > 0 else np.inf
        if fdtrc(own.freedom, rest.freedom, ratio) < LOUDER:
            whole = own
    free = whole.freedom - spent
    return Pool(whole.residuals, free) if free > 0 else None


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


def _wider(history: Sequence[Group], run: float, effect: float) -> float:
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
