"""Workers that say nothing: noticed, heard again, or given up."""

import time
from collections.abc import Callable, Iterable

import gevent
from locust.runners import LocalRunner

from loadtests.engine.crew import MARGIN_S
from loadtests.engine.gate import GatedMaster
from loadtests.engine.members import Member
from loadtests.engine.silence import Attention

LOOK_S = 0.5
"""How often it is looked who is silent."""
GONE = "stopped answering"


class AbsenceWatch:
    """Looks after the workers of one run. `lost` is told how a worker was lost, `back` how long a silence was that is over."""

    def __init__(
        self,
        runner: GatedMaster | LocalRunner,
        silence_s: float,
        lost: Callable[[Member, str], None],
        back: Callable[[Member, float], None],
    ) -> None:
        self._runner, self._limit_s = runner, silence_s + MARGIN_S
        self._lost, self._back = lost, back

    def watch(self, members: Iterable[Member], over: Callable[[], bool]) -> None:
        """Until it is over."""
        attention = Attention()
        while not over():
            asleep_s = time.monotonic()
            gevent.sleep(LOOK_S)
            if not attention.fair(time.monotonic() - asleep_s > 2 * LOOK_S):
                continue
            for member in members:
                if isinstance(self._runner, GatedMaster) and not (member.final or member.lost):
                    self._look_at(member, self._runner)

    def _look_at(self, member: Member, runner: GatedMaster) -> None:
        silent_s = runner.silent_s(member.node)
        if member.node not in runner.clients:  # it said that it leaves
            self._lost(member, GONE)
        elif silent_s > self._limit_s:
            self._lost(member, f"{GONE}; given up after {silent_s:.0f} s of silence")
        elif (was_s := member.silence.now(silent_s)) is not None:
            self._back(member, was_s)
