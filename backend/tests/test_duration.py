"""The simulated work's duration and failures."""

import statistics
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.workers.duration import CAP_MEANS, duration_s, fails, stumbles

IDS = [UUID(int=number) for number in range(20_000)]


def test_the_same_seed_and_task_give_the_same_duration() -> None:
    """The duration is a function: a run can be repeated."""
    assert duration_s(1, IDS[7], 0.4) == duration_s(1, IDS[7], 0.4)
    assert duration_s(1, IDS[7], 0.4) != duration_s(2, IDS[7], 0.4)


def test_durations_are_exponential() -> None:
    """Mean and median are those of the exponential law, and the cap holds."""
    durations = [duration_s(1, task_id, 0.4) for task_id in IDS]
    assert statistics.mean(durations) == pytest.approx(0.4, rel=0.03)
    assert statistics.median(durations) == pytest.approx(0.4 * 0.6931, rel=0.03)
    assert min(durations) >= 0
    assert max(durations) <= CAP_MEANS * 0.4


def test_a_mean_of_zero_takes_no_time() -> None:
    """Work can be switched off."""
    assert duration_s(1, IDS[0], 0.0) == 0


@pytest.mark.parametrize("ratio", [0.0, 0.1, 1.0])
def test_the_given_share_fails(ratio: float) -> None:
    """The ratio is met; none and all are exact."""
    share = sum(fails(1, task_id, ratio) for task_id in IDS) / len(IDS)
    assert share == pytest.approx(ratio, abs=0.0 if ratio in (0.0, 1.0) else 0.01)


def test_failure_does_not_depend_on_duration() -> None:
    """Failing tasks take as long as others on average."""
    failing = [duration_s(1, task_id, 1.0) for task_id in IDS if fails(1, task_id, 0.5)]
    assert statistics.mean(failing) == pytest.approx(1.0, rel=0.05)


seeds = st.integers(-(2**63), 2**63)
ratios = st.floats(0, 1)


@given(seeds, st.uuids(), st.floats(0, 1e6))
def test_a_duration_is_bounded_and_scales_with_the_mean(
    seed: int, task_id: UUID, mean_s: float
) -> None:
    """Never negative, never above the cap; twice the mean is twice the time."""
    one = duration_s(seed, task_id, mean_s)
    assert 0 <= one <= CAP_MEANS * mean_s
    assert duration_s(seed, task_id, 2 * mean_s) == pytest.approx(2 * one)


@given(seeds, st.uuids(), st.integers(1, 100), ratios, ratios)
def test_who_fails_at_a_ratio_fails_at_every_higher_one(
    seed: int, task_id: UUID, attempt: int, one: float, other: float
) -> None:
    """Nobody at 0, everybody at 1, and nobody recovers in between."""
    low, high = sorted((one, other))
    assert fails(seed, task_id, low) <= fails(seed, task_id, high)
    assert stumbles(seed, task_id, attempt, low) <= stumbles(seed, task_id, attempt, high)
    assert (fails(seed, task_id, 0), stumbles(seed, task_id, attempt, 0)) == (False, False)
    assert (fails(seed, task_id, 1), stumbles(seed, task_id, attempt, 1)) == (True, True)


@pytest.mark.parametrize("attempt", [1, 2, 5])
def test_the_given_share_of_attempts_stumbles(attempt: int) -> None:
    """Of first attempts as of later ones, independently: 0.3 of 0.3 stumble twice."""
    stumbled = [task_id for task_id in IDS if stumbles(1, task_id, attempt, 0.3)]
    assert len(stumbled) / len(IDS) == pytest.approx(0.3, abs=0.01)
    again = sum(stumbles(1, task_id, attempt + 1, 0.3) for task_id in stumbled)
    assert again / len(stumbled) == pytest.approx(0.3, abs=0.02)
