"""The clocks of a run: each worker's as it carries it on, and the master's questions what it says."""

import time
from collections.abc import Callable

from loadtests.measure.clocks import ClockReading

ROUNDS = 8
"""Questions, one after the other; the one with the shortest round trip counts."""


class SteadyClock:
    """The Unix epoch as it was once, carried on by the monotonic clock: nobody sets it while a run goes by it."""

    def __init__(self) -> None:
        self._ahead_s = time.time() - time.perf_counter()

    def now(self) -> float:
        """Seconds of the Unix epoch, as this machine has it."""
        return time.perf_counter() + self._ahead_s


class ClockCheck:
    """The master's questions to one worker. `ask(moment)` sends one; the answer brings the moment back.

    `now` is the master's clock; nobody may set it, or a round could seem to have taken no time.
    """

    def __init__(self, ask: Callable[[float], None], now: Callable[[], float]) -> None:
        self._ask_worker, self._now = ask, now
        self._asked_s = 0.0
        self._left = 0
        self._then: Callable[[], None] = lambda: None
        self.best: ClockReading | None = None
        """Of all rounds so far."""

    @property
    def done(self) -> bool:
        """Whether all questions of the last `begin` were answered."""
        return self.best is not None and not self._left

    def begin(self, then: Callable[[], None]) -> None:
        """Ask ROUNDS times, then call `then`; while that goes on, only repeat a question whose answer may be lost."""
        self._then = then
        self._left = self._left or ROUNDS
        self._ask()

    def answered(self, asked_s: float, clock_s: float) -> None:
        """An answer; one to a question before the last is passed over."""
        now_s = self._now()
        if asked_s != self._asked_s or not self._left:
            return
        self.best = ClockReading.of_round(asked_s, clock_s, now_s).better(self.best)
        self._left -= 1
        if self._left:
            self._ask()
        else:
            self._then()

    def _ask(self) -> None:
        self._asked_s = self._now()
        self._ask_worker(self._asked_s)
