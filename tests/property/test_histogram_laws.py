"""Laws of histograms and series: what they promise of quantiles, and that merging loses nothing."""

import json
from fractions import Fraction
from math import ceil

from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtests.measure.histogram import DIGITS, HIGHEST_US, LOWEST_US, Histogram, bucket_of
from loadtests.measure.series import MAX_KINDS, Series

IN_RANGE = st.one_of(st.integers(1, 5000), st.integers(1, HIGHEST_US), st.integers(0, 31).map(lambda power: 2**power))
ANY = st.one_of(IN_RANGE, st.integers(-10, 0), st.integers(HIGHEST_US + 1, 10 * HIGHEST_US))
KINDS = st.one_of(st.none(), st.sampled_from(["timeout", "status 500", "reset"]))
REQUESTS = st.lists(st.tuples(ANY, ANY, st.integers(0, 10_000), KINDS), max_size=12)


def histogram_of(values: list[int]) -> Histogram:
    """A histogram of these values."""
    made = Histogram()
    for value in values:
        made.record(value)
    return made


def merged(*parts: Histogram) -> Histogram:
    """A new histogram of all parts, from left to right."""
    whole = Histogram()
    for part in parts:
        whole.merge(part)
    return whole


@settings(max_examples=150)
@given(values=st.lists(IN_RANGE, min_size=1, max_size=60), permille=st.integers(0, 1000))
def test_quantile_is_within_its_promise(values: list[int], permille: int) -> None:
    """Never below the exact nearest rank, and at most 0.1 % above it."""
    rank = max(1, ceil(Fraction(permille, 1000) * len(values)))
    exact = sorted(values)[rank - 1]
    assert exact <= histogram_of(values).quantile(permille / 1000) <= exact * 1.001


@settings(max_examples=80)
@given(values=st.lists(ANY, min_size=1, max_size=30))
def test_quantiles_rise_up_to_the_largest_value(values: list[int]) -> None:
    """A higher q never gives a lower value, and none is above the largest one, overflow included."""
    histogram = histogram_of(values)
    found = [histogram.quantile(step / 20) for step in range(21)]
    assert found == sorted(found)
    assert found[-1] == max(0, *values) == histogram.max_us


@settings(max_examples=80)
@given(values=st.lists(ANY, max_size=40))
def test_what_stands_beside_the_buckets_is_exact(values: list[int]) -> None:
    """Count, sum, smallest, largest and overflow are those of the values, with negative ones as zero."""
    histogram, real = histogram_of(values), [max(0, value) for value in values]
    assert (histogram.count, histogram.sum_us) == (len(real), sum(real))
    assert (histogram.min_us, histogram.max_us) == (min(real, default=None), max(real, default=0))
    assert histogram.overflow == sum(value > HIGHEST_US for value in real)


@settings(max_examples=80)
@given(parts=st.lists(st.lists(ANY, max_size=15), min_size=1, max_size=5))
def test_merging_equals_one_histogram_of_all(parts: list[list[int]]) -> None:
    """However the samples were split, merging gives what one histogram of all of them holds."""
    whole = histogram_of([value for part in parts for value in part])
    assert merged(*map(histogram_of, parts)).to_json() == whole.to_json()


@settings(max_examples=80)
@given(a=st.lists(ANY, max_size=15), b=st.lists(ANY, max_size=15), c=st.lists(ANY, max_size=15))
def test_merging_is_commutative_and_associative(a: list[int], b: list[int], c: list[int]) -> None:
    """Neither order nor grouping of workers matters."""
    left, middle, right = histogram_of(a), histogram_of(b), histogram_of(c)
    assert merged(left, middle).to_json() == merged(middle, left).to_json()
    grouped = merged(merged(left, middle), right).to_json()
    assert grouped == merged(left, merged(middle, right)).to_json()


@settings(max_examples=80)
@given(values=st.lists(ANY, max_size=40), more=st.lists(ANY, max_size=10))
def test_json_round_trip_is_exact_and_goes_on(values: list[int], more: list[int]) -> None:
    """A histogram read back holds the same, answers the same, and takes and merges further values as the first would."""
    first = histogram_of(values)
    again = Histogram.from_json(json.loads(json.dumps(first.to_json())))
    assert again.to_json() == first.to_json()
    for value in more:
        first.record(value)
        again.record(value)
    assert again.to_json() == first.to_json()
    assert merged(again, first).to_json() == merged(first, again).to_json()
    if first.count:
        assert [again.quantile(q) for q in (0, 0.5, 0.99, 1)] == [first.quantile(q) for q in (0, 0.5, 0.99, 1)]


@settings(max_examples=60)
@given(before=st.lists(ANY, max_size=20), after=st.lists(ANY, max_size=20))
def test_clear_forgets_everything(before: list[int], after: list[int]) -> None:
    """A histogram that was cleared cannot be told from a new one."""
    histogram = histogram_of(before)
    histogram.clear()
    for value in after:
        histogram.record(value)
    assert histogram.to_json() == histogram_of(after).to_json()


def series_of(requests: list[tuple[int, int, int, str | None]]) -> Series:
    """A series of these requests."""
    made = Series()
    for response_us, service_us, received, failure in requests:
        made.record(response_us, service_us, received, failure)
    return made


@settings(max_examples=60)
@given(parts=st.lists(REQUESTS, min_size=1, max_size=4))
def test_series_merge_like_their_requests(parts: list[list[tuple[int, int, int, str | None]]]) -> None:
    """Merged series equal one series of all requests, in any order, and survive JSON on the way."""
    whole = series_of([request for part in parts for request in part])
    for order in (parts, list(reversed(parts))):
        total = Series()
        for part in order:
            total.merge(Series.from_json(json.loads(json.dumps(series_of(part).to_json()))))
        assert total.to_json() == whole.to_json()
        assert total.requests == total.ok + total.failed == sum(map(len, parts))


@settings(max_examples=40)
@given(kinds=st.lists(st.integers(0, 60), max_size=150))
def test_capped_kinds_lose_no_failure(kinds: list[int]) -> None:
    """However many kinds there are, every failure is counted, and the first kinds under their own name."""
    series = Series()
    for kind in kinds:
        series.record(1, 1, 0, str(kind))
    assert series.failed == len(kinds)
    assert len(series.failures) <= MAX_KINDS + 1
    first = list(dict.fromkeys(kinds))[:MAX_KINDS]
    assert all(series.failures[str(kind)] == kinds.count(kind) for kind in first)


ORIGINAL = HdrHistogram(LOWEST_US, HIGHEST_US, DIGITS)


@settings(max_examples=500)
@given(value=st.one_of(IN_RANGE, st.integers(0, 32).flatmap(lambda power: st.integers(2**power - 2, 2**power + 2))))
def test_buckets_are_those_of_the_original(value: int) -> None:
    """A value goes where HdrHistogram would have put it."""
    value = min(max(value, 0), HIGHEST_US)
    assert bucket_of(value) == ORIGINAL.get_counts_array_index(value)


@settings(max_examples=100)
@given(values=st.lists(st.one_of(IN_RANGE, st.integers(-10, 0)), max_size=40))
def test_what_was_recorded_is_what_the_original_would_hold(values: list[int]) -> None:
    """The same values, recorded by HdrHistogram's own method, are encoded to the same text."""
    original = HdrHistogram(LOWEST_US, HIGHEST_US, DIGITS)
    for value in values:
        original.record_value(max(value, 0))
    if original.total_count:
        assert histogram_of(values).encode_hdr() == original.encode().decode()


@settings(max_examples=100)
@given(values=st.lists(ANY, max_size=40))
def test_values_are_all_there(values: list[int]) -> None:
    """Walking the buckets finds as many values as were recorded, each within a thousandth, and in rising order."""
    found = [value for value, count in histogram_of(values).values() for _ in range(count)]
    real = sorted(max(0, value) for value in values)
    assert len(found) == len(real)
    assert found == sorted(found)
    assert all(abs(one - other) <= other / 1000 for one, other in zip(found, real, strict=True) if other <= HIGHEST_US)
