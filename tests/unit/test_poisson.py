"""Poisson arrivals, held against the laws that define them. Seeds are fixed, so a failure is a change of the code."""

import math
import random
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest

from loadtests.pacing.schedule import RateProfile, arrival_times

KS_CRITICAL = 1.6276
"""Kolmogorov-Smirnov: sqrt(n) D_n exceeds this in 1 % of samples from the true law (n large)."""
CHI_SQUARE_10 = 23.209
"""Chi-square with ten degrees of freedom exceeds this in 1 % of samples."""


def kolmogorov_smirnov(values: Sequence[float], law: Callable[[float], float]) -> float:
    """sqrt(n) times the largest distance between the empirical distribution of `values` and `law`."""
    count = len(values)
    pairs = ((law(value), rank) for rank, value in enumerate(sorted(values)))
    return math.sqrt(count) * max(max((rank + 1) / count - p, p - rank / count) for p, rank in pairs)


def exponential(rate: float) -> Callable[[float], float]:
    """The distribution function of gaps at a constant rate."""
    return lambda gap: 1 - math.exp(-rate * gap)


@pytest.mark.parametrize("seed", range(3))
def test_gaps_at_a_constant_rate_are_exponential(seed: int) -> None:
    """5,000 gaps at 50/s pass Kolmogorov-Smirnov against the exponential law at 1 %, the wait for the first included."""
    times = list(arrival_times(RateProfile(((0, 50), (100, 50))), "poisson", random.Random(seed)))
    gaps = [times[0], *(later - earlier for earlier, later in pairwise(times))]
    assert len(gaps) > 4500
    assert kolmogorov_smirnov(gaps, exponential(50)) < KS_CRITICAL


@pytest.mark.parametrize("rate", [45.0, 55.0])
def test_the_test_of_gaps_tells_rates_apart(rate: float) -> None:
    """The same gaps fail against a rate that is 10 % off, so the test above can fail."""
    times = list(arrival_times(RateProfile(((0, 50), (100, 50))), "poisson", random.Random(0)))
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert kolmogorov_smirnov(gaps, exponential(rate)) > KS_CRITICAL


def test_constant_pacing_is_not_exponential() -> None:
    """Constant pacing fails the exponential law by far."""
    times = list(arrival_times(RateProfile(((0, 50), (100, 50))), "constant", random.Random(0)))
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert kolmogorov_smirnov(gaps, exponential(50)) > 10 * KS_CRITICAL


@pytest.mark.parametrize("seed", range(3))
def test_arrivals_of_a_ramp_fall_where_its_integral_says(seed: int) -> None:
    """Over a ramp from 0 to 1,000/s in 10 s, an arrival's moment has the distribution function (t / 10)^2."""
    times = list(arrival_times(RateProfile(((0, 0), (10, 1000))), "poisson", random.Random(seed)))
    assert abs(len(times) - 5000) < 3 * math.sqrt(5000)
    assert kolmogorov_smirnov(times, lambda time_s: (time_s / 10) ** 2) < KS_CRITICAL


def test_counts_of_a_ramp_match_the_integral_second_by_second() -> None:
    """Second k of a ramp of 20/s per second expects 20 k + 10 arrivals; ten such counts pass chi-square at 1 %."""
    counts = [0] * 10
    for user in range(20):
        for time_s in arrival_times(RateProfile(((0, 0), (10, 10))), "poisson", random.Random(user)):
            counts[int(time_s)] += 1
    expected = [20 * (second + 0.5) for second in range(10)]
    statistic = sum((count - mean) ** 2 / mean for count, mean in zip(counts, expected, strict=True))
    assert sum(expected) == 1000
    assert statistic < CHI_SQUARE_10


def test_counts_of_many_users_vary_like_poisson() -> None:
    """Over 2,000 users, the count of a process with mean 4 has mean 4 and variance 4, each within three standard errors."""
    profile = RateProfile(((0, 2), (2, 2)))
    counts = [len(list(arrival_times(profile, "poisson", random.Random(user)))) for user in range(2000)]
    mean = sum(counts) / len(counts)
    variance = sum((count - mean) ** 2 for count in counts) / (len(counts) - 1)
    assert abs(mean - 4) < 3 * 2 / math.sqrt(2000)
    # The variance of a Poisson sample's variance is (mu + 2 mu^2) / n.
    assert abs(variance - 4) < 3 * math.sqrt((4 + 2 * 16) / 2000)


def test_arrivals_rise() -> None:
    """Moments never go back."""
    profile = RateProfile(((0, 0), (5, 40), (5, 3), (9, 80)))
    times = list(arrival_times(profile, "poisson", random.Random(5)))
    assert times == sorted(times)
    assert times[0] > 0
    assert times[-1] < 9
