"""The simulated work's duration and failures."""

import statistics
from uuid import UUID

import pytest

from app.workers.duration import CAP_MEANS, duration_s, fails

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
