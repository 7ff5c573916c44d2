"""What `make bench-compare` makes of its trials."""

import json
import math

import pytest

from benchmarks.comparison import ENDPOINT, LONGER, RESULT, at_longer, wait_for


def test_a_wait_is_found_by_all_attempts() -> None:
    """Lists that take 40 % (log scale) longer a millisecond get log(1.15) / 0.4 ms, however the noise fell on two attempts."""
    exact = wait_for([(0.001, 0.4)])
    assert exact == pytest.approx(math.log1p(LONGER) / 400)
    assert wait_for([(0.001, 0.4 + 0.1), (0.001, 0.4 - 0.1)]) == pytest.approx(exact)


@pytest.mark.parametrize(("longer", "times"), [(-0.1, 3), (0.0, 3), (1e-9, 3), (100.0, 0.3)])
def test_noise_does_not_lead_far(longer: float, times: float) -> None:
    """An attempt that says nothing, or far too much, changes the wait no more than threefold."""
    assert wait_for([(0.001, longer)]) == pytest.approx(0.001 * times)


def test_the_kept_trials_are_judged_as_they_were() -> None:
    """Its runs, judged again, are flagged as often as the file says, as they were and at 15 %; as long as A's hardly ever."""
    found = json.loads(RESULT.read_text())
    trials, longer = found["trials"], found["longer"]
    seen = [any(ENDPOINT in figure for figure in one["changed"]["regressions"]) for one in trials]
    assert sum(seen) == found["named_changed"] == at_longer(trials, LONGER)  # scaled by nothing
    assert at_longer(trials, longer) == found["named_at_0.15"]
    assert at_longer(trials, (1 + longer) * (1 + LONGER) - 1) <= 1  # as long as A's
