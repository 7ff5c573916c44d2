"""Counters that only grow, and histograms made of them, as Prometheus has them: what they did over a stretch of time."""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

Buckets = Sequence[tuple[float, float]]
"""(upper bound, observations up to it), by growing bound; the last bound is infinite."""


def increase(samples: Iterable[float]) -> float:
    """How far a counter grew over these samples, in order; one that fell was started anew, from 0.

    As Prometheus's `increase`, without its extrapolation. Fewer than two samples: 0.
    """
    return sum(now - before if now >= before else now for before, now in pairwise(samples))


def buckets_increase(samples: Sequence[Buckets]) -> list[tuple[float, float]]:
    """The growth of each bucket over these samples; bounds that are not in all of them are left out."""
    common = set.intersection(*({bound for bound, _ in one} for one in samples)) if samples else set()
    by_bound = [dict(one) for one in samples]
    return [(bound, increase(one[bound] for one in by_bound)) for bound in sorted(common)]


def quantile(q: float, buckets: Buckets) -> float | None:
    """The q-quantile (0..1) of cumulative buckets, as Prometheus's `histogram_quantile`; None without observations.

    Observations are taken to lie evenly within their bucket, the first beginning at 0; a quantile in the last, infinite
    bucket is that bucket's lower bound.
    """
    if not buckets or buckets[-1][1] <= 0:
        return None
    rank = q * buckets[-1][1]
    lower, below = 0.0, 0.0
    for upper, upto in buckets:
        if upto >= rank and upto > below:
            return lower if math.isinf(upper) else lower + (upper - lower) * (rank - below) / (upto - below)
        lower, below = upper, upto
    return lower
