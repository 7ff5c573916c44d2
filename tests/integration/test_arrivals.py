"""The wait for a turn, on a real event loop."""

from tests.http_lab import Lab

SLEPT = """
from gevent.monkey import get_original
import gevent
from loadtests.engine.arrivals import RunClock
from loadtests.engine.clocks import SteadyClock

steady = SteadyClock()
clock = RunClock(steady, dead_s={dead_s})
clock.go(steady.now(), 0.0)
waiting = gevent.spawn(clock.wait_until, 0.05)
gevent.sleep(0)
get_original("time", "sleep")(0.5)  # the loop stands still, as in a process that is suspended
out["begun"] = [waiting.get(), clock.wait_until(0.2), clock.wait_until(0.6)]
"""


def test_a_process_that_was_given_up_begins_nothing(lab: Lab) -> None:
    """Not even for the moment until it has looked for its master; one that merely slept does what is due."""
    assert lab.play(SLEPT.format(dead_s=0.2)).out == {"begun": [False, False, False]}
    assert lab.play(SLEPT.format(dead_s=5.0)).out == {"begun": [True, True, True]}
