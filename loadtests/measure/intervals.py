"""Within what a figure would lie, were it measured again under the same conditions: intervals of 95 % confidence.

They say what chance does to requests that are independent of each other. Requests that wait for the same thing are not, so a
real load may vary more than these intervals say.
"""

import math
from collections.abc import Callable

from loadtests.measure.histogram import Histogram

Z = 1.959963984540054
"""The 0.975 quantile of the standard normal distribution."""
Interval = tuple[float, float]
"""Lowest and highest value, both among them; the highest is infinite where the measured values cannot tell it."""


def quantile_ranks(count: int, q: float) -> tuple[int, int]:
    """Ranks of the ordered values (1 to `count`) between which the true `q`-quantile (0 to 1) lies.

    How many of `count` values lie below it is binomial (count, q), taken as normal here: J.-Y. Le Boudec, Performance
    Evaluation of Computer and Communication Systems, theorem 2.1 and its approximation for large counts. As there, 0 and
    `count` + 1 are the ranks of the least and the largest value that could be: of few values a quantile near an end has no
    bound on that side among those that were seen.
    """
    half = Z * math.sqrt(count * q * (1 - q))
    low, high = math.floor(count * q - half), math.ceil(count * q + half) + 1
    return max(low, 0), min(high, count + 1)


def quantile_interval(histogram: Histogram, q: float) -> Interval | None:
    """Of the `q`-quantile, in microseconds, as wide as the buckets at its ends make it; None for an empty histogram.

    Where the values have no bound it is 0, as times are never less, or infinite.
    """
    if not histogram.count:
        return None
    low, high = quantile_ranks(histogram.count, q)
    return (
        float(histogram.bucket_at(low)[0]) if low else 0.0,
        float(histogram.bucket_at(high)[1]) if high <= histogram.count else math.inf,
    )


def ratio_interval(part: float, whole: float) -> Interval | None:
    """Of the share of `part` among `whole` independent trials; None where these are no such counts.

    E. B. Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 (1927): it stays within 0 to 1
    and is sound at 0 and 1 as well, where the usual one has no width.
    """
    if whole <= 0 or not 0 <= part <= whole:
        return None
    p, share = part / whole, Z * Z / whole
    middle = (p + share / 2) / (1 + share)
    half = math.sqrt(share * (p * (1 - p) + share / 4)) / (1 + share)
    # Rounding errors must not part the estimate from its interval where that is exact: at nothing and at all.
    return max(0.0, min(middle - half, p)), min(1.0, max(middle + half, p))


def decided(holds: Callable[[float], bool], interval: Interval | None) -> bool:
    """Whether the limit that `holds` compares with lies outside of the interval, so that a repetition would say the same."""
    return interval is None or holds(interval[0]) == holds(interval[1])
