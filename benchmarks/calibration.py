"""Calibration: what the harness reports of a server whose latency is known, against the exact figures.

Of distributions, the server's own measurement of each answer is the truth, and its quantiles by nearest rank are exact.

Of a stall the truth is theory. Turns come evenly for T seconds, and for S of them the server stands still. Whoever is due x
seconds before the stall's end waits x, whether the request could be sent or stood behind another of the same user. So the part
of all turns that waits longer than x is (S - x) / T, and the q-quantile of the time *from due* is

    Q(q) = S - (1 - q) T        for 1 - q < S / T, and about nothing below.

The time *from the send* knows nothing of the turns that stood behind: of U users only one request each, U of all N, meets the
stall, so that its q-quantile is small for every q < 1 - U / N. (Gil Tene calls the difference coordinated omission.)
"""

import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.engine import HERE, LOCUSTFILE
from benchmarks.latency_server import STALL_S
from benchmarks.tools import LOCUST
from loadtests.measure.histogram import Histogram
from loadtests.store.windows import total_of

DISTRIBUTIONS = ("constant", "bimodal", "lognormal")
QUANTILES = (0.5, 0.9, 0.95, 0.99)
DURATION_S = 20
AT_ONCE = 2
"""Runs at the same time: they mostly wait."""
STALL_USERS, STALL_RATE = 20, 10.0
LIMIT_S = 120
SCENARIO = """
name = "calibration"
journeys = ["calibration.py"]

[load]
users = {users}
rate_per_user = {rate}
duration = "{duration}s"
drain = "10s"

[[mix]]
journey = "ask"

[objectives]
failures = "failure_ratio <= 0%"
"""
JOURNEY = """
from loadtests.traffic.journeys import Person, journey
from loadtests.traffic.prepared import Prepared

ASK = Prepared("GET", "/", name="ask")

@journey(requests=["ask"])
def ask(person: Person) -> None:
    person.client.send(ASK)
"""


@dataclass(frozen=True)
class Row:
    """One figure: `kind` is `service` (from the send) or `response` (from due); times in milliseconds."""

    distribution: str
    kind: str
    quantile: float
    exact_ms: float | None
    """None where theory says no more than that it is small."""
    reported_ms: float

    @property
    def error(self) -> float | None:
        """Relative to the exact value."""
        return None if self.exact_ms is None else self.reported_ms / self.exact_ms - 1


@dataclass(frozen=True)
class Observed:
    """One run: what the server did, what the harness reported."""

    waited_s: Sequence[float]
    response: Histogram
    service: Histogram


def calibrate() -> list[Row]:
    """Quantiles of each distribution, and of the stall."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = [pool.submit(distribution_rows, name) for name in DISTRIBUTIONS]
        stall = pool.submit(stall_rows)
        return [row for one in [*found, stall] for row in one.result()]


def distribution_rows(name: str) -> list[Row]:
    """Reported against exact, from the send."""
    seen = _observe(name, users=300, rate=0.5)
    ordered = sorted(seen.waited_s)
    exact = {q: ordered[math.ceil(q * len(ordered)) - 1] * 1e3 for q in QUANTILES}
    return [Row(name, "service", q, exact[q], seen.service.quantile(q) / 1e3) for q in QUANTILES]


def stall_rows() -> list[Row]:
    """Reported against theory, from due; from the send, theory has nothing for these quantiles."""
    seen = _observe("stall", users=STALL_USERS, rate=STALL_RATE)
    exact = {q: (STALL_S - (1 - q) * DURATION_S) * 1e3 for q in (0.95, 0.98, 0.99)}
    rows = [Row("stall", "response", q, ms, seen.response.quantile(q) / 1e3) for q, ms in exact.items()]
    return [*rows, *(Row("stall", "service", q, None, seen.service.quantile(q) / 1e3) for q in exact)]


def to_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """As generator.json has it."""
    return [{**asdict(row), "error": None if row.error is None else round(row.error, 5)} for row in rows]


def _observe(script: str, users: int, rate: float) -> Observed:
    with tempfile.TemporaryDirectory(prefix="loadtest-bench-") as name:
        folder = Path(name)
        (folder / "calibration.toml").write_text(SCENARIO.format(users=users, rate=rate, duration=DURATION_S))
        (folder / "calibration.py").write_text(JOURNEY)
        with _server(script) as (host, server):
            _run(folder, host)
            said, _ = server.communicate(timeout=LIMIT_S)
        (windows,) = [path for path in folder.glob("results/*/windows.jsonl") if not path.parent.is_symlink()]
        series = total_of(windows).series["ask"]
        if series.failed:
            raise RuntimeError(f"calibration: {series.failed} requests failed: {dict(series.failures)}")
        return Observed(json.loads(said)["waited"], series.response_time, series.service_time)


@contextmanager
def _server(script: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    command = [sys.executable, str(HERE / "latency_server.py"), script, "1"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None, "it is a pipe"
            yield f"http://127.0.0.1:{int(server.stdout.readline())}", server
        finally:
            if server.poll() is None:
                server.kill()


def _run(folder: Path, host: str) -> None:
    command = [*LOCUST, "-f", str(LOCUSTFILE), "--headless", "--only-summary", "--scenario", str(folder / "calibration.toml")]
    env = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    done = subprocess.run(
        [*command, "--host", host], cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=LIMIT_S
    )
    if done.returncode:
        raise RuntimeError(f"calibration: {done.stdout[-1000:]}{done.stderr[-2000:]}")
