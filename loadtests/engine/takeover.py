"""The master's side of compensation: who takes over the users of a lost worker, and that each of them has heard of it."""

from collections.abc import Callable, Collection
from typing import Any

from loadtests.engine import messages
from loadtests.engine.members import Member, Send
from loadtests.pacing.stream import ClosedLoad, expected_turns
from loadtests.pacing.takeover import Holdings
from loadtests.scenario.plan import Plan

NOTICE_S = 2.0
"""From the order to the first turn, for an heir that has hardly anything to prepare."""
USER_S, TURN_S = 1e-3, 5e-6
"""More of it for each user, who needs a token, and for each of its turns that is over, which has to be passed over. Measured:
half as long; the other half is the heir's, for its own users."""


class TakeOvers:
    """Those of one run. `told` is told of the event and what more there is to say of it."""

    def __init__(self, plan: Plan, workers: int, send: Send, told: Callable[..., object]) -> None:
        self._plan, self._send, self._told = plan, send, told
        self._holdings = Holdings(plan.scenario.load.users, workers)
        self._orders: dict[int, list[dict[str, Any]]] = {}
        """For each worker, those that it has not confirmed."""
        self._given = 0

    def of(self, lost: Member, members: Collection[Member], now_s: float | None) -> bool:
        """Whether the load may go on without a worker, `now_s` seconds after its start: others take its users over.

        When the load ends before they could, there is nothing to take over, and that is as good.
        """
        others = [member for member in members if not member.lost]
        heirs = [member for member in others if not member.final]
        if self._plan.scenario.health.lost_worker != "compensate" or now_s is None or not others:
            return False
        facts: dict[str, Any] = {"worker": lost.worker, "name": lost.name, "users": len(self._holdings.of(lost.worker))}
        from_s = round(max(0.0, now_s) + self._notice_s(lost, max(1, len(heirs)), now_s), 3)
        if not heirs or from_s >= self._plan.scenario.load.total_s:
            self._told("users_taken_over", **facts, from_s=None, heirs=[], how="not any more: the load ends")
            return True
        shares = self._holdings.hand_over(lost.worker, [heir.worker for heir in heirs], from_s)
        self._told("users_taken_over", **facts, from_s=from_s, heirs=sorted(shares))
        for heir in heirs:
            self._given += 1
            order = {"number": self._given, "users": shares[heir.worker], "from_s": from_s}
            self._orders.setdefault(heir.worker, []).append(order)
            self._send(messages.TAKE, order, heir.node)
        return True

    def confirmed(self, member: Member, number: int) -> None:
        """A worker has an order."""
        self._orders[member.worker] = [one for one in self._orders.get(member.worker, []) if one["number"] != number]

    def repeat(self, member: Member) -> None:
        """A worker was heard: tell it again what it has not confirmed, for it may have missed it."""
        for order in self._orders.get(member.worker, []):
            self._send(messages.TAKE, order, member.node)

    def _notice_s(self, lost: Member, heirs: int, now_s: float) -> float:
        users = -(-len(self._holdings.of(lost.worker)) // heirs)
        load = self._plan.load
        past = 0.0 if isinstance(load, ClosedLoad) else expected_turns(load, 1, max(0.0, now_s))
        return NOTICE_S + users * (USER_S + past * TURN_S)
