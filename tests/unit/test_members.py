"""What the master knows of a worker: a silence is told once, when it is over, and only if it was long."""

from loadtests.engine.members import NOTICED_S, Member


def _member() -> Member:
    return Member(0, "node", lambda *_: None, lambda: 0.0)


def test_a_silence_is_told_when_it_is_over() -> None:
    """With its last known length, and once."""
    member = _member()
    assert [member.silent_for(silent_s) for silent_s in (0.5, 4.0, 9.5, 0.2, 0.7)] == [None, None, None, 9.5, None]


def test_a_short_silence_is_not_told() -> None:
    """Workers report every second, and may be a little late."""
    member = _member()
    assert [member.silent_for(silent_s) for silent_s in (1.0, NOTICED_S, 0.1)] == [None, None, None]


def test_each_silence_is_told() -> None:
    """A second one has its own length, and one that goes on is known meanwhile."""
    member = _member()
    assert [member.silent_for(silent_s) for silent_s in (8.0, 0.0, 5.0, 0.0)] == [None, 8.0, None, 5.0]
    member.silent_for(6.0)
    assert member.silent_s == 6.0
