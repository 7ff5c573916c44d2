"""The machine's speed, taken out of comparisons by what the generator itself needed: seeded nights on a shared machine."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.measure.resampling import change
from loadtests.measure.residuals import Runs
from loadtests.measure.yardstick import adjusted
from loadtests.report.compare import Comparison, compare
from loadtests.store.measured import YARDSTICK, Measured
from tests.property.nights import TIMES, all_of, run_of, shares

TRIALS = 100
SPEED = 0.1
"""Standard deviation of the machine's speed from run to run."""


def night(
    rng: np.random.Generator, rounds: int, slower: float = 1.0, true: bool = True
) -> tuple[list[Measured], list[Measured]]:
    """Both sides in turns: figures follow the speed, each as much as it likes, and 2 % of their own (percentiles of 95: 6 %).

    `true`: whether the generator follows the same speed, or one of another machine.
    """
    factors = all_of("list_tasks", slower)
    slopes = {figure: 0.5 + 0.5 * index / len(TIMES) for index, figure in enumerate(TIMES)}
    sides: tuple[list[Measured], list[Measured]] = ([], [])
    for number in range(rounds):
        for side, runs in enumerate(sides):
            speed = SPEED * rng.normal()
            seen = speed if true else SPEED * rng.normal()
            values = {YARDSTICK: 2e-4 * float(np.exp(seen + 0.015 * rng.normal())), "failure_ratio": rng.poisson(2) / 2000}
            for figure, usual in TIMES.items():
                own = 0.06 if "p95" in figure else 0.02
                factor = factors.get(figure, 1.0) if side else 1.0
                values[figure] = float(usual * factor * np.exp(slopes[figure] * speed + own * rng.normal()))
            runs.append(run_of(values, number, "ab"[side]))
    return sides


def _names(comparison: Comparison) -> list[bool]:
    return ["list_tasks" in row.figure for row in comparison.regressions]


def _without(runs: list[Measured]) -> list[Measured]:
    return [run_of({k: v for k, v in run.values.items() if k != YARDSTICK}, n, run.run_id[0]) for n, run in enumerate(runs)]


@pytest.mark.parametrize("true", [True, False], ids=["the target's machine", "a machine of its own"])
def test_equal_builds_are_flagged_in_at_most_one_of_twenty(true: bool) -> None:
    """Whether the yardstick tells the speed of the machine that the target runs on, or of another one."""
    rng = np.random.default_rng(11)
    assert shares([bool(compare(*night(rng, 4, true=true), True).regressions) for _ in range(TRIALS)]) <= 0.06


def test_fifteen_percent_are_found_on_a_machine_that_varies_by_ten() -> None:
    """By four rounds in nine of ten comparisons; without the yardstick in few."""
    rng = np.random.default_rng(12)
    nights = [night(rng, 4, 1.15) for _ in range(TRIALS)]
    found = shares([any(_names(compare(*sides, True))) for sides in nights])
    blind = shares([any(_names(compare(_without(old), _without(new), True))) for old, new in nights])
    assert found >= 0.9
    assert blind < 0.5


@given(
    st.lists(st.floats(-1, 1), min_size=6, max_size=6, unique_by=lambda speed: round(speed, 2)),
    st.floats(0.1, 2),
    st.floats(-0.5, 0.5),
)
def test_the_slope_and_the_change_are_told_apart(speeds: list[float], slope: float, effect: float) -> None:
    """Figures that follow the speed exactly, and a change beside it: both are found as they are."""
    one, other = speeds[:3], speeds[3:]
    figure = Runs([slope * speed for speed in one], [slope * speed + effect for speed in other])
    fit = adjusted(figure, Runs(one, other))
    assert fit is not None
    assert fit.slope == pytest.approx(slope, rel=1e-6)
    assert fit.runs.effect(pairs=False) == pytest.approx(effect, abs=1e-6)
    found = change(figure.baseline, figure.candidate, False, 0.01, yardstick=Runs(one, other))
    assert found is not None
    assert found.slope == pytest.approx(slope, rel=1e-6)


def test_sides_of_other_speeds_are_less_sure() -> None:
    """The further apart the yardsticks of both sides are, the wider is the interval."""
    rng = np.random.default_rng(13)
    speeds, noise = rng.normal(0, 0.1, 10), rng.normal(0, 0.02, 10)

    def width(apart: float) -> float:
        yard = Runs(list(speeds[:5]), list(speeds[5:] + apart))
        figure = Runs(list(speeds[:5] + noise[:5]), list(speeds[5:] + apart + noise[5:]))
        found = change(figure.baseline, figure.candidate, False, 0.01, yardstick=yard)
        assert found is not None
        return found.high - found.low

    assert width(0.0) < width(0.3) < width(0.6)


def test_a_yardstick_that_the_build_moved_is_none() -> None:
    """Longer answers keep the generator busy, too: in turns that shows, and does not talk the change down."""
    rng = np.random.default_rng(15)
    found: list[bool] = []
    hidden: list[bool] = []
    for _ in range(30):
        old, new = night(rng, 5, 1.15)
        moved = [replace(run, values={**run.values, YARDSTICK: run.values[YARDSTICK] * 2}) for run in new]
        comparison = compare(old, moved, True)
        found.append({row.slope for row in comparison.rows} == {None})
        hidden.extend(abs(row.effect) > 0.3 for row in comparison.rows if row.judges and row.relative)
    assert shares(found) >= 0.9
    assert shares(hidden) <= 0.1


@pytest.mark.parametrize("runs", [1, 2])
def test_too_few_runs_know_no_slope(runs: int) -> None:
    """One or two runs a side and no history leave nothing to tell a slope from."""
    values = [0.1 * number for number in range(runs)]
    assert adjusted(Runs(values, values), Runs(values, values)) is None


def test_a_run_without_it_leaves_all_without() -> None:
    """Runs of a history whose harness did not measure it are compared as they were before."""
    old, new = night(np.random.default_rng(14), 4, 1.15)
    comparison = compare([*_without(old[:1]), *old[1:]], new, True)
    assert {row.slope for row in comparison.rows} == {None}
    assert any(row.slope is not None for row in compare(old, new, True).rows)
