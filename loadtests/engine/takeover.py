"""The master's side of compensation: who takes over the users of a lost worker, and that each of them has heard of it."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

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


class _Order(NamedTuple):
    lost: Member
    """Whose users they were."""
    message: dict[str, Any]


class TakeOvers:
    """Those of one run. `told` is told of the event and what more there is to say of it."""

    def __init__(self, plan: Plan, workers: int, send: Send, told: Callable[..., object]) -> None:
        self._plan, self._send, self._told = plan, send, told
        self._holdings = Holdings(plan.scenario.load.users, workers)
        self._orders: dict[int, list[_Order]] = {}
        """For each worker, those that it has not confirmed."""
        self._given = 0

    def of(self, lost: Member, members: Collection[Member], now_s: float | None, end_s: float) -> bool:
        """Whether the load may go on without a worker, `now_s` seconds after its start: others take its users over.

        When the load ends, at `end_s`, before they could, or it has no users, nothing is to be taken over: that is as good.
        """
        others = [member for member in members if not member.lost]
        if self._plan.scenario.health.lost_worker != "compensate" or now_s is None or not others:
            return False
        # A worker without users has had its end as soon as it hears of the start.
        heirs = [member for member in others if not member.final and self._holdings.of(member.worker)]
        held = self._holdings.of(lost.worker)
        facts: dict[str, Any] = {"worker": lost.worker, "name": lost.name, "users": len(held)}
        from_s = self._begin_s(held, max(1, len(heirs)), max(0.0, now_s))
        if not held or from_s >= end_s:
            why = "not any more: the load ends" if held else "there are none"
            self._told("users_taken_over", **facts, from_s=None, heirs=[], how=why)
            return True
        if heirs:
            self._hand_over(lost, heirs, from_s, facts)
        return bool(heirs)

    def _hand_over(self, lost: Member, heirs: Collection[Member], from_s: float, facts: Mapping[str, Any]) -> None:
        shares = self._holdings.hand_over(lost.worker, [heir.worker for heir in heirs], from_s)
        self._told("users_taken_over", **facts, from_s=from_s, heirs=sorted(shares))
        for heir in (one for one in heirs if shares[one.worker]):
            self._given += 1
            order = _Order(lost, {"number": self._given, "users": shares[heir.worker], "from_s": from_s})
            self._orders.setdefault(heir.worker, []).append(order)
            self._send(messages.TAKE, order.message, heir.node)

    def confirmed(self, member: Member, number: int) -> None:
        """A worker has an order."""
        orders = self._orders.get(member.worker, [])
        self._orders[member.worker] = [order for order in orders if order.message["number"] != number]

    def repeat(self, member: Member) -> None:
        """A worker was heard: tell it again what it has not confirmed, for it may have missed it."""
        for order in self._orders.get(member.worker, []):
            self._send(messages.TAKE, order.message, member.node)

    def ended(self, member: Member, end_s: float) -> None:
        """A worker has had its end, as the load at `end_s`: what it never heard of, nobody has played."""
        for lost, message in self._orders.pop(member.worker, []):
            if message["from_s"] < end_s:
                self._told("take_over_missed", worker=lost.worker, name=lost.name, heir=member.name)

    def _begin_s(self, held: Mapping[int, float], heirs: int, now_s: float) -> float:
        """When others can have so many users ready; not before those whom the lost one had itself taken over are due."""
        load, users = self._plan.load, self._plan.scenario.load.users
        past = 0.0 if isinstance(load, ClosedLoad) else expected_turns(load, users, now_s) / users
        notice_s = NOTICE_S + -(-len(held) // heirs) * (USER_S + past * TURN_S)
        return max(round(now_s + notice_s, 3), *held.values(), 0.0)
