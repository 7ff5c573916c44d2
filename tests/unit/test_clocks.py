"""Clocks: the offset lies within the doubt, and the shortest round counts."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.engine.clocks import ROUNDS, ClockCheck, SteadyClock
from loadtests.measure.clocks import ClockReading, WorkerClock


@given(offset_s=st.floats(-1e4, 1e4), there_s=st.floats(0, 10), back_s=st.floats(0, 10), asked_s=st.floats(0, 1e6))
def test_the_offset_is_within_the_doubt(offset_s: float, there_s: float, back_s: float, asked_s: float) -> None:
    """However unequal the two ways are."""
    reading = ClockReading.of_round(asked_s, asked_s + there_s + offset_s, asked_s + there_s + back_s)
    assert abs(reading.offset_s - offset_s) <= reading.doubt_s + 1e-6


def test_the_shortest_round_counts() -> None:
    """In whatever order they come; the first counts until there is another."""
    short, long = ClockReading(1.0, 0.001), ClockReading(2.0, 0.5)
    assert short.better(long) == long.better(short) == short
    assert long.better(None) == long


def test_json() -> None:
    """To the microsecond and back."""
    assert ClockReading(3600.12345678, 0.00012345).to_json() == {"offset_s": 3600.123457, "doubt_s": 0.000123}
    assert ClockReading.from_json({"offset_s": 1.5, "doubt_s": 0.25}) == ClockReading(1.5, 0.25)


def test_error_of_a_clock() -> None:
    """The larger doubt of its two readings, or the drift between them when that is larger."""
    begin = ClockReading(3600.0, 0.25)
    assert WorkerClock("w", begin, ClockReading(3600.0, 0.125)).error_s == 0.25
    assert WorkerClock("w", begin, ClockReading(3600.0, 0.5)).error_s == 0.5
    assert WorkerClock("w", begin, ClockReading(3599.0, 0.5)).error_s == 1.0
    assert WorkerClock("w", begin, None).error_s == 0.25


def test_a_check_asks_one_question_after_the_other() -> None:
    """By the clock that it is given; the shortest round counts, an answer that comes twice does not."""
    trips_s = [0.4, 0.3, 0.02, *[0.1] * (ROUNDS - 3)]
    now_s, asked, ends = 100.0, list[float](), list[int]()
    check = ClockCheck(asked.append, lambda: now_s)
    check.begin(lambda: ends.append(len(asked)))
    for trip_s in trips_s:
        question_s = asked[-1]
        now_s += trip_s
        check.answered(question_s, question_s + trip_s / 2 + 7.0)
        check.answered(question_s, question_s + 500.0)
    assert (len(asked), ends, check.done) == (ROUNDS, [ROUNDS], True)
    assert check.best is not None
    assert check.best.offset_s == pytest.approx(7.0)
    assert check.best.doubt_s == pytest.approx(0.01)


def test_a_clock_that_is_set_moves_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Unix epoch of its beginning, whatever the machine's time is made to be later."""
    clock, before = SteadyClock(), time.time()
    monkeypatch.setattr(time, "time", lambda: before - 3600.0)
    assert clock.now() >= before - 1.0
