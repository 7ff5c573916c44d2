"""Since when is it another figure: change points in a history of one value a night.

D. Matteson and N. James, A nonparametric approach for multiple change point analysis of multivariate data, JASA 109 (2014): a
series is cut where the energy distance between what lies before and after is largest, as long as hardly any shuffling of it has
one that large; then each part likewise. It knows no distribution, so it does not ask how the noise of nights looks. Nights
that depend on their neighbours (a machine that slows down week by week) are cut somewhere, too, though nothing happened then.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
SHUFFLES = 499
SEED = 2014
LEAST_NIGHTS = 3
"""On either side of a change: one night apart from all others is an accident, and no change."""
SIGNIFICANCE = 0.01


@dataclass(frozen=True)
class ChangePoint:
    """From here on it is another figure."""

    index: int
    """Of the first value after the change."""
    before: float
    """Median from the change before, or the beginning, up to here."""
    after: float
    """Median from here to the next change, or the end."""

    @property
    def relative(self) -> float | None:
        """Change as a share of what it was; None where that was 0."""
        return self.after / self.before - 1 if self.before else None


def change_points(values: Sequence[float], significance: float = SIGNIFICANCE) -> list[ChangePoint]:
    """The changes in order; the same ones for the same values. With fewer than about ten values there can be none."""
    series = np.asarray(values, float)
    cuts = sorted(_cuts(series, 0, np.random.default_rng(SEED), significance))
    bounds = [0, *cuts, len(series)]
    medians = [float(np.median(series[begin:end])) for begin, end in pairwise(bounds)] if len(series) else []
    return [ChangePoint(cut, before, after) for cut, (before, after) in zip(cuts, pairwise(medians), strict=True)]


def _cuts(series: Floats, offset: int, rng: np.random.Generator, significance: float) -> Iterator[int]:
    """Where a part of the history is cut, and the parts of it again."""
    if len(series) < 2 * LEAST_NIGHTS:
        return
    distances = np.abs(series[:, None] - series[None, :])
    largest, cut = _largest(distances)
    as_large = 0
    for _ in range(SHUFFLES):
        order = rng.permutation(len(series))
        as_large += _largest(distances[np.ix_(order, order)])[0] >= largest
    if (1 + as_large) / (1 + SHUFFLES) >= significance:
        return
    yield offset + cut
    yield from _cuts(series[:cut], offset, rng, significance)
    yield from _cuts(series[cut:], offset + cut, rng, significance)


def _largest(distances: Floats) -> tuple[float, int]:
    """The largest energy distance between neighbouring parts, scaled by their sizes, and where these are cut.

    The first begins at the beginning and the second ends anywhere, as in the paper: else what comes after a second change
    would hide the first.
    """
    count = len(distances)
    sums = np.zeros((count + 1, count + 1))
    sums[1:, 1:] = distances.cumsum(axis=0).cumsum(axis=1)
    cuts, ends = _places(count)
    left = sums[cuts, cuts]
    between = sums[cuts, ends] - left
    right = sums[ends, ends] - left - 2 * between
    before, after = cuts.astype(float), (ends - cuts).astype(float)
    # Each distance is in the sums within a part twice, in both directions, as are the pairs that it is divided by.
    energy = 2 * between / (before * after) - left / (before * (before - 1)) - right / (after * (after - 1))
    scaled = energy * before * after / (before + after)
    best = int(np.argmax(scaled))
    return float(scaled[best]), int(cuts[best])


@lru_cache(maxsize=64)
def _places(count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All ways to cut a first part and an end of the second one."""
    cuts, ends = np.triu_indices(count + 1, LEAST_NIGHTS)
    fits = cuts >= LEAST_NIGHTS
    return cuts[fits], ends[fits]
