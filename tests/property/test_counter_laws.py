"""Counters and buckets: laws that hold whatever was counted."""

import math

from hypothesis import given
from hypothesis import strategies as st

from loadtests.measure.counters import buckets_increase, increase, quantile

STEPS = st.lists(st.integers(0, 10**9), min_size=1, max_size=50)
BOUNDS = st.lists(st.integers(1, 10**6), min_size=1, max_size=12, unique=True).map(sorted)


@given(st.integers(0, 10**9), STEPS)
def test_increase_is_the_sum_of_the_steps(first: int, steps: list[int]) -> None:
    """However a counter got there, it grew by the difference of its ends."""
    values = [first]
    for step in steps:
        values.append(values[-1] + step)
    assert increase(values) == sum(steps)


@given(STEPS, STEPS)
def test_a_counter_that_is_started_anew_loses_nothing(before: list[int], after: list[int]) -> None:
    """Growth before the restart and the whole of what was counted since add up, as far as samples saw them."""
    first = [sum(before[:count]) for count in range(len(before) + 1)]
    second = [sum(after[:count]) for count in range(len(after) + 1)]
    grown = increase([*first, *second])
    # A counter that begins again at or above where it was cannot be told from one that went on.
    assert grown == sum(before) + sum(after) or (grown <= sum(before) + sum(after) and second[0] >= first[-1])


@given(BOUNDS, st.data(), st.floats(0.01, 1))
def test_a_quantile_lies_in_the_bucket_of_its_rank(bounds: list[int], data: st.DataObject, q: float) -> None:
    """At least q of the observations lie at or below the bucket's upper edge, and fewer than q below its lower edge."""
    counts = data.draw(st.lists(st.integers(0, 1000), min_size=len(bounds) + 1, max_size=len(bounds) + 1))
    upto, buckets = 0, []
    for bound, count in zip([*map(float, bounds), math.inf], counts, strict=True):
        upto += count
        buckets.append((bound, float(upto)))
    found = quantile(q, buckets)
    if not upto:
        assert found is None
        return
    assert found is not None
    index = next(place for place, (_, below) in enumerate(buckets) if below >= q * upto and below > 0)
    lower = buckets[index - 1][0] if index else 0.0
    assert lower <= found <= (buckets[index][0] if math.isfinite(buckets[index][0]) else lower)


@given(BOUNDS, st.integers(0, 100), st.integers(0, 100))
def test_buckets_grow_bound_by_bound(bounds: list[int], first: int, second: int) -> None:
    """Each bound's growth is its counter's; what was there before is no part of it."""
    samples = [[(float(bound), float(count)) for bound in bounds] for count in (first, first + second)]
    assert buckets_increase(samples) == [(float(bound), float(second)) for bound in bounds]
