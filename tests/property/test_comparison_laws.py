"""How often a comparison is wrong: seeded nights of equal builds, and of one that got slower; laws that hold for any runs."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.measure.resampling import change
from loadtests.report.compare import compare
from loadtests.store.measured import Measured
from tests.property.nights import all_of, night, shares

TRIALS = 200
VALUES = st.lists(st.floats(-5, 5), min_size=2, max_size=8)


def flagged(rng: np.random.Generator, rounds: int, pairs: bool, noise: float | None = None, drift: float = 0.1) -> float:
    """The share of comparisons of equal builds with a regression."""
    nights = (night(rng, rounds, noise, drift=drift) for _ in range(TRIALS))
    return shares([bool(compare(*sides, pairs).regressions) for sides in nights])


@pytest.mark.parametrize(
    ("rounds", "pairs", "noise"), [(3, True, None), (5, True, None), (5, True, 0.08), (8, True, None), (5, False, None)]
)
def test_equal_builds_are_flagged_in_at_most_one_of_twenty_comparisons(rounds: int, pairs: bool, noise: float | None) -> None:
    """Of eight figures that judge, with half of their noise in common, on a machine that drifts by a tenth."""
    assert flagged(np.random.default_rng(rounds), rounds, pairs, noise) <= 0.05


def test_a_history_does_not_make_equal_builds_differ() -> None:
    """Nor do its nights' drifts."""
    rng = np.random.default_rng(4)
    assert shares([bool(compare(*night(rng, 3), True, past(rng)).regressions) for _ in range(TRIALS // 2)]) <= 0.05


def test_a_series_that_is_15_percent_slower_is_found_and_named() -> None:
    """In at least nine of ten nights of five pairs, at 4 % noise; the other series is not blamed for it."""
    rng = np.random.default_rng(1)
    found = [named(rng, 5) for _ in range(TRIALS)]
    assert shares(["list_tasks" in names for names in found]) >= 0.9
    assert shares(["create_task" in names for names in found]) <= 0.05


def test_a_history_makes_fewer_rounds_enough() -> None:
    """Of three pairs a night alone tells half; with five nights before it nearly all."""
    rng = np.random.default_rng(2)
    alone = shares(["list_tasks" in named(rng, 3) for _ in range(TRIALS // 2)])
    informed = shares(["list_tasks" in named(rng, 3, past(rng, 0.04)) for _ in range(TRIALS // 2)])
    assert alone < 0.7
    assert informed > 0.8


def test_nights_that_differ_are_not_taken_for_builds_that_do() -> None:
    """Groups of two nights, on a machine whose nights differ by 6 %: a history of ten tells it, and allows for it."""
    rng = np.random.default_rng(6)
    flags: dict[bool, list[bool]] = {True: [], False: []}
    for _ in range(TRIALS // 2):
        *before, old, new = (whole_night(rng, number, 0.06) for number in range(12))
        for known, found in flags.items():
            found.append(bool(compare(old, new, False, before if known else []).regressions))
    assert shares(flags[True]) <= 0.05
    assert shares(flags[False]) > 0.1


def whole_night(rng: np.random.Generator, number: int, differ: float) -> list[Measured]:
    """Three runs of one build in a night that is faster or slower than others."""
    factor = float(np.exp(differ * rng.normal()))
    runs, _ = night(rng, 3, 0.04, drift=0.0)
    return [
        replace(run, run_id=f"{number}-{run.run_id}", values={name: value * factor for name, value in run.values.items()})
        for run in runs
    ]


def named(rng: np.random.Generator, rounds: int, history: Sequence[Sequence[Measured]] = ()) -> set[str]:
    """The series that are flagged in a night when lists are 15 % slower."""
    sides = night(rng, rounds, 0.04, slower=all_of("list_tasks", 1.15))
    regressions = compare(*sides, True, history).regressions
    return {row.figure.partition("(")[2].partition(")")[0] for row in regressions}


def past(rng: np.random.Generator, noise: float | None = None) -> list[list[Measured]]:
    """Five nights of three rounds."""
    found = []
    for number in range(5):
        found += [[replace(run, run_id=f"{number}-{run.run_id}") for run in runs] for runs in night(rng, 3, noise)]
    return found


@given(VALUES, st.floats(-3, 3))
def test_the_interval_moves_with_the_effect(values: list[float], shift: float) -> None:
    """It is as wide whatever the effect is, for residuals do not know it; noise likewise."""
    for pairs in (False, True):
        none = change(values, values[::-1], pairs, 0.01)
        moved = change(values, [value + shift for value in values[::-1]], pairs, 0.01)
        assert none is not None and moved is not None
        for one, other in ((none.effect, moved.effect), (none.low, moved.low), (none.high, moved.high)):
            assert other - one == pytest.approx(shift, abs=1e-6)
        assert moved.noise == pytest.approx(none.noise, abs=1e-6)


@given(VALUES, VALUES)
def test_sides_in_the_other_order_turn_the_effect_round(old: list[float], new: list[float]) -> None:
    """And the interval holds the effect, and is the same when asked again."""
    forth, back = change(old, new, False, 0.01), change(new, old, False, 0.01)
    assert forth is not None and back is not None
    assert forth.effect == pytest.approx(-back.effect)
    assert forth.low <= forth.effect + 1e-9 and forth.high >= forth.effect - 1e-9
    assert change(old, new, False, 0.01) == forth


@given(st.lists(st.floats(-5, 5), min_size=3, max_size=8), st.floats(-2, 2))
def test_pairs_do_not_see_what_happened_to_both(values: list[float], step: float) -> None:
    """Whatever is added to both runs of a round."""
    rounds = range(len(values))
    old, new = ([value + step * number for value, number in zip(side, rounds, strict=True)] for side in (values, values[::-1]))
    still, moved = change(values, values[::-1], True, 0.01), change(old, new, True, 0.01)
    assert still is not None and moved is not None
    assert moved.effect == pytest.approx(still.effect, abs=1e-6)
    assert moved.noise == pytest.approx(still.noise, abs=1e-6)


def test_intervals_of_normal_runs_hold_the_truth_as_often_as_they_say() -> None:
    """At 5 % a tail, for two to ten runs a side: within what 400 trials leave to chance."""
    rng = np.random.default_rng(8)
    for runs in (2, 3, 5, 10):
        for pairs in (True, False):
            wrong = 0
            for _ in range(400):
                found = change(rng.normal(size=runs).tolist(), rng.normal(size=runs).tolist(), pairs, 0.05)
                assert found is not None
                wrong += not found.low <= 0 <= found.high
            assert 0.06 <= wrong / 400 <= 0.145, (runs, pairs, wrong)


def test_one_run_a_side_knows_no_noise_and_sides_must_be_there() -> None:
    """A history of one group of two is the least that tells anything."""
    assert change([1.0], [2.0], False, 0.01) is None
    assert change([1.0], [2.0], False, 0.01, [[1.0], []]) is None
    found = change([1.0], [2.0], False, 0.01, [[1.0, 1.2]])
    assert found is not None and found.freedom == 1 and math.isfinite(found.high)
    with pytest.raises(ValueError, match="0 and 1 runs"):
        change([], [1.0], False, 0.01)
    with pytest.raises(ValueError, match="no pairs"):
        change([1.0, 2.0], [1.0], True, 0.01)
