"""What the master knows of its workers."""

from collections.abc import Callable, Sequence
from typing import Any

from locust.runners import LocalRunner, MasterRunner

from loadtests.engine import messages
from loadtests.engine.clocks import ClockCheck
from loadtests.engine.gate import GatedMaster
from loadtests.engine.silence import Silence
from loadtests.engine.whereabouts import Whereabouts, worker_name

Send = Callable[[str, dict[str, Any], str], object]
"""Sends a message of a kind to a node."""


class Member:
    """What the master knows of one worker."""

    def __init__(self, worker: int, node: str, name: str, send: Send, now: Callable[[], float]) -> None:
        """`now` is the master's clock."""
        self.worker, self.node = worker, node
        self.name = name
        self.ready = self.told = self.final = self.lost = False
        self.users = 0
        self.totals: dict[str, Any] | None = None
        """What it said at its end."""

        def ask(asked_s: float) -> None:
            send(messages.CLOCK, {"asked": asked_s}, node)

        self.clock, self.clock_after = ClockCheck(ask, now), ClockCheck(ask, now)
        """Looks at its clock, before the load and after it."""
        self.received = -1
        """Number of the last snapshot before which none is missing."""
        self.silence = Silence()
        self.ahead: dict[int, dict[str, Any]] = {}
        """Snapshots that came before an earlier one."""

    @property
    def ahead_s(self) -> float:
        """How far its clock is ahead of the master's. Asked only after the first look at it."""
        assert self.clock.best is not None, "its clock was not looked at"
        return self.clock.best.offset_s


def nodes_in_order(runner: MasterRunner | LocalRunner) -> list[str]:
    """Node ids in the order in which Locust hands out users, so that a shard is as large as its worker's share of users."""
    if isinstance(runner, LocalRunner):
        return ["local"]
    dispatcher = runner._users_dispatcher
    assert dispatcher is not None, "called before the test started"
    return [node.id for node in dispatcher._worker_nodes]


def places_of(runner: GatedMaster | LocalRunner, nodes: Sequence[str]) -> list[Whereabouts]:
    """Who the nodes are, and where."""
    if isinstance(runner, LocalRunner):
        return [Whereabouts(worker_name())]
    return [runner.known[node] for node in nodes]
