"""The simulated user: a Locust `User` that lives by the plan's turns instead of Locust's wait times."""

import logging
import math
import time
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import TypeVar

import gevent
from locust import User
from locust.env import Environment
from locust.exception import StopUser

from loadtests.engine.credentials import Credentials
from loadtests.engine.crew import crew_of
from loadtests.engine.http.client import Abandoned
from loadtests.engine.http.session import Session
from loadtests.measure.snapshot import Accepted
from loadtests.pacing.draws import user_draws
from loadtests.pacing.stream import ClosedLoad, StreamDigest, ThinkingUser, Turn, turns_of
from loadtests.traffic.journeys import Client

T = TypeVar("T")
log = logging.getLogger(__name__)


class SimulatedUser(User):
    """One person: own token, own connection, own random stream."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._crew = crew_of(environment)
        self._turn = Turn(0.0, 0, 0)
        self._free_s = -math.inf
        """Until when the user was busy last."""
        self._waited = False
        """Whether a turn was dropped because the user still waited for the target."""
        self._session: Session
        self._credentials: Credentials
        self.number: int

    def on_start(self) -> None:
        """Take a number of the shard and get a token, before the load starts."""
        enrolled = self._crew.enrol()
        if enrolled is None:
            log.info("a user more than the plan has: idle")
            raise StopUser
        self.number, self._from_s = number, _ = enrolled
        self._digest = StreamDigest(number)
        self._session = self._crew.new_session(self)
        self._credentials = Credentials(self._crew, self._session, number)
        self._crew.clock.wait_for_epoch()
        trouble = self._log_in()
        self._turns = self._planned()
        self._crew.ready(trouble)

    def _log_in(self) -> str | None:
        """Get the first token; what went wrong, in words. None is needed by whoever takes over when the load is over."""
        crew = self._crew
        with crew.logins:
            if crew.clock.closed or self._from_s > crew.clock.halt_at_s:
                return None
            crew.busy()
            try:
                return self._credentials.log_in()
            except Abandoned:
                log.info("user %d: abandoned while it logged in", self.number)
                return None
            except Exception as error:  # whatever it is, the master must hear of it, or it waits for this user
                log.exception("user %d: cannot log in", self.number)
                return f"user {self.number} cannot log in: {type(error).__name__}: {error}"
            finally:
                crew.idle()

    def _planned(self) -> Iterator[Turn]:
        """All turns of an open load, from when they are this worker's."""
        plan = self._crew.plan
        if isinstance(plan.load, ClosedLoad):
            return iter(())
        turns = turns_of(plan.load, plan.mix, plan.scenario.seed, self.number, self._from_s)
        if not self._from_s or self._crew.clock.closed:
            return turns
        # What is over has to be drawn all the same: one user after the other, and the others get as much time.
        with self._crew.catching_up:
            begun_s = time.perf_counter()
            first = list(islice(turns, 1))
            gevent.sleep(time.perf_counter() - begun_s)
        return chain(first, turns)

    def live(self) -> None:
        """All turns of the user, then its end."""
        crew = self._crew
        try:
            crew.clock.wait_for_go()
            self._credentials.begin()
            load = crew.plan.load
            if isinstance(load, ClosedLoad):
                self._think_and_act(ThinkingUser(load, crew.plan.mix, user_draws(crew.plan.scenario.seed, self.number)))
            for turn in self._turns:
                if not self._take(turn):
                    break
            if crew.clock.now() < crew.plan.scenario.load.total_s:
                self._wait_until(crew.plan.scenario.load.total_s)  # at work, though with nothing more to do
        finally:
            self._session.close()
            crew.leave(self._digest.value())
        raise StopUser

    tasks = [live]  # noqa: RUF012  # as Locust declares it

    # What journeys see of a person.

    @property
    def client(self) -> Client:
        """The person's connection, with its token."""
        return self._session

    def choice(self, options: Sequence[T]) -> T:
        """One of the options, decided by the turn's draw."""
        return options[self._turn.draw % len(options)]

    def payload(self) -> bytes:
        """One of the prepared bodies, decided by the turn's draw."""
        return self.choice(self._crew.payloads)

    def accepted(self, task_id: str) -> None:
        """The target promised to work this task off."""
        now_s, request = self._crew.clock.now(), self._session.last_name
        self._crew.recorder.accepted(Accepted(task_id, self.number, self._turn.due_s, now_s, request))

    # Turns.

    def _think_and_act(self, thinker: ThinkingUser) -> None:
        clock = self._crew.clock
        turn = thinker.next(max(self._from_s, clock.now()))
        while turn is not None and self._take(turn):
            turn = thinker.next(clock.now())

    def _take(self, turn: Turn) -> bool:
        """Wait for the turn's moment and act; False when the run was halted before it."""
        clock, recorder = self._crew.clock, self._crew.recorder
        if not self._wait_until(turn.due_s):
            return False
        recorder.counts.scheduled += 1
        self._digest.add(turn)
        if clock.closed:
            self._drop(turn)
            return True
        # A user that was still busy begins late through the target's fault, not the generator's: from when it was free.
        recorder.late(round((clock.now() - max(turn.due_s, self._free_s)) * 1e6))
        self._act(turn)
        self._free_s = clock.now()
        return True

    def _wait_until(self, due_s: float) -> bool:
        """Sleep until `due_s`, and renew the token when its time comes; False when the run was halted before that.

        Nothing is renewed after a halt: what is sent then was due before it.
        """
        clock, credentials = self._crew.clock, self._credentials
        while credentials.renew_s <= max(due_s, clock.now()):
            arrived = credentials.renew_s <= clock.now() or clock.wait_until(credentials.renew_s)
            if clock.closed or not arrived or clock.now() > clock.halt_at_s:
                break
            self._renew()
            self._free_s = clock.now()
        return clock.wait_until(due_s)

    def _drop(self, turn: Turn) -> None:
        """A turn that was not sent before the end of the drain: whose fault?"""
        counts = self._crew.recorder.counts
        counts.dropped += 1
        if self._free_s > turn.due_s:
            counts.waiting += 1
            counts.waiting_users += not self._waited
            self._waited = True

    def _act(self, turn: Turn) -> None:
        crew, recorder = self._crew, self._crew.recorder
        recorder.counts.started += 1
        self._turn = turn
        crew.busy()
        try:
            self._session.due(crew.perf_counter_at(turn.due_s))
            crew.actions[turn.journey](self)
        except Abandoned:
            log.info("user %d: abandoned at the end of the drain", self.number)
        except (Exception, SystemExit):
            recorder.counts.journey_errors += 1
            log.exception("user %d: the journey raised", self.number)
        finally:
            crew.idle()
            recorder.counts.finished += 1

    def _renew(self) -> None:
        crew = self._crew
        crew.busy()
        try:
            self._credentials.renew()
        except Abandoned:
            log.info("user %d: abandoned while its token was renewed", self.number)
        finally:
            crew.idle()
