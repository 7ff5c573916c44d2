"""Laws of confidence intervals: their promise is held against the exact binomial law, of which they are an approximation."""

from math import comb, inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.measure.histogram import Histogram
from loadtests.measure.intervals import decided, quantile_interval, quantile_ranks, ratio_interval

COUNTS = st.integers(1, 2000)
PERMILLE = st.integers(1, 999)
VALUES = st.lists(st.integers(0, 10_000_000), min_size=1, max_size=80)


def binomial(n: int, p: float, low: int, high: int) -> float:
    """Probability of low to high successes, both included, of n trials."""
    return sum(comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(max(low, 0), min(high, n) + 1))


def histogram_of(values: list[int]) -> Histogram:
    """A histogram of these values."""
    made = Histogram()
    for value in values:
        made.record(value)
    return made


@given(n=st.integers(1, 120), permille=st.integers(20, 980))
def test_ranks_hold_their_promise(n: int, permille: int) -> None:
    """The true quantile lies between the two ordered values in 95 % of all samples or more, however few they are.

    It does when at least `low` and fewer than `high` values are below it.
    """
    q = permille / 1000
    low, high = quantile_ranks(n, q)
    assert binomial(n, q, low, high - 1) >= 0.95


@given(n=st.integers(1, 5000), permille=st.integers(500, 999))
def test_the_largest_value_bounds_a_quantile_only_when_it_is_hardly_ever_below(n: int, permille: int) -> None:
    """All values lie below the quantile with probability q^n: where that is not small, none of them is an upper bound."""
    q = permille / 1000
    _, high = quantile_ranks(n, q)
    if q**n > 0.05:
        assert high == n + 1
    if q**n < 0.001:
        assert high <= n


@given(n=COUNTS, permille=PERMILLE)
def test_ranks_enclose_the_nearest_rank(n: int, permille: int) -> None:
    """The estimate itself always lies between them."""
    low, high = quantile_ranks(n, permille / 1000)
    assert 0 <= low <= max(1, -(-n * permille // 1000)) <= high <= n + 1


@given(n=COUNTS, one=PERMILLE, other=PERMILLE)
def test_ranks_rise_with_the_quantile(n: int, one: int, other: int) -> None:
    """A higher quantile never has a lower interval, to within one rank of rounding."""
    first, second = sorted((one, other))
    before, after = quantile_ranks(n, first / 1000), quantile_ranks(n, second / 1000)
    # Of few values the interval of a quantile near the end is narrower than that of one in the middle.
    if n >= 100 and first >= 50 and second <= 950:
        assert before[0] <= after[0] + 1
        assert before[1] <= after[1] + 1


@given(values=VALUES, permille=PERMILLE)
def test_quantile_interval_contains_quantile_and_exact_values(values: list[int], permille: int) -> None:
    """The histogram's quantile is in it, and so are the exact values of both ranks: the buckets' width is part of it.

    Where a rank has no value its side is open.
    """
    histogram, q = histogram_of(values), permille / 1000
    found = quantile_interval(histogram, q)
    assert found is not None
    low, high = quantile_ranks(len(values), q)
    ordered = sorted(values)
    assert found[0] <= histogram.quantile(q) <= found[1]
    assert ordered[0] <= found[0] <= ordered[low - 1] if low else found[0] == 0
    assert ordered[high - 1] <= found[1] <= ordered[-1] if high <= len(values) else found[1] == inf


@given(n=st.integers(1, 100), us=st.integers(1, 1_000_000), limit_us=st.integers(1, 2_000_000))
def test_few_values_promise_nothing_about_a_high_percentile(n: int, us: int, limit_us: int) -> None:
    """However far below the limit they all are: of 100 and fewer requests nobody can say that p99 meets it."""
    found = quantile_interval(histogram_of([us] * n), 0.99)
    assert found is not None
    assert found[1] == inf
    assert decided(lambda value: value < limit_us, found) == (found[0] >= limit_us)


@given(values=st.lists(st.integers(0, 8_000_000_000), min_size=1, max_size=40))
def test_bucket_of_each_rank_holds_its_value(values: list[int]) -> None:
    """Overflow included."""
    histogram = histogram_of(values)
    for rank, value in enumerate(sorted(values), start=1):
        low, high = histogram.bucket_at(rank)
        assert low <= value <= high


def test_more_values_tell_more() -> None:
    """With a hundred times as many values an interval is a tenth as wide."""
    narrow, wide = (quantile_ranks(n, 0.5) for n in (1_000_000, 10_000))
    assert 9 < ((wide[1] - wide[0]) / 10_000) / ((narrow[1] - narrow[0]) / 1_000_000) < 11


@given(whole=COUNTS, permille=st.integers(0, 1000))
def test_ratio_interval_contains_the_ratio(whole: int, permille: int) -> None:
    """Within 0 to 1, the estimate always in it, also at the ends; and that of the complement mirrors it."""
    part = whole * permille // 1000
    found, mirrored = ratio_interval(part, whole), ratio_interval(whole - part, whole)
    assert found is not None and mirrored is not None
    assert 0 <= found[0] <= part / whole <= found[1] <= 1
    assert found[0] < found[1]
    assert abs(found[0] - (1 - mirrored[1])) < 1e-12 and abs(found[1] - (1 - mirrored[0])) < 1e-12


@given(whole=st.integers(1, 400), part=st.integers(0, 399))
def test_ratio_interval_rises_with_the_part(whole: int, part: int) -> None:
    """One more success moves both ends up."""
    if part < whole:
        before, after = ratio_interval(part, whole), ratio_interval(part + 1, whole)
        assert before is not None and after is not None
        assert before[0] <= after[0] and before[1] <= after[1]


@given(n=st.integers(20, 120), permille=st.integers(50, 950))
def test_ratio_interval_holds_its_promise(n: int, permille: int) -> None:
    """It contains the true share in about 95 % of all samples: Wilson's interval swings around that, and seldom below 92 %."""
    p = permille / 1000
    intervals = [ratio_interval(k, n) for k in range(n + 1)]
    covered = sum(binomial(n, p, k, k) for k, found in enumerate(intervals) if found is not None and found[0] <= p <= found[1])
    assert covered >= 0.91


def test_no_interval_without_trials() -> None:
    """Nothing was tried, or the two are no counts of the same thing."""
    assert ratio_interval(0, 0) is None
    assert ratio_interval(3, 2) is None
    assert ratio_interval(-1, 2) is None
    assert quantile_interval(Histogram(), 0.5) is None


def test_decided_when_both_ends_agree() -> None:
    """Undecided only where a repetition may fall on the other side of the limit."""
    assert decided(lambda value: value < 200, (100.0, 199.0))
    assert decided(lambda value: value < 200, (200.0, 300.0))
    assert not decided(lambda value: value < 200, (199.0, 200.0))
    assert not decided(lambda value: value <= 0, (0.0, 0.1))
    assert decided(lambda value: value < 200, None)


@pytest.mark.parametrize(("q", "count"), [(0.5, 8), (0.95, 110), (0.99, 563), (0.999, 5661)])
def test_how_many_values_bound_a_percentile(q: float, count: int) -> None:
    """From so many on; docs/objectives.md has these numbers."""
    assert next(n for n in range(1, 10_000) if quantile_ranks(n, q)[1] <= n) == count
