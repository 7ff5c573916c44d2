"""Prepared requests in a loop of their own inside one Locust task, recorded in both histograms of each series.

With BENCH_RECORDER=none nothing is recorded: what is left out is what recording costs. Writes BENCH_RESULT at the end.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

import gevent
from locust import User, events, task
from locust.env import Environment

from benchmarks.locustfiles.mix import BODY, CREATE, LIST, SECONDS, TOKEN
from loadtests.engine.http.client import Options
from loadtests.engine.http.failures import Failure
from loadtests.engine.http.origin import Network
from loadtests.engine.http.session import Session
from loadtests.engine.locust_stats import stats_of
from loadtests.engine.recorder import Recorder
from loadtests.measure.series import Series, merge_all
from loadtests.measure.snapshot import Gauges, Snapshot
from loadtests.traffic.prepared import JSON_HEADERS, Prepared

LIST_TASKS = Prepared("GET", LIST, name="list_tasks")
CREATE_TASK = Prepared("POST", CREATE, name="create_task", headers=JSON_HEADERS, expect=(201,))
LISTS_TO_A_CREATION = 3


class Silent:
    """A recorder that counts and keeps nothing but the number of answers."""

    answers = 0

    def sent(self, planned: bool) -> None:
        """Nothing."""

    def done(self, method: str, name: str, response_us: int, service_us: int, received: int, failed: Failure | None) -> None:
        """One more."""
        self.answers += 1


recorder, silent, network, options = Recorder(0), Silent(), Network(), Options()
recording = os.environ.get("BENCH_RECORDER") != "none"
started = time.perf_counter()


class Person(User):
    """Sends as fast as answers come."""

    @task
    def work(self) -> None:
        """Everything."""
        sink = recorder if recording else silent
        session = Session(self.host or "", sink, stats_of(self.environment), network, options)
        session.authorization = TOKEN
        end, send = started + SECONDS, session.send
        while time.perf_counter() < end:
            for _ in range(LISTS_TO_A_CREATION):
                send(LIST_TASKS)
            send(CREATE_TASK, BODY)
        gevent.sleep(SECONDS)


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def begin(environment: Environment, **_: Any) -> None:
    """Take a snapshot a second, as a worker does."""
    global started  # noqa: PLW0603
    started = time.perf_counter()
    stats, whole = stats_of(environment), dict[str, Series]()

    def snapshots() -> None:
        number = 0
        while time.perf_counter() < started + SECONDS + 0.5:
            gevent.sleep(1.0)
            for name, series in recorder.series.items():
                stats.add_series(recorder.methods[name], name, series)
            merge_all(Snapshot.from_json(recorder.take(number, Gauges())).series, whole)
            number += 1
        write(whole)
        if environment.runner is not None:
            environment.runner.quit()

    gevent.spawn(snapshots)


def write(whole: dict[str, Series]) -> None:
    """The result of the run."""
    merged: dict[str, Series] = {"": Series()}
    for series in whole.values():
        merge_all({"": series}, merged)
    total = merged[""]
    result = {"requests": total.requests if recording else silent.answers, "failures": total.failed, "seconds": SECONDS}
    if recording:
        result |= {"p50_ms": total.response_time.quantile(0.5) / 1e3, "p99_ms": total.response_time.quantile(0.99) / 1e3}
    Path(os.environ["BENCH_RESULT"]).write_text(json.dumps(result))
