"""Change points: planted ones are found where they are, and quiet histories have none."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.measure.changepoints import change_points


def noisy(rng: np.random.Generator, levels: list[float], noise: float = 0.04) -> list[float]:
    """A value a night about these levels."""
    return [float(level * np.exp(noise * rng.normal())) for level in levels]


def test_a_history_without_a_change_has_none() -> None:
    """In at least 97 of 100 histories, whatever their noise is like: a long tail is no change."""
    rng = np.random.default_rng(1)
    normal = [change_points(noisy(rng, [10.0] * 40)) for _ in range(50)]
    long_tailed = [change_points((10 + rng.exponential(size=40)).tolist()) for _ in range(50)]
    assert sum(bool(found) for found in [*normal, *long_tailed]) <= 3


@pytest.mark.parametrize("at", [8, 20, 30])
def test_a_shift_is_found_where_it_was_planted(at: int) -> None:
    """To the night, or the one beside it, in at least nine of ten histories; with the medians of both sides."""
    rng = np.random.default_rng(at)
    found = [change_points(noisy(rng, [10.0] * at + [12.0] * (40 - at))) for _ in range(30)]
    hits = [points for points in found if len(points) == 1 and abs(points[0].index - at) <= 1]
    assert len(hits) >= 27
    (point,) = hits[0]
    assert point.before == pytest.approx(10, rel=0.05)
    assert point.after == pytest.approx(12, rel=0.05)
    assert point.relative == pytest.approx(0.2, abs=0.08)


def test_two_shifts_are_two_even_when_the_second_undoes_the_first() -> None:
    """Slower for a fortnight, and mended."""
    levels = [10.0] * 15 + [12.0] * 14 + [10.0] * 15
    points = change_points(noisy(np.random.default_rng(3), levels, 0.03))
    assert [point.index for point in points] == [pytest.approx(15, abs=1), pytest.approx(29, abs=1)]
    assert points[0].after == points[1].before


def test_one_odd_night_is_no_change() -> None:
    """Nor are two."""
    values = noisy(np.random.default_rng(4), [10.0] * 30)
    values[12] = values[13] = 30.0
    assert change_points(values) == []


def test_short_and_constant_histories_have_none() -> None:
    """Too few nights show nothing, and what is always the same does not change; from 0 there is no relative change."""
    assert change_points([]) == change_points([1.0]) == change_points([1.0] * 5 + [9.0]) == []
    assert change_points([7.0] * 30) == []
    (point,) = change_points([0.0] * 10 + [1.0] * 10)
    assert (point.index, point.relative) == (10, None)


@given(st.lists(st.floats(0.1, 100), min_size=6, max_size=30))
def test_asking_again_changes_nothing(values: list[float]) -> None:
    """Another unit does not either; and every part between two changes has at least three nights."""
    indexes = [point.index for point in change_points(values)]
    assert indexes == [point.index for point in change_points([value * 1024 for value in values])]
    assert all(end - begin >= 3 for begin, end in pairwise([0, *indexes, len(values)]))
