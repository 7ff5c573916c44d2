"""The master's side: gives out the plan, starts the clock, and writes what comes back into the run's folder first."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import gevent
from locust.env import Environment
from locust.runners import LocalRunner

from loadtests.engine import messages
from loadtests.engine.absence import GONE, AbsenceWatch
from loadtests.engine.clocks import SteadyClock
from loadtests.engine.doing import Doing
from loadtests.engine.gate import GatedMaster
from loadtests.engine.members import Member, nodes_in_order, places_of
from loadtests.engine.record import Record
from loadtests.engine.takeover import TakeOvers
from loadtests.engine.whereabouts import unique_names
from loadtests.exitcodes import ExitCode
from loadtests.measure.snapshot import Snapshot
from loadtests.measure.window import Window
from loadtests.scenario.plan import Plan
from loadtests.store.folder import RunFolder

log = logging.getLogger(__name__)

START_DELAY_S = 0.5
"""From `go` to the start of the load, so that every worker has the message before it."""
GO_AGAIN_S = 2.0
READY_WITHIN_S = 120.0
"""Longest time for all users to get their tokens."""
PATIENCE_S = 10.0
"""How long after the drain a worker's final report is waited for; for one that is silent then, a silence longer."""
SETTLE_S = 0.5
"""What a worker said before its process ended may still be under way for so long."""


class Collector:
    """One run, seen from the master (or from the only process there is)."""

    KINDS = (messages.TIME, messages.READY, messages.SNAPSHOT, messages.FAULT, messages.TAKEN, messages.FINAL)
    """Messages that `receive` takes."""

    def __init__(
        self,
        environment: Environment,
        runner: GatedMaster | LocalRunner,
        plan: Plan,
        host: str,
        folder: RunFolder,
        sealed: Callable[[Window], None] = lambda _: None,
    ) -> None:
        self._runner = runner
        self._plan, self._host, self._folder = plan, host, folder
        self._clock = SteadyClock()
        """By which the run goes: the start of the load, and what workers' clocks are compared with."""
        send, nodes = runner.send_message, nodes_in_order(runner)
        self._places = places_of(runner, nodes)
        named = zip(nodes, unique_names(self._places), strict=True)
        self._members = {node: Member(index, node, name, send, self._clock.now) for index, (node, name) in enumerate(named)}
        self._record = Record(folder, len(self._members), sealed)
        self._take_overs = TakeOvers(plan, len(self._members), send, self._tell)
        self._start_epoch: float | None = None
        self._halted = False
        self._halted_s: float | None = None
        self._closed = False
        self._doing = Doing(environment, runner)

    def begin(self) -> None:
        """Give each worker its part of the plan. Users are spawned right after this."""
        whole = {"plan": self._plan.to_json(), "host": self._host, "workers": len(self._members)}
        place = {"folder": str(self._folder.path.resolve()), "run_id": self._folder.run_id}
        for node, member in self._members.items():
            self._runner.send_message(messages.PLAN, {**whole, **place, "worker": member.worker}, node)
            member.clock.begin(partial(self._tell_ahead, member))
        self._doing.later(0, self._watch)
        self._doing.later(READY_WITHIN_S, self._give_up)

    def _tell_ahead(self, member: Member) -> None:
        """The worker's users may get their tokens, whose moments are the master's."""
        self._runner.send_message(messages.AHEAD, {"ahead_s": member.ahead_s}, member.node)

    # Messages from workers.

    def _on_time(self, member: Member, data: dict[str, Any]) -> None:
        """A worker says what its clock says."""
        check = member.clock if self._start_epoch is None else member.clock_after
        check.answered(data["asked"], data["clock"])

    def _on_ready(self, member: Member, data: dict[str, Any]) -> None:
        """A worker's users have their tokens; when all have, the load starts."""
        member.ready, member.users = True, data["users"]
        if data["trouble"]:
            self._on_fault(member, data)
        elif all(one.ready for one in self._members.values()):
            # Once more, for now the workers are quiet: while they made their users, answers were slow.
            for one in self._members.values():
                one.clock.begin(partial(self._go_when_all_told, one))

    def _go_when_all_told(self, member: Member) -> None:
        member.told = True
        if all(one.told for one in self._members.values()) and not self._doing.over:
            self._go()

    def _on_snapshot(self, member: Member, data: dict[str, Any]) -> None:
        """Take a snapshot in the order of its number; a repeated one is only acknowledged again."""
        if member.lost or member.final:
            # Its seconds are sealed without it: too late, as `unreported` in the ledger says.
            self._acknowledge(member, data["number"])
            return
        if data["number"] > member.received:
            member.ahead[data["number"]] = data
        while (following := member.ahead.pop(member.received + 1, None)) is not None:
            member.received += 1
            self._record.take(Snapshot.from_json(following))
        self._acknowledge(member, member.received)

    def _acknowledge(self, member: Member, number: int) -> None:
        # Who was cut off may have missed that it was told to halt, or to close.
        facts = {"number": number, "final": member.final, "halted_s": self._halted_s, "closed": self._closed}
        self._runner.send_message(messages.RECEIVED, facts, member.node)
        self._take_overs.repeat(member)

    def _on_taken(self, member: Member, data: dict[str, Any]) -> None:
        """A worker has heard that it is to play users of a lost one."""
        self._take_overs.confirmed(member, data["number"])

    def _on_fault(self, member: Member, data: dict[str, Any]) -> None:
        """A worker cannot go on: before the load nothing starts, later the run ends without it."""
        if self._start_epoch is None:
            self._not_ready(member.name, data["trouble"])
        elif not (member.final or member.lost):
            self._lose(member, f"failed: {data['trouble']}")
            self._halt(f"{member.name} failed")
            self._end_if_all_done()

    def _on_final(self, member: Member, data: dict[str, Any]) -> None:
        """A worker's users have had their turns. Its totals count when all its snapshots are here; it repeats both."""
        if member.lost:
            return
        member.totals = data
        if member.clock_after.done:
            self._on_end(member)
        else:
            member.clock_after.begin(partial(self._on_end, member))

    def _on_end(self, member: Member) -> None:
        """A worker has said all that it will say, the last look at its clock is taken: is everything here?"""
        if member.totals is not None and member.received == member.totals["snapshots"] - 1:
            self._book(member)
            self._end_if_all_done()
        self._acknowledge(member, member.received)

    def _book(self, member: Member) -> None:
        """Take a worker's totals into the record."""
        if member.final or member.lost or member.totals is None:
            return
        member.final = True
        missing = member.totals["snapshots"] - member.received - 1
        clock = member.clock_after.best
        facts = {"missing": missing, "clock": clock and clock.to_json()}
        self._folder.event("worker_final", self._now(), **facts, report={**member.totals, "name": member.name})
        self._take_overs.ended(member, self._end_s)
        self._record.release(member.worker)

    # The course of the run.

    @property
    def over(self) -> bool:
        """Whether everything has been written."""
        return self._doing.over

    @property
    def _end_s(self) -> float:
        """When the load ends or ended."""
        total_s = self._plan.scenario.load.total_s
        return total_s if self._halted_s is None else min(total_s, self._halted_s)

    def halt(self, reason: str) -> None:
        """End the load now: no turn begins any more, what is in flight is drained."""
        if not self._doing.over:
            self._doing.safely(lambda: self._halt(reason))

    def _halt(self, reason: str) -> None:
        if self._halted:
            return
        self._halted = True
        if self._start_epoch is None:
            self._folder.event("halt", None, reason=reason)
            self._end(ExitCode.INTERRUPTED)
            return
        at_s = max(0.0, self._now() or 0.0)
        self._folder.event("halt", at_s, reason=reason)
        self._halted_s = at_s
        self._runner.send_message(messages.HALT, {"at_s": at_s})
        self._doing.later(self._plan.scenario.load.drain, self._close)

    def _go(self) -> None:
        self._start_epoch = self._clock.now() + START_DELAY_S
        members = self._members.values()
        names = {member.worker: member.name for member in members}
        users = sum(member.users for member in members)
        clocks = {member.worker: member.clock.best.to_json() for member in members if member.clock.best}
        machines = {member.worker: place.place for member, place in zip(members, self._places, strict=True) if place.elsewhere}
        facts = {"users": users, "workers": names, "machines": machines, "clocks": clocks}
        self._folder.event("start", 0.0, epoch=self._start_epoch, **facts)
        load = self._plan.scenario.load
        self._doing.later(START_DELAY_S + load.total_s + load.drain, self._close)
        self._send_go()

    def _send_go(self) -> None:
        """Say when the load starts, again and again to whoever has reported nothing of it yet: it may have been cut off."""
        waiting = [one for one in self._members.values() if one.received < 0 and not (one.ahead or one.final or one.lost)]
        for member in waiting:
            self._runner.send_message(messages.GO, {"start": self._start_epoch, "ahead_s": member.ahead_s}, member.node)
        if waiting and not (self._doing.over or self._closed):
            self._doing.later(START_DELAY_S + GO_AGAIN_S, self._send_go)

    def _close(self) -> None:
        """The drain is over; soon after, whoever has not reported its end is lost."""
        if self._doing.over:
            return
        self._closed = True
        self._runner.send_message(messages.CLOSE, {})
        gevent.sleep(PATIENCE_S)
        if any(member.silence.seconds for member in self._members.values() if not (member.final or member.lost)):
            gevent.sleep(self._plan.scenario.health.silence)
        for member in self._members.values():
            self._book(member)
            if not (member.final or member.lost):
                self._lose(member, "sent no final report")
                self._take_overs.of(member, self._members.values(), self._now(), self._end_s)
        self._end_if_all_done()

    def _give_up(self) -> None:
        """Workers that are not ready by now will not be."""
        if self._start_epoch is None and not self._doing.over:
            names = ", ".join(member.name for member in self._members.values() if not member.told)
            self._not_ready(names, f"users had no token within {READY_WITHIN_S:.0f} s")

    def _not_ready(self, name: str, trouble: str) -> None:
        self._folder.event("not_ready", None, worker=name, trouble=trouble)
        self._end(ExitCode.NOT_READY)

    def _watch(self) -> None:
        silence_s = self._plan.scenario.health.silence
        absences = AbsenceWatch(self._runner, silence_s, self._do_without, self._heard_again)
        absences.watch(tuple(self._members.values()), lambda: self._doing.over)

    def _heard_again(self, member: Member, silent_s: float) -> None:
        if self._start_epoch is not None:  # before, it was making its users
            facts = {"worker": member.worker, "name": member.name, "silent_s": round(silent_s, 1)}
            self._folder.event("worker_silent", self._now(), **facts)

    def ended(self, names: set[str]) -> None:
        """Processes of these names have ended, which is known of those of this machine."""

        def lose() -> None:
            for member in self._members.values():
                if member.name in names and not (member.final or member.lost):
                    self._do_without(member, GONE)

        if not self._doing.over:
            self._doing.later(SETTLE_S, lose)

    def _do_without(self, member: Member, how: str) -> None:
        """Go on without a worker, if the scenario allows it and others are there; else end the load."""
        if self._doing.over:
            return
        self._lose(member, how)
        if self._start_epoch is None:
            self._not_ready(member.name, how)
        elif not self._take_overs.of(member, self._members.values(), self._now(), self._end_s):
            self.halt(f"{member.name} was lost")
        self._end_if_all_done()

    def _tell(self, kind: str, **facts: Any) -> None:
        self._folder.event(kind, self._now(), **facts)

    def _lose(self, member: Member, how: str) -> None:
        member.lost = True
        self._folder.event("worker_lost", self._now(), worker=member.worker, name=member.name, how=how)
        if isinstance(self._runner, GatedMaster):
            self._runner.turn_away(member.node)
        self._record.release(member.worker)

    def _end_if_all_done(self) -> None:
        if all(member.final or member.lost for member in self._members.values()):
            self._end(ExitCode.PASS)

    def _end(self, code: ExitCode) -> None:
        if self._doing.over:
            return
        self._doing.over = True  # first, for writing may fail
        self._record.close()
        self._folder.event("stop", self._now())
        self._doing.quit(code)

    def _now(self) -> float | None:
        return None if self._start_epoch is None else round(self._clock.now() - self._start_epoch, 3)

    def receive(self, kind: str, node: str, data: dict[str, Any]) -> None:
        """A worker's message. A fault in handling it, such as a full disk, ends the run with its reason."""
        handlers = {
            messages.TIME: self._on_time,
            messages.READY: self._on_ready,
            messages.SNAPSHOT: self._on_snapshot,
            messages.FAULT: self._on_fault,
            messages.TAKEN: self._on_taken,
            messages.FINAL: self._on_final,
        }
        member = self._members.get(node)
        if not self._doing.over and member is not None:
            self._doing.safely(lambda: handlers[kind](member, data))
