"""A worker that joins a master, is told when it may not, and does not load a target when its master is gone."""

import sys
import time
from typing import Any

import gevent
from locust.env import Environment
from locust.rpc import Message
from locust.runners import WorkerRunner

from loadtests.engine import messages
from loadtests.engine.gate import JOIN
from loadtests.engine.reporting import Reporter
from loadtests.engine.silence import Attention
from loadtests.engine.whereabouts import introduction, worker_name
from loadtests.exitcodes import ExitCode
from loadtests.scenario.schema import Health
from loadtests.store.build import difference

DEFAULT_WAIT_S = 300.0
ASK_AGAIN_S = 5.0
LOOK_S = 0.25


class JoiningWorker(WorkerRunner):
    """Locust's worker, which says what it is made of, and ends by itself when it may not or cannot go on."""

    def __init__(self, environment: Environment, master_host: str, master_port: int) -> None:
        self._introduction = introduction(master_host, master_port)
        self._refusal: str | None = None
        self._ending = False
        self.reporter: Reporter | None = None
        """Who knows the plan, once this process is set up."""
        self._heard_s = time.monotonic()
        super().__init__(environment, master_host, master_port)
        self.greenlet.spawn(self._watch_master)

    @property
    def _master(self) -> str:
        return f"{self.master_host}:{self.master_port}"

    def connect_to_master(self) -> None:
        """Ask until there is an answer. Ends the process when it is no, or when there is none in time."""
        options = self.environment.parsed_options
        wait_s = DEFAULT_WAIT_S if options is None else options.master_wait
        deadline = time.monotonic() + wait_s
        while not self.connected:
            self.send_message(JOIN, self._introduction)
            left_s = deadline - time.monotonic()
            self.connected = self.connection_event.wait(timeout=max(0.0, min(ASK_AGAIN_S, left_s)))
            if not self.connected and left_s <= 0:
                _leave(f"no master answered at {self._master} within {wait_s:g} s", ExitCode.INVALID)
        if self._refusal is not None:
            _leave(self._refusal, ExitCode.BAD_INPUT)
        print(f"loadtest: {worker_name()} joined the master at {self._master}", file=sys.stderr, flush=True)

    def handle_message(self, msg: Message) -> None:
        """Locust's handling of what the master says, unless it shows us the door."""
        self._heard_s = time.monotonic()
        if msg.type != messages.REFUSED:
            super().handle_message(msg)
            return
        self._refusal = self._refused(msg.data)
        if self.connected:
            self._end(self._refusal)
        else:
            self.connection_event.set()

    def _refused(self, data: dict[str, Any]) -> str:
        why = data["why"]
        if why is None:
            why = f"{difference(self._introduction['build'], data['build'])}: install the same version on both"
        return f"refused by the master at {self._master}: {why}"

    def _watch_master(self) -> None:
        attention = Attention()
        while True:
            asleep_s = time.monotonic()
            gevent.sleep(LOOK_S)
            if not attention.fair(time.monotonic() - asleep_s > 2 * LOOK_S):
                continue
            limit_s = Health().silence if self.reporter is None else self.reporter.silence_s
            if time.monotonic() - self._heard_s > limit_s:
                self._end(f"no word from the master at {self._master} for {limit_s:g} s")
                return

    def _end(self, why: str) -> None:
        """Leave, in the middle of a load if there is one: nobody counts any more what it does. Said once, if heard often."""
        if self._ending:
            return
        self._ending = True
        print(f"loadtest: {worker_name()} ends its load: {why}", file=sys.stderr, flush=True)
        if self.environment.process_exit_code is None:  # else the master has all of it already
            self.environment.process_exit_code = int(ExitCode.INVALID)
        if self.reporter is not None:
            self.reporter.abandon()
        gevent.spawn_later(LOOK_S, self.quit)  # by then its users have left


def _leave(why: str, code: ExitCode) -> None:
    print(f"loadtest: {why}", file=sys.stderr, flush=True)
    sys.exit(int(code))
