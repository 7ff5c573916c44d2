"""Real time for the pure schedule: the run's clock and the wait until a turn is due."""

import math
import time

from gevent import get_hub, getcurrent
from gevent.event import Event

from loadtests.engine.clocks import SteadyClock

LONGEST_NAP_S = 1.0
"""A sleeping user looks up this often, to see whether the run was halted."""


class RunClock:
    """Seconds since the start of the load, the same on every worker; it starts with `go`.

    Moments of the Unix epoch are the master's: what this worker's own clock is ahead of it is taken out.
    """

    def __init__(self, clock: SteadyClock, dead_s: float = math.inf) -> None:
        """A process that did not run for `dead_s` (it was suspended, say) was given up: none of its turns begins any more."""
        self._clock, self._dead_s = clock, dead_s
        self._ahead_s = 0.0
        self._known, self._go = Event(), Event()
        self._start = math.inf
        self._start_epoch = math.inf
        self._hub = get_hub()
        self.halt_at_s = math.inf
        """No turn that is due later than this begins; infinite until the run is halted."""
        self.closed = False
        """Whether the drain is over: what is still due is dropped."""

    def set_ahead(self, ahead_s: float) -> None:
        """The worker's own clock is so far ahead of the master's."""
        self._ahead_s = ahead_s
        self._known.set()

    def go(self, start_epoch_s: float, ahead_s: float) -> None:
        """The load starts at this moment of the Unix epoch."""
        self.set_ahead(ahead_s)
        self._start_epoch = start_epoch_s
        self._start = time.perf_counter() + start_epoch_s - self.epoch()
        self._go.set()

    def wait_for_epoch(self) -> None:
        """Block until it is known how far the worker's clock is ahead."""
        self._known.wait()

    def epoch(self) -> float:
        """Now, in seconds of the Unix epoch, as the master has it."""
        return self._clock.now() - self._ahead_s

    def at(self, epoch_s: float) -> float:
        """A moment of the Unix epoch in seconds since the start."""
        return epoch_s - self._start_epoch

    def wait_for_go(self) -> None:
        """Block until the start is known."""
        self._go.wait()

    def now(self) -> float:
        """Seconds since the start; negative before it."""
        return time.perf_counter() - self._start

    @property
    def started(self) -> bool:
        """Whether `go` was given."""
        return bool(self._go.is_set())

    def wait_until(self, due_s: float) -> bool:
        """Sleep until `due_s`; False when the run was halted before that moment."""
        while due_s <= self.halt_at_s:
            delay = due_s - self.now()
            if delay <= 0 or self.closed:
                return True
            nap_s, asleep_s = min(delay, LONGEST_NAP_S), self.now()
            self._nap(nap_s)
            if self.now() - asleep_s > nap_s + self._dead_s:
                self.halt_at_s = min(self.halt_at_s, asleep_s)
        return False

    def _nap(self, delay_s: float) -> None:
        """gevent.sleep without what it makes to find out who woke it: whoever did, the caller looks at the clock."""
        timer = self._hub.loop.timer(delay_s)
        timer.start(getcurrent().switch, update=True)
        try:
            self._hub.switch()
        finally:
            timer.stop()
            timer.close()
