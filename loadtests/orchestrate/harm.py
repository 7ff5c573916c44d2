"""The kinds of harm that a fault does to parts of the stack, each begun, asked whether it is over, and undone if need be.

Nothing here waits for a moment to come: who owns the clock asks again and again.
"""

import signal
import time
from collections.abc import Sequence
from typing import Protocol

import psutil

from loadtests.errors import InputError, NotReadyError, RunError
from loadtests.orchestrate.embedded import Stack
from loadtests.orchestrate.family import family, freeze, gone, send
from loadtests.orchestrate.processes import Managed, ProcessManager
from loadtests.orchestrate.proxy import Front
from loadtests.scenario.system import Fault

PATIENCE_S = 5.0
"""Longest wait for what was killed to be gone."""
POLL_S = 0.02


class Harm(Protocol):
    """What is done to some processes; `now` is a moment of `time.monotonic`."""

    @property
    def victims(self) -> Sequence[Managed]:
        """Processes that may be dead meanwhile."""

    def begin(self, now: float) -> None:
        """Do it."""

    def over(self, now: float) -> bool:
        """Whether it is over; takes the next step if it is time."""

    def undo(self) -> None:
        """Be over now."""


class Down:
    """Ended, by SIGKILL or in order, and started again when each has been down for a time."""

    def __init__(self, processes: ProcessManager, victims: Sequence[Managed], kill: bool, lasts_s: float) -> None:
        self.victims = tuple(victims)
        self._processes, self._kill, self._lasts_s = processes, kill, lasts_s
        self._begun = 0.0
        self._left: dict[str, _Victim] = {}
        """Those that are to be started again."""

    def begin(self, now: float) -> None:
        """Kill them, or ask them to end. Raises NotReadyError, and harms none, when one is dead already."""
        _check_alive(self.victims)
        self._begun = now
        self._left = {victim.name: _Victim(self._processes, victim) for victim in self.victims}
        for victim in self._left.values():
            victim.end(killing=self._kill)

    def over(self, now: float) -> bool:
        """Start those whose time has come. Raises NotReadyError when one cannot be executed."""
        for name, victim in list(self._left.items()):
            if victim.ended(now, now > self._begun + victim.managed.grace_s) and now >= victim.since + self._lasts_s:
                del self._left[name]
                victim.start()
        return not self._left

    def undo(self) -> None:
        """Start all that are still down. Raises NotReadyError when one cannot be executed, or what was killed does not go."""
        trouble: NotReadyError | None = None
        while self._left:
            _, victim = self._left.popitem()
            try:
                victim.end_now()
                victim.start()
            except NotReadyError as error:
                trouble = error
        if trouble is not None:
            raise trouble


class _Victim:
    """One process on its way down and up again."""

    def __init__(self, processes: ProcessManager, managed: Managed) -> None:
        self.managed = managed
        self.since = 0.0
        """When it was down."""
        self._processes, self._process = processes, managed.process
        self._members: list[psutil.Process] = []
        self._down = False

    def end(self, killing: bool) -> None:
        """Kill it and its family, or send it its stop signal."""
        self._process = self.managed.process
        self._members = family(self._process.pid)
        if killing:
            self._kill()
        else:
            self._processes.ask_to_end(self.managed)

    def ended(self, now: float, late: bool) -> bool:
        """Whether it is down, with all its family; what does not end in time is killed."""
        if self._down or self._taken:
            return True
        if self.managed.alive:
            if late:
                self._kill()
            return False
        if not gone(self._members):  # they outlived who started them
            self._kill()
            return False
        self._kill()
        self._down, self.since = True, now
        return True

    def end_now(self) -> None:
        """Wait until it is down, a little. Raises NotReadyError when it does not go."""
        deadline = time.monotonic() + PATIENCE_S
        while not self.ended(time.monotonic(), late=True):
            if time.monotonic() > deadline:
                raise NotReadyError(f"{self.managed.name} does not end, though it was killed")
            time.sleep(POLL_S)

    def start(self) -> None:
        """Start it again, unless somebody did."""
        if not self._taken:
            self._processes.restart(self.managed)

    @property
    def _taken(self) -> bool:
        """Whether another fault has started it anew."""
        return self.managed.process is not self._process

    def _kill(self) -> None:
        send(self._members, signal.SIGKILL)
        self._processes.end(self.managed, signal.SIGKILL)


class Frozen:
    """Stopped, with all their families, and continued after a time."""

    def __init__(self, victims: Sequence[Managed], lasts_s: float) -> None:
        self.victims: tuple[Managed, ...] = ()
        """Nobody dies of it."""
        self._frozen, self._lasts_s = tuple(victims), lasts_s
        self._members: list[psutil.Process] = []
        self._until = 0.0

    def begin(self, now: float) -> None:
        """Stop them. Raises NotReadyError, and harms none, when one is dead already."""
        _check_alive(self._frozen)
        self._until = now + self._lasts_s
        for victim in self._frozen:
            self._members += freeze(victim.process.pid)

    def over(self, now: float) -> bool:
        """Continue them when it is time."""
        if now >= self._until:
            self.undo()
        return now >= self._until

    def undo(self) -> None:
        """Continue them."""
        send(self._members, signal.SIGCONT)


class Fronted:
    """Slow, or losing connections, by the proxies in front of them."""

    def __init__(self, fronts: Sequence[Front], fault: Fault) -> None:
        self.victims: tuple[Managed, ...] = ()
        self._fronts, self._fault = tuple(fronts), fault
        self._until = 0.0

    def begin(self, now: float) -> None:
        """Tell the proxies. Raises RunError when one is gone."""
        self._until = now + self._fault.lasts
        self._tell(self._fault.delay or 0.0, self._fault.share or 0.0)

    def over(self, now: float) -> bool:
        """Tell the proxies when it is time. Raises RunError when one is gone."""
        if now >= self._until:
            self.undo()
        return now >= self._until

    def undo(self) -> None:
        """Tell the proxies that it is over. Raises RunError when one is gone."""
        self._tell(0.0, 0.0)

    def _tell(self, delay_s: float, share: float) -> None:
        """Tell each, whatever became of the others; the first trouble is raised at the end."""
        trouble: RunError | None = None
        for front in self._fronts:
            try:
                if self._fault.kind == "slow":
                    front.delay(delay_s)
                else:
                    front.reset(share)
            except RunError as error:
                trouble = trouble or error
        if trouble is not None:
            raise trouble


def _check_alive(victims: Sequence[Managed]) -> None:
    """Raises NotReadyError for what is dead before the fault has begun: it would do nothing, and then start it."""
    for victim in victims:
        if not victim.alive:
            raise NotReadyError(f"{victim.name} {victim.fate()} before the fault, which was not carried out")


def harm_of(fault: Fault, stack: Stack, processes: ProcessManager) -> Harm:
    """What this fault does to this stack. Raises InputError when the stack has no such part."""
    fronted = fault.kind in ("slow", "reset")
    parts: Sequence[Managed | Front] = (stack.fronts if fronted else stack.services).get(fault.service, ())
    if fault.instance is not None:
        parts = parts[fault.instance - 1 : fault.instance]
    if not parts:
        raise InputError(f"fault: the stack has no {fault.service!r} to {fault.kind}")
    if fronted:
        return Fronted([part for part in parts if isinstance(part, Front)], fault)
    victims = [part for part in parts if isinstance(part, Managed)]
    if fault.kind == "freeze":
        return Frozen(victims, fault.lasts)
    return Down(processes, victims, fault.kind == "kill", fault.lasts)
