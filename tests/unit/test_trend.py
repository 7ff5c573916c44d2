"""Changes over the nights of a history."""

from collections.abc import Sequence

from loadtests.report.trend import MOST_NIGHTS, changes_of
from loadtests.store.history import Entry
from tests.property.nights import run_of

P50 = "service_time(list_tasks).p50"


def _entries(values: Sequence[float | None]) -> list[Entry]:
    """A run a night; None for one that lacks the figure."""
    return [
        Entry(f"n{night:03}", "nightly", "lists", "candidate", 1, run_of({} if value is None else {P50: value}, night % 60))
        for night, value in enumerate(values)
    ]


def _level(value: float, nights: int) -> list[float]:
    return [value * (1 + night % 3 / 100) for night in range(nights)]


def test_the_night_of_a_change_is_named() -> None:
    """With the medians before and after it."""
    found = changes_of(_entries([*_level(0.010, 10), *_level(0.012, 10)]))
    ((since,),) = found.values()
    assert since.night == "n010"
    assert since.before < 0.011 < since.after and since.relative is not None and 0.15 < since.relative < 0.25


def test_a_night_without_the_figure_is_passed_over() -> None:
    """The others still tell, and nights keep their names."""
    ((since,),) = changes_of(_entries([None, *_level(0.010, 10), None, *_level(0.012, 10)])).values()
    assert since.night == "n012"


def test_few_nights_and_old_ones_tell_nothing() -> None:
    """Under eight, and what was before the newest two hundred."""
    assert changes_of(_entries([*_level(0.010, 3), *_level(0.020, 4)])) == {}
    assert changes_of(_entries([*_level(0.010, 20), *[0.02] * MOST_NIGHTS])) == {}


def test_a_small_change_is_not_worth_a_line() -> None:
    """Three in a hundred, however sure."""
    assert changes_of(_entries([*[0.0100] * 12, *[0.0103] * 12])) == {}
