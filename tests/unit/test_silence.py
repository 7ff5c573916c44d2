"""A worker's silence is told once, when it is over, and only if it was long; who slept does not blame the other for it."""

from loadtests.engine.silence import NOTICED_S, Attention, Silence


def _told(*silent_s: float) -> list[float | None]:
    silence = Silence()
    return [silence.now(one) for one in silent_s]


def test_a_silence_is_told_when_it_is_over() -> None:
    """With its last known length, and once."""
    assert _told(0.5, 4.0, 9.5, 0.2, 0.7) == [None, None, None, 9.5, None]


def test_a_short_silence_is_not_told() -> None:
    """Workers report every second, and may be a little late."""
    assert _told(1.0, NOTICED_S, 0.1) == [None, None, None]


def test_each_silence_is_told() -> None:
    """A second one has its own length."""
    assert _told(8.0, 0.0, 5.0, 0.0) == [None, 8.0, None, 5.0]


def test_one_that_goes_on_is_known() -> None:
    """To whoever has to decide how long to wait."""
    silence = Silence()
    silence.now(6.0)
    assert silence.seconds == 6.0


def _fair(*overslept: bool) -> list[bool]:
    attention = Attention()
    return [attention.fair(one) for one in overslept]


def test_whoever_slept_hears_first_what_there_is() -> None:
    """Then silences count again."""
    assert _fair(False, True, False, True, False) == [True, False, True, False, True]


def test_whoever_is_always_late_looks_every_other_time() -> None:
    """Or it would never find out that nobody is there."""
    assert _fair(True, True, True, True) == [False, True, False, True]
