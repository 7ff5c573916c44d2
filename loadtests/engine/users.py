"""The simulated user: a Locust `User` that lives by the plan's turns instead of Locust's wait times."""

import logging
import math
import time
from collections.abc import Sequence
from typing import TypeVar

from locust import User
from locust.env import Environment
from locust.exception import StopUser

from loadtests.engine.crew import crew_of
from loadtests.engine.http.client import Abandoned
from loadtests.engine.http.response import Response
from loadtests.engine.http.session import Session
from loadtests.measure.snapshot import Accepted
from loadtests.pacing.draws import user_draws
from loadtests.pacing.stream import ClosedLoad, StreamDigest, ThinkingUser, Turn, open_turns
from loadtests.traffic import tokens
from loadtests.traffic.journeys import Client
from loadtests.traffic.prepared import JSON_HEADERS

T = TypeVar("T")
log = logging.getLogger(__name__)

LOGIN_TRIES = 3


class SimulatedUser(User):
    """One person: own token, own connection, own random stream."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._crew = crew_of(environment)
        self._token: tokens.Token | None = None
        self._renew_at = math.inf
        """When the token is to be replaced, in seconds of the Unix epoch."""
        self._turn = Turn(0.0, 0, 0)
        self._session: Session
        self.number: int

    def on_start(self) -> None:
        """Take a number of the shard and get a token, before the load starts."""
        number = self._crew.enrol()
        if number is None:
            log.info("a user more than the plan has: idle")
            raise StopUser
        self.number = number
        self._digest = StreamDigest(number)
        self._session = self._crew.new_session(self)
        with self._crew.logins:
            try:
                trouble = self._log_in()
            except Exception as error:  # whatever it is, the master must hear of it, or it waits for this user
                log.exception("user %d: cannot log in", number)
                trouble = f"user {number} cannot log in: {type(error).__name__}: {error}"
            self._crew.ready(trouble)

    def live(self) -> None:
        """All turns of the user, then its end."""
        crew = self._crew
        try:
            crew.clock.wait_for_go()
            load, draws = crew.plan.load, user_draws(crew.plan.scenario.seed, self.number)
            if isinstance(load, ClosedLoad):
                self._think_and_act(ThinkingUser(load, crew.plan.mix, draws))
            else:
                for turn in open_turns(load, crew.plan.mix, draws):
                    if not self._take(turn):
                        break
            crew.clock.wait_until(crew.plan.scenario.load.total_s)  # at work, though with nothing more to do
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
        turn = thinker.next(max(0.0, clock.now()))
        while turn is not None and self._take(turn):
            turn = thinker.next(clock.now())

    def _take(self, turn: Turn) -> bool:
        """Wait for the turn's moment and act; False when the run was halted before it."""
        clock, counts = self._crew.clock, self._crew.recorder
        free_s = clock.now()
        if not clock.wait_until(turn.due_s):
            return False
        counts.counts.scheduled += 1
        self._digest.add(turn)
        if clock.closed:
            counts.counts.dropped += 1
            return True
        # A user that was still busy begins late through the target's fault, not the generator's: from when it was free.
        counts.late(round((clock.now() - max(turn.due_s, free_s)) * 1e6))
        self._act(turn)
        return True

    def _act(self, turn: Turn) -> None:
        crew, recorder = self._crew, self._crew.recorder
        recorder.counts.started += 1
        self._turn = turn
        crew.busy()
        try:
            self._renew_token()
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

    # Tokens.

    def _log_in(self) -> str | None:
        """Get a first token; what went wrong, in words, or None."""
        auth = self._crew.plan.scenario.auth
        if auth.mode == "mint":
            self._mint()
        failure = None
        if auth.mode == "guest":
            body = tokens.guest_body(f"loadtest-{self.number}", f"User {self.number}")
            for _ in range(LOGIN_TRIES):
                failure = self._authenticate(auth.login or "", body)
                if failure is None:
                    break
        return failure and f"POST {auth.login} failed for user {self.number}: {failure}"

    def _renew_token(self) -> None:
        if time.time() < self._renew_at:
            return
        auth, token = self._crew.plan.scenario.auth, self._token
        assert token is not None, "there is one that expires"
        if auth.mode == "mint":
            self._mint()
        else:
            self._authenticate(auth.refresh or "", tokens.refresh_body(token))

    def _mint(self) -> None:
        auth = self._crew.plan.scenario.auth
        subject = tokens.user_id(auth.subject or "", self.number)
        self._use(tokens.mint(self._crew.secret, subject, time.time(), auth.ttl))

    def _authenticate(self, path: str, body: bytes) -> str | None:
        """Log in or refresh; the kind of failure, or None."""
        series = tokens.AUTH_SERIES
        reply: Response = self._session.request("POST", path, series, data=body, headers=JSON_HEADERS, planned=False)
        if not reply.ok:
            return reply.failure_kind
        try:
            self._use(tokens.from_login(reply.content or b""))
        except ValueError as error:
            return str(error)
        return None

    def _use(self, token: tokens.Token) -> None:
        self._token = token
        self._renew_at = token.expires_at - self._crew.plan.scenario.auth.refresh_before
        self._session.authorization = f"Bearer {token.access}"
