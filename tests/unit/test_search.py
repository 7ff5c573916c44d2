"""The capacity search step by step."""

import pytest

from loadtests.capacity.search import Answer, Bounds, Step, Tried, next_step

BOUNDS = Bounds(start=100, lowest=25, highest=1000, precision=0.5, most_steps=30, tries=2)


def after(*told: tuple[float, bool] | tuple[float, bool, str], bounds: Bounds = BOUNDS) -> Step | Answer:
    """What comes after these results: rate, whether it passed, and a word when it was a plateau."""
    return next_step(bounds, [Tried(Step(one[0], plateau=len(one) > 2), one[1]) for one in told])


def test_a_search_from_its_beginning_to_its_answer() -> None:
    """Up by two until a rate has failed twice, down to within the precision, and a plateau."""
    climb = [(100.0, True), (200.0, True), (400.0, False), (400.0, False)]
    assert after() == Step(100)
    assert after(*climb[:1]) == Step(200)
    assert after(*climb[:2]) == Step(400)
    assert after(*climb[:3]) == Step(400), "a machine may stumble once"
    middle = after(*climb)
    assert isinstance(middle, Step) and middle.rate == pytest.approx(282.84, abs=0.01) and not middle.plateau
    assert after(*climb, (middle.rate, True)) == Step(middle.rate, plateau=True)
    confirmed = after(*climb, (middle.rate, True), (middle.rate, True, "plateau"))
    assert confirmed == Answer("confirmed", middle.rate, 400)


def test_a_rate_that_passes_at_the_second_try_has_passed() -> None:
    """The stumble is forgotten."""
    assert after((100, False), (100, True)) == Step(200)


def test_a_plateau_that_fails_sends_the_search_below() -> None:
    """After its second failure the rate is a failing one, and the middle below it is next."""
    known = [(100.0, True), (200.0, True), (400.0, False), (400.0, False), (282.0, False), (282.0, False)]
    assert after(*known) == Step(200, plateau=True)
    assert after(*known, (200, False, "plateau")) == Step(200, plateau=True)
    below = after(*known, (200, False, "plateau"), (200, False, "plateau"))
    assert isinstance(below, Step) and 141 < below.rate < 142 and not below.plateau


def test_the_first_rate_may_be_too_high() -> None:
    """Down by two, not below the lowest; when that fails, none passed."""
    down = [(rate, False) for rate in (100.0, 100.0, 50.0, 50.0)]
    assert after(*down[:2]) == Step(50)
    assert after(*down) == Step(25)
    assert after(*down, (25, False), (25, False)) == Answer("none passed", None, 25)


def test_the_upper_bound_may_pass() -> None:
    """It is tried itself, confirmed like any other rate, and the answer says that more was not tried."""
    up = [(rate, True) for rate in (100.0, 200.0, 400.0, 800.0)]
    assert after(*up) == Step(1000)
    assert after(*up, (1000, True)) == Step(1000, plateau=True)
    assert after(*up, (1000, True), (1000, True, "plateau")) == Answer("confirmed", 1000, None, bounded=True)


def test_the_last_steps_confirm_what_there_is() -> None:
    """However wide the interval still is; without them the answer is not confirmed."""
    few = Bounds(start=100, lowest=25, highest=1000, precision=0.01, most_steps=6, tries=2)
    known = [(100.0, True), (200.0, True), (400.0, False), (400.0, False)]
    assert after(*known, bounds=few) == Step(200, plateau=True)
    assert after(*known, (200, True, "plateau"), bounds=few) == Answer("confirmed", 200, 400)
    failed = [(200.0, False, "plateau"), (200.0, False, "plateau")]
    assert after(*known, *failed, bounds=few) == Answer("unconfirmed", 100, 200)


@pytest.mark.parametrize("changes", [{"start": 10}, {"start": 2000}, {"lowest": 0}, {"precision": 0}, {"most_steps": 2}])
def test_bounds_that_leave_nothing_to_search(changes: dict[str, float]) -> None:
    """Are no bounds."""
    with pytest.raises(ValueError, match=r"must be|needed"):
        Bounds(**{"start": 100, "lowest": 25, "highest": 1000, **changes})  # type: ignore[arg-type]
