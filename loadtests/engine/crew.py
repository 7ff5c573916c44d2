"""What the users of one worker share: the plan, the clock, the recorder, and the numbers that are still to be given out."""

import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import gevent
from gevent.lock import BoundedSemaphore
from locust import User
from locust.env import Environment

from loadtests import settings
from loadtests.engine.arrivals import RunClock
from loadtests.engine.clocks import SteadyClock
from loadtests.engine.http.client import Abandoned, Options
from loadtests.engine.http.connection import Limits
from loadtests.engine.http.origin import Network
from loadtests.engine.http.session import Session
from loadtests.engine.locust_stats import LocustStats
from loadtests.engine.recorder import Recorder
from loadtests.errors import InputError
from loadtests.pacing.shard import shard
from loadtests.pacing.stream import DIGEST_MODULUS
from loadtests.scenario.plan import Plan
from loadtests.traffic import journeys
from loadtests.traffic.payloads import task_payloads

LOGINS_AT_ONCE = 20
MARGIN_S = 2.0
"""So much longer than a worker waits for its master, the master waits for it: who is given up has ended its load by then."""


class Crew:
    """One worker's part of a run. `when_ready` and `when_done` are called once, when all its users are."""

    def __init__(self, plan: Plan, host: str, worker: int, workers: int, listeners: LocustStats, clock: SteadyClock) -> None:
        self.plan, self.host, self.worker = plan, host, worker
        for file in plan.scenario.journeys:
            _there(file)
        plan.check_journeys()
        with journeys.as_before():  # what this plan's journeys are called is no business of the next plan's
            for file in plan.scenario.journeys:
                journeys.load_file(Path(file))
            for name, request in plan.scenario.requests.items():
                request.declare(name)
            self.actions = tuple(journeys.REGISTRY[share.journey].run for share in plan.scenario.mix)
        if plan.scenario.load.recording is not None:
            _there(plan.scenario.load.recording)
        _ = plan.load  # a recording is read before the load starts
        self.payloads = task_payloads(plan.scenario.seed)
        self.clock = RunClock(clock, plan.scenario.health.silence + MARGIN_S)
        self.recorder = Recorder(worker)
        self.network = Network()
        timeout_s = plan.scenario.target.timeout
        self._listeners = listeners
        self._options = Options(Limits(timeout_s, timeout_s, timeout_s, timeout_s))
        self.secret = os.environ.get(settings.JWT_SECRET, "")
        if plan.scenario.auth.mode == "mint" and not self.secret:
            raise InputError(f"the scenario mints tokens: {settings.JWT_SECRET} must be set where each worker runs")
        self.logins, self.catching_up = BoundedSemaphore(LOGINS_AT_ONCE), BoundedSemaphore(1)
        own = shard(plan.scenario.load.users, worker, workers)
        self.size = len(own)
        """Users, those of lost workers that it took over included."""
        self.active = 0
        self.stream_digest = 0
        self.trouble: str | None = None
        self.when_ready: Callable[[], None] = lambda: None
        self.when_done: Callable[[], None] = lambda: None
        self._numbers = deque((number, 0.0) for number in own)
        self._busy: set[gevent.Greenlet] = set()
        self._ready = self._gone = 0

    def new_session(self, user: User) -> Session:
        """The connections of one user."""
        return Session(self.host, self.recorder, self._listeners, self.network, self._options, user)

    def take_over(self, users: Sequence[int], from_s: float) -> None:
        """Expect users of a lost worker, whose turns from `from_s` on are to be played here."""
        self.size += len(users)
        self._numbers.extend((number, from_s) for number in users)

    def enrol(self) -> tuple[int, float] | None:
        """The next user's number, and when its turns begin; None when Locust spawned more users than there are."""
        if not self._numbers:
            return None
        self.active += 1
        return self._numbers.popleft()

    def ready(self, trouble: str | None = None) -> None:
        """A user has its token, or `trouble` instead."""
        self._ready += 1
        self.trouble = self.trouble or trouble
        if self._ready == self.size:
            self.when_ready()

    def busy(self) -> None:
        """The calling user is in a journey."""
        self._busy.add(gevent.getcurrent())

    def idle(self) -> None:
        """The calling user's journey is over."""
        self._busy.discard(gevent.getcurrent())

    def leave(self, digest: int) -> None:
        """A user has had all its turns."""
        self.stream_digest = (self.stream_digest + digest) % DIGEST_MODULUS
        self.active -= 1
        self._gone += 1
        if self._gone == self.size:
            self.when_done()

    def halt(self, at_s: float) -> None:
        """No turn due after `at_s` begins."""
        self.clock.halt_at_s = min(self.clock.halt_at_s, at_s)

    def close(self) -> None:
        """End the drain: abandon what is unanswered, drop what is unsent."""
        self.clock.closed = True
        for greenlet in tuple(self._busy):
            greenlet.kill(Abandoned, block=False)

    def perf_counter_at(self, moment_s: float) -> float:
        """The moment of the run on this process's performance counter."""
        return time.perf_counter() - self.clock.now() + moment_s


def _there(file: str) -> None:
    """A worker on another machine has nothing but the plan. Raises InputError."""
    if not Path(file).is_file():
        raise InputError(f"{file}: the plan needs this file, and it is not on this machine; put it there under the same path")


def set_crew(environment: Environment, crew: Crew) -> None:
    """Make `crew` the one that new users of this environment join."""
    environment.loadtest_crew = crew  # type: ignore[attr-defined]  # Locust's environment is meant to be hung things on


def crew_of(environment: Environment) -> Crew:
    """The environment's crew. Raises RuntimeError when the master has not sent a plan."""
    crew = getattr(environment, "loadtest_crew", None)
    if not isinstance(crew, Crew):
        raise RuntimeError("users were spawned before the plan arrived")
    return crew
