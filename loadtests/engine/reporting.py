"""The worker's side: takes the plan, reports once a second, keeps each report until the master has it."""

import gc
import logging
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gevent
import psutil
from locust.env import Environment
from locust.rpc import Message
from locust.runners import Runner

from loadtests.engine import messages
from loadtests.engine.clocks import SteadyClock
from loadtests.engine.crew import Crew, set_crew
from loadtests.engine.descriptors import raise_descriptor_limit
from loadtests.engine.locust_stats import stats_of
from loadtests.engine.users import SimulatedUser
from loadtests.engine.whereabouts import worker_name
from loadtests.errors import LoadtestError, RunError
from loadtests.measure.snapshot import Gauges
from loadtests.scenario.plan import Plan
from loadtests.scenario.schema import Health
from loadtests.store.accepted import AcceptedWriter, folder_here

log = logging.getLogger(__name__)

INTERVAL_S = 1.0
LAG_INTERVAL_S = 0.05
RESEND_AFTER_S = 2.0
FAREWELL_S = 10.0
"""How long a worker repeats its totals and unacknowledged snapshots after its users are done, beyond a silence that may be."""
FAREWELL_INTERVAL_S = 0.5
SPAWNED_AT_ONCE, SPAWN_PAUSE_S = 50, 0.02
YOUNG_OBJECTS, YOUNG_ROUNDS, NEVER = 50_000, 50, 1_000_000
"""Thresholds of Python's garbage collector during the load."""


@dataclass
class _Report:
    """A snapshot that the master may not have yet."""

    message: dict[str, Any]
    sent_s: float
    """When it was sent last, on the monotonic clock."""


class Reporter:
    """Binds one worker's runner to its crew."""

    def __init__(self, environment: Environment, runner: Runner) -> None:
        self._environment, self._runner = environment, runner
        self._stats = stats_of(environment)
        self._name = worker_name()
        self._process = psutil.Process()
        self._clock = SteadyClock()
        self._crew: Crew | None = None
        self._accepted: AcceptedWriter | None = None
        """Where accepted tasks are written; without it they go to the master."""
        self._unacknowledged: deque[_Report] = deque()
        self._window = -1
        self._lag_us = self._opened = 0
        self._measured = (time.monotonic(), time.process_time())
        """When its use of the processor was looked at last, and what it was."""
        self._taken = set[int]()
        """Orders to play users of lost workers."""
        self._booked = False
        """Whether the master has this worker's totals."""
        for kind, handler in (
            (messages.PLAN, self._on_plan),
            (messages.CLOCK, self._on_clock),
            (messages.AHEAD, self._on_ahead),
            (messages.GO, self._on_go),
            (messages.RECEIVED, self._on_received),
            (messages.HALT, self._on_halt),
            (messages.CLOSE, self._on_close),
            (messages.TAKE, self._on_take),
        ):
            runner.register_message(kind, self._guarded(handler))

    def _guarded(self, handler: Callable[[dict[str, Any]], None]) -> Callable[..., None]:
        """`handler` as a listener of Locust's messages; a fault in it is told to the master, for Locust would only log it."""

        def listener(msg: Message, **_: Any) -> None:
            try:
                handler(msg.data)
            except LoadtestError as error:
                self._environment.process_exit_code = int(error.exit_code)
                print(f"loadtest: {self._name}: {error}", file=sys.stderr, flush=True)
                self._send(messages.FAULT, {"trouble": str(error)})
            except Exception as error:
                log.exception("a message could not be handled")
                self._send(messages.FAULT, {"trouble": f"{type(error).__name__}: {error}"})

        return listener

    def _on_plan(self, data: dict[str, Any]) -> None:
        crew = Crew(Plan.from_json(data["plan"]), data["host"], data["worker"], data["workers"], self._stats, self._clock)
        raise_descriptor_limit(crew.size, "this worker")  # on another machine, or in a pod, nobody did
        crew.when_ready = lambda: self._ready(crew)
        crew.when_done = lambda: gevent.spawn(self._finish, crew)
        self._crew, self._window, self._booked, self._opened = crew, -1, False, 0
        self._taken.clear()
        self._environment.process_exit_code = None
        self._unacknowledged.clear()
        if self._accepted is not None:
            self._accepted.close()
        folder = folder_here(data["folder"], data["run_id"])
        self._accepted = None if folder is None else AcceptedWriter(folder, str(crew.worker))
        gc.unfreeze()  # an earlier test's users are gone
        set_crew(self._environment, crew)
        if not crew.size:  # more workers than users: nobody will call
            crew.when_ready()

    def _ready(self, crew: Crew) -> None:
        # A look at all that 10,000 users hold stops them for a quarter of a second: from here on only the young are looked at.
        gc.collect()
        gc.freeze()
        gc.set_threshold(YOUNG_OBJECTS, YOUNG_ROUNDS, NEVER)
        self._send(messages.READY, {"users": crew.size, "trouble": crew.trouble})

    def _on_clock(self, data: dict[str, Any]) -> None:
        self._send(messages.TIME, {"asked": data["asked"], "clock": self._clock.now()})

    def _on_ahead(self, data: dict[str, Any]) -> None:
        if self._crew is not None:
            self._crew.clock.set_ahead(data["ahead_s"])

    def _on_go(self, data: dict[str, Any]) -> None:
        if self._crew is None or self._crew.clock.started:
            return
        self._crew.clock.go(data["start"], data["ahead_s"])
        gevent.spawn(self._report, self._crew)
        gevent.spawn(self._watch_lag, self._crew)
        if not self._crew.size:
            self._crew.when_done()

    def _on_received(self, data: dict[str, Any]) -> None:
        self._booked = data["final"]
        if self._booked:
            self._environment.process_exit_code = 0
        if self._crew is not None and data.get("halted_s") is not None:
            self._crew.halt(data["halted_s"])
        if self._crew is not None and data.get("closed") and not self._crew.clock.closed:
            self._crew.close()
        while self._unacknowledged and self._unacknowledged[0].message["number"] <= data["number"]:
            self._unacknowledged.popleft()

    def _on_halt(self, data: dict[str, Any]) -> None:
        if self._crew is not None:
            self._crew.halt(data["at_s"])

    def _on_close(self, _: dict[str, Any]) -> None:
        if self._crew is not None:
            self._crew.close()

    def _on_take(self, data: dict[str, Any]) -> None:
        """Play users of a lost worker too. Without users of one's own that are still there, the load is over."""
        crew, number = self._crew, data["number"]
        if crew is None or not crew.active:
            return
        if number not in self._taken:
            self._taken.add(number)
            crew.take_over(data["users"], data["from_s"])
            raise_descriptor_limit(crew.size, "this worker, with users of a lost one,")
            crew.when_ready = lambda: self._all_taken_over(crew)
            gevent.spawn(self._spawn, len(data["users"]))
        self._send(messages.TAKEN, {"number": number})

    def _spawn(self, users: int) -> None:
        """More users, a few at a time, for those that are there go on meanwhile."""
        for done in range(0, users, SPAWNED_AT_ONCE):
            self._runner.spawn_users({SimulatedUser.__name__: min(SPAWNED_AT_ONCE, users - done)})
            gevent.sleep(SPAWN_PAUSE_S)

    def _all_taken_over(self, crew: Crew) -> None:
        if crew.trouble:
            self._send(messages.FAULT, {"trouble": crew.trouble})

    @property
    def silence_s(self) -> float:
        """How long the master may say nothing."""
        return (Health() if self._crew is None else self._crew.plan.scenario.health).silence

    def abandon(self) -> None:
        """Nobody counts any more what this worker does: end its load, drain nothing."""
        if self._crew is not None:
            self.stop()
            self._crew.close()

    def stop(self) -> None:
        """Locust itself stops the test (its web UI, say): begin no further turn."""
        if self._crew is not None:
            self._crew.halt(self._crew.clock.now() if self._crew.clock.started else 0.0)

    def _report(self, crew: Crew) -> None:
        self._cpu()
        beat = 1
        while crew is self._crew and crew.active:
            gevent.sleep(max(0.0, beat * INTERVAL_S - crew.clock.now()))
            if crew.active:
                self._snapshot(crew)
            beat = max(beat + 1, int(crew.clock.now() / INTERVAL_S) + 1)

    def _watch_lag(self, crew: Crew) -> None:
        while crew is self._crew and crew.active:
            asleep = time.perf_counter()
            gevent.sleep(LAG_INTERVAL_S)
            self._lag_us = max(self._lag_us, round((time.perf_counter() - asleep - LAG_INTERVAL_S) * 1e6))

    def _snapshot(self, crew: Crew) -> None:
        # The second that has just ended; a worker that slept through some puts them all into the last.
        self._window = max(self._window + 1, int(crew.clock.now()) - 1)
        for name, series in crew.recorder.series.items():
            if series.requests:
                self._stats.add_series(crew.recorder.methods[name], name, series)
        opened = crew.network.sockets.opened
        crew.recorder.counts.connections, self._opened = opened - self._opened, opened
        self._remember(crew)
        message = crew.recorder.take(self._window, self._gauges(crew))
        self._unacknowledged.append(_Report(message, time.monotonic()))
        self._send(messages.SNAPSHOT, message)
        self._repeat(RESEND_AFTER_S)

    def _remember(self, crew: Crew) -> None:
        """Write the tasks that were accepted. When the disk refuses, the master loses this worker, and the run is invalid."""
        if self._accepted is None:
            return
        try:
            self._accepted.append(crew.recorder.take_accepted())
        except RunError as error:
            self._accepted = None
            self._send(messages.FAULT, {"trouble": str(error)})

    def _repeat(self, older_than_s: float) -> None:
        now = time.monotonic()
        # A copy, for while one is sent the master may acknowledge others.
        for report in list(self._unacknowledged):
            if now - report.sent_s >= older_than_s:
                report.sent_s = now
                self._send(messages.SNAPSHOT, report.message)

    def _gauges(self, crew: Crew) -> Gauges:
        lag, self._lag_us = self._lag_us, 0
        return Gauges(
            users=crew.active,
            in_flight=crew.recorder.in_flight,
            cpu=self._cpu(),
            loop_lag_us=lag,
            sockets=crew.network.sockets.open,
            rss_bytes=self._process.memory_info().rss,
        )

    def _cpu(self) -> float:
        """Cores used since the last call; the last report comes soon after the one before, so a second is the least."""
        before, self._measured = self._measured, (time.monotonic(), time.process_time())
        (then_s, used_then_s), (now_s, used_s) = before, self._measured
        return (used_s - used_then_s) / max(now_s - then_s, INTERVAL_S)

    def _finish(self, crew: Crew) -> None:
        """The last snapshot, then the totals, repeated until the master has booked them."""
        self._snapshot(crew)
        recorder = crew.recorder
        final = {
            "snapshots": recorder.snapshots,
            "counts": recorder.total_counts.to_json(),
            "ok": recorder.total_ok,
            "failures": dict(recorder.total_failures),
            "accepted": recorder.total_accepted,
            "users": crew.size,
            "stream_digest": f"{crew.stream_digest:032x}",
        }
        deadline = time.monotonic() + FAREWELL_S + self.silence_s
        while crew is self._crew and not self._booked and time.monotonic() < deadline:
            self._repeat(RESEND_AFTER_S)
            self._send(messages.FINAL, final)
            gevent.sleep(FAREWELL_INTERVAL_S)

    def _send(self, kind: str, data: dict[str, Any]) -> None:
        try:
            self._runner.send_message(kind, {"worker": self._crew.worker if self._crew else 0, **data})
        except Exception:
            # Locust re-opens the channel by itself; what is unacknowledged is repeated then.
            log.exception("a report could not be sent")
