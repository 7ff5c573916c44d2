"""The circuit breaker's states."""

from hypothesis import given
from hypothesis import strategies as st

from app.core.breaker import FAILURES, Breaker


def test_it_opens_after_failures_in_a_row() -> None:
    """Not before, and a success in between begins the count anew."""
    breaker = Breaker()
    for _ in range(FAILURES - 1):
        breaker.failed(1.0)
    breaker.succeeded()
    assert breaker.failing_since_s is None
    for moment_s in range(FAILURES):
        assert not breaker.is_open
        breaker.failed(float(moment_s))
    assert breaker.is_open
    assert breaker.failing_since_s == 0.0


def test_a_success_does_not_close_it() -> None:
    """What was asked before it opened may answer late; only `close` says that all is well."""
    breaker = Breaker()
    breaker.open(5.0)
    breaker.succeeded()
    assert (breaker.is_open, breaker.failing_since_s) == (True, 5.0)
    breaker.close()
    assert (breaker.is_open, breaker.failing_since_s) == (False, None)


@given(st.lists(st.sampled_from(["failed", "succeeded", "open", "close"])))
def test_it_knows_since_when(events: list[str]) -> None:
    """Open or not, the time is that of the first failure since all was well."""
    breaker, since_s, in_a_row, is_open = Breaker(), None, 0, False
    for moment, event in enumerate(events):
        now_s = float(moment)
        match event:
            case "failed":
                breaker.failed(now_s)
                in_a_row += 1
                is_open = is_open or in_a_row >= FAILURES
            case "open":
                breaker.open(now_s)
                is_open = True
            case "close":
                breaker.close()
                is_open = False
            case _:
                breaker.succeeded()
        if event in ("failed", "open"):
            since_s = now_s if since_s is None else since_s
        elif not is_open:
            since_s, in_a_row = None, 0
        assert (breaker.is_open, breaker.failing_since_s) == (is_open, since_s)
