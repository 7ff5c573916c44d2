"""The histogram's promises, against exact quantiles of the sorted samples."""

import json
import math
import random
from collections.abc import Callable
from fractions import Fraction

import pytest
from hdrh.histogram import HdrHistogram

from loadtests.measure.histogram import HIGHEST_US, Histogram

QUANTILES = ("0", "0.001", "0.1", "0.25", "0.5", "0.9", "0.95", "0.99", "0.999", "0.9999", "1")

DISTRIBUTIONS: dict[str, Callable[[random.Random], float]] = {
    "uniform to a second": lambda rng: rng.uniform(1, 1e6),
    "exponential, mean 20 ms": lambda rng: rng.expovariate(1 / 20_000),
    "lognormal, heavy tail": lambda rng: rng.lognormvariate(9, 2),
    "Pareto, heavier tail": lambda rng: 1000 * rng.paretovariate(0.8),
    "two humps": lambda rng: rng.gauss(5_000, 300) if rng.random() < 0.97 else rng.gauss(2_000_000, 50_000),
    "small whole numbers": lambda rng: rng.randrange(1, 40),
    "always the same": lambda _: 123_457,
    "powers of two": lambda rng: 2 ** rng.randrange(31),
    "whole range": lambda rng: math.exp(rng.uniform(0, math.log(HIGHEST_US))),
}


def histogram_of(values: list[int]) -> Histogram:
    """A histogram of these values."""
    made = Histogram()
    for value in values:
        made.record(value)
    return made


def exact_quantile(values: list[int], q: str) -> int:
    """Nearest rank on the sorted values, in exact arithmetic."""
    rank = max(1, math.ceil(Fraction(q) * len(values)))
    return sorted(values)[rank - 1]


def sample(name: str, size: int) -> list[int]:
    """`size` values of a distribution, within the histogram's range."""
    rng = random.Random(f"{name}:{size}")
    return [min(HIGHEST_US, max(1, int(DISTRIBUTIONS[name](rng)))) for _ in range(size)]


@pytest.mark.parametrize("size", [1, 2, 3, 10, 99, 100, 101, 3000])
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_quantiles_keep_the_promise(name: str, size: int) -> None:
    """Every quantile is at most 0.1 % above the exact nearest rank, and never below it."""
    values = sample(name, size)
    histogram = histogram_of(values)
    for q in QUANTILES:
        exact = exact_quantile(values, q)
        assert exact <= histogram.quantile(float(q)) <= exact * 1.001, q


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_count_sum_extremes_and_mean_are_exact(name: str) -> None:
    """What is counted beside the buckets has no error."""
    values = sample(name, 2000)
    histogram = histogram_of(values)
    assert histogram.count == 2000
    assert histogram.sum_us == sum(values)
    assert (histogram.min_us, histogram.max_us) == (min(values), max(values))
    assert histogram.mean_us == sum(values) / 2000
    assert histogram.quantile(1) == max(values)


@pytest.mark.parametrize(
    ("count", "q", "rank"),
    [
        (100, 0.29, 29),  # 0.29 * 100 = 28.999999999999996
        (100, 0.07, 7),  # 0.07 * 100 = 7.000000000000001
        (100, 0.55, 55),  # 0.55 * 100 = 55.00000000000001
        (100, 0.57, 57),  # 0.57 * 100 = 56.99999999999999
        (1000, 0.999, 999),
        (1000, 0.9991, 1000),
        (20, 0.95, 19),
        (21, 0.95, 20),
        (10, 0.0, 1),
        (10, 0.1, 1),
        (10, 0.100001, 2),
        (10, 1.0, 10),
    ],
)
def test_rank_is_the_ceiling_of_q_times_count(count: int, q: float, rank: int) -> None:
    """Of the values 1 to count, the quantile is its own rank, also where q * count is whole but for a rounding error."""
    assert histogram_of(list(range(1, count + 1))).quantile(q) == rank


def test_rank_is_right_among_a_hundred_million() -> None:
    """7 % of the values are 1, the others 2: the 0.07-quantile is 1 however many there are, an hour at 30,000/s included."""
    histogram = histogram_of([1] * 7 + [2] * 93)
    for _ in range(20):
        twin = Histogram()
        twin.merge(histogram)
        histogram.merge(twin)
    assert histogram.count == 104_857_600
    assert histogram.quantile(0.07) == 1
    assert histogram.quantile(0.070_001) == 2


@pytest.mark.parametrize("q", [0, 0.5, 1])
def test_empty_histogram_has_no_quantiles(q: float) -> None:
    """No data is an error and never zero."""
    with pytest.raises(ValueError, match="empty"):
        Histogram().quantile(q)


def test_empty_histogram_has_no_mean() -> None:
    """A mean of nothing raises."""
    with pytest.raises(ZeroDivisionError):
        _ = Histogram().mean_us


def test_negative_values_count_as_zero() -> None:
    """A clock that stepped back gives zero, in the buckets, the sum and the smallest value."""
    histogram = histogram_of([-5, -1, 10])
    assert (histogram.count, histogram.sum_us, histogram.min_us, histogram.max_us) == (3, 10, 0, 10)
    assert histogram.quantile(0.5) == 0
    assert histogram.quantile(1) == 10


def test_an_hour_is_in_range_and_more_overflows() -> None:
    """One hour is the last value with a bucket; beyond it values are counted, with exact sum and largest value."""
    histogram = histogram_of([5, HIGHEST_US, HIGHEST_US + 1, 2 * HIGHEST_US])
    assert histogram.overflow == 2
    assert histogram.count == 4
    assert histogram.sum_us == 5 + 4 * HIGHEST_US + 1
    assert histogram.quantile(0.25) == 5
    assert HIGHEST_US <= histogram.quantile(0.5) <= HIGHEST_US * 1.001
    assert histogram.quantile(0.75) == histogram.quantile(1) == 2 * HIGHEST_US


def test_values_beyond_an_hour_alone() -> None:
    """With nothing in the buckets, every quantile is the largest value."""
    assert histogram_of([HIGHEST_US * 3]).quantile(0.01) == HIGHEST_US * 3


def test_clear_leaves_nothing_behind() -> None:
    """A cleared histogram is as good as new: the next values alone are in it."""
    histogram = histogram_of([1, 50_000, HIGHEST_US + 1, 7])
    histogram.clear()
    assert histogram.to_json() == Histogram().to_json() == {"n": 0}
    histogram.record(300)
    assert histogram.to_json() == histogram_of([300]).to_json()
    assert histogram.quantile(0.01) == 300


def test_json_of_a_small_histogram_is_small() -> None:
    """A second with 200 answers of a hundred distinct values takes less than a kilobyte."""
    text = json.dumps(histogram_of(sample("exponential, mean 20 ms", 100) * 2).to_json())
    assert len(text) < 1000


@pytest.mark.parametrize(("highest", "digits"), [(HIGHEST_US, 2), (HIGHEST_US * 2, 3), (1_000_000, 3)])
def test_histograms_of_other_parameters_are_refused(highest: int, digits: int) -> None:
    """Merging other buckets would lose the promise, so reading them raises."""
    foreign = HdrHistogram(1, highest, digits)
    foreign.record_value(1000)
    data = {"n": 1, "sum": 1000, "min": 1000, "max": 1000, "over": 0, "hdr": foreign.encode().decode()}
    with pytest.raises(ValueError, match="cannot be merged"):
        Histogram.from_json(data)


def test_encoding_is_hdrhistograms_own() -> None:
    """What is encoded decodes with HdrHistogram itself, to the same counts."""
    values = sample("two humps", 500)
    decoded = HdrHistogram.decode(histogram_of(values).encode_hdr())
    assert decoded.get_total_count() == 500
    assert decoded.get_count_at_value(values[0]) >= 1
    assert exact_quantile(values, "0.5") <= decoded.get_value_at_percentile(50) <= exact_quantile(values, "0.5") * 1.001


def test_merging_an_empty_histogram_changes_nothing() -> None:
    """Nothing added is nothing changed, on either side."""
    histogram, empty = histogram_of([4, 9]), Histogram()
    before = histogram.to_json()
    histogram.merge(empty)
    assert histogram.to_json() == before
    empty.merge(histogram)
    assert empty.to_json() == before
