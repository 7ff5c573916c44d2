"""One run of the harness against one variant of the stack: steps of rising rate, until the response time breaks."""

import json
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import psutil

from loadtests.measure.series import Series
from loadtests.measure.window import Window
from loadtests.traffic.tokens import AUTH_SERIES

ROOT = Path(__file__).parent.parent
P95_S = 0.2
ANSWERED = 0.97
LOWEST_RATE = 40.0
WARM_UP_AT = 0.6
"""Share of the first rate: connections are made, and code meets its first request."""
BROKEN_S = 1.0
"""A p95 over a second, three seconds in a row: the variant does not recover any more."""
LIMIT_S = 400.0
# Of the API; the worker's statements carry other names.
_WORKERS = frozenset({"claim_tasks", "end_tasks", "renew_leases", "ready", "alive"})
_SAMPLE = re.compile(r"^(\w+)\{([^}]*)\} (\S+)$", re.MULTILINE)
_SCENARIO = """
name = "bench-stack"
description = "Steps of rising rate, three lists to one create."

[target]
timeout = "10s"

[auth]
mode = "mint"
subject = "agenthq:loadtest:{{user}}"

[load]
users = {users}
rate_per_user = {rate_per_user}
drain = "2s"
stages = [{stages}]

[[mix]]
journey = "list_tasks"
weight = 3

[[mix]]
journey = "create_task"
weight = 1

[objectives]
response_p95 = "response_time.p95 < 200ms"

[probes.postgres]
db_connections = \"\"\"SELECT count(*) FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND application_name <> 'loadtest-probe'\"\"\"

[stack.env]
SEED_TASKS_PER_USER = "20"
"""


@dataclass(frozen=True)
class Steps:
    """`count` rates, each `factor` above the one before, `step_s` seconds each, after a warm-up."""

    first: float
    factor: float
    count: int
    step_s: int
    warm_up_s: int = 5

    @classmethod
    def about(cls, rate: float) -> "Steps":
        """Narrow steps from three quarters of a rate to well above it.

        They begin high, so the warm-up is longer: most users' lists are to be asked for the first time in it.
        """
        return cls(first=max(rate, LOWEST_RATE) * 0.75, factor=1.1, count=9, step_s=3, warm_up_s=10)

    @property
    def rates(self) -> list[float]:
        """Requests per second of each step."""
        return [self.first * self.factor**number for number in range(self.count)]


@dataclass(frozen=True)
class Plateau:
    """One rate, one request a second and user."""

    users: int
    seconds: int

    @property
    def steps(self) -> Steps:
        """The same as one step."""
        return Steps(self.users, 1.0, 1, self.seconds)


@dataclass(frozen=True)
class StepRun:
    """What the highest step that held says; all zero if none did."""

    rate: float
    """Answers per second."""
    p95_ms: float
    cpu_us: float
    """CPU of the stack (servers, API, workers, nginx; not the generator) per request."""
    statements: float
    """Statements of the API per request, over the whole run."""
    connections: int
    """Most that PostgreSQL had at once, over the whole run."""
    lists: float
    """Lists answered, over the whole run."""
    list_statements: float


@dataclass
class _Seen:
    """What was seen of the stack while it ran."""

    cpu: list[tuple[float, float]] = field(default_factory=list)
    """Unix time, CPU seconds of the stack until then."""
    metrics: str = ""
    host: str | None = None


def run_steps(settings: Mapping[str, str], steps: Steps, users: int) -> StepRun:
    """Bring the variant up, lead it up the steps, take it down. Raises RuntimeError when the run cannot be read."""
    with tempfile.TemporaryDirectory(prefix="loadtest-bench-") as name:
        folder = Path(name)
        stages = f'{{ duration = "{steps.warm_up_s}s", at = {WARM_UP_AT} }}, ' + ", ".join(
            f'{{ duration = "{steps.step_s}s", at = {rate / steps.first!r} }}' for rate in steps.rates
        )
        text = _SCENARIO.format(users=users, rate_per_user=steps.first / users, stages=stages)
        (folder / "steps.toml").write_text(text)
        command = [sys.executable, "-m", "loadtests", "run", str(folder / "steps.toml"), "--out", name]
        env = {**os.environ, **settings}
        with subprocess.Popen(
            command, cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, process_group=0
        ) as process:
            seen, over = _Seen(), threading.Event()
            watchers = [
                threading.Thread(target=_watch, args=(process.pid, seen, over)),
                threading.Thread(target=_halt_when_broken, args=(process, folder, over)),
            ]
            for watcher in watchers:
                watcher.start()
            try:
                said = _read(process, seen)
            finally:
                over.set()
                for watcher in watchers:
                    watcher.join()
        windows = _windows(folder)
        if not windows:
            raise RuntimeError(f"the variant {dict(settings)} could not be run:\n{said}")
        return _judge(windows, steps, seen, folder)


def _read(process: "subprocess.Popen[str]", seen: _Seen) -> str:
    """Everything the run says; on the way, where the target is."""
    lines: list[str] = []
    killer = threading.Timer(LIMIT_S, lambda: process.send_signal(signal.SIGTERM))
    killer.start()
    for line in process.stdout or ():
        lines.append(line)
        if "ready at http" in line:
            seen.host = line.split("ready at ")[1].split()[0]
    killer.cancel()
    process.wait()
    return "".join(lines[-30:])


def _watch(pid: int, seen: _Seen, over: threading.Event) -> None:
    """Once a second: CPU of the stack's processes, and the API's metrics."""
    run = psutil.Process(pid)
    spent: dict[int, float] = {}
    while not over.wait(1.0):
        with suppress(psutil.Error):
            for process in run.children(recursive=True):
                with suppress(psutil.Error):
                    if not any(part in ("locust", "loadtests.orchestrate.guardian") for part in process.cmdline()):
                        spent[process.pid] = sum(process.cpu_times()[:2])
        seen.cpu.append((time.time(), sum(spent.values())))
        if seen.host:
            with suppress(OSError), urllib.request.urlopen(f"{seen.host}/metrics", timeout=2) as answer:
                seen.metrics = answer.read().decode()


def _halt_when_broken(process: "subprocess.Popen[str]", folder: Path, over: threading.Event) -> None:
    """What comes after a variant has broken costs time and says nothing."""
    while not over.wait(0.5):
        last = [_p95_s([window]) for window in _windows(folder)[-3:]]
        if len(last) == 3 and min(last) > BROKEN_S:
            process.send_signal(signal.SIGINT)
            return


def _windows(folder: Path) -> list[Window]:
    files = [file for file in folder.glob("*/windows.jsonl") if not file.parent.is_symlink()]
    found: list[Window] = []
    for file in files:
        # The last line may be in the writing.
        lines = [line for line in file.read_text().splitlines(keepends=True) if line.endswith("\n")]
        found += [Window.from_json(json.loads(line)) for line in lines]
    return found


def answers_of(folder: Path, from_s: int) -> float:
    """Answers per second of the run in the folder, from that second on; the last second is not whole."""
    windows = [window for window in _windows(folder) if window.number >= from_s][:-1]
    return sum(window.total(without=AUTH_SERIES).ok for window in windows) / len(windows)


def _whole(windows: Sequence[Window]) -> Series:
    whole = Series()
    for window in windows:
        whole.merge(window.total(without=AUTH_SERIES))
    return whole


def _p95_s(windows: Sequence[Window]) -> float:
    whole = _whole(windows)
    return whole.response_time.quantile(0.95) / 1e6 if whole.response_time.count else 0.0


def _judge(windows: Sequence[Window], steps: Steps, seen: _Seen, folder: Path) -> StepRun:
    """Steps are judged from their second second on: the first one still carries what was before.

    One step may fail for what else the machine does; two in a row are the end, once one has held.
    """
    best: tuple[float, float, list[Window]] = (0.0, 0.0, [])
    missed = 0
    for number, rate in enumerate(steps.rates):
        begin = steps.warm_up_s + number * steps.step_s
        part = [window for window in windows if begin + 1 <= window.number < begin + steps.step_s]
        if len(part) < steps.step_s - 1 or (missed >= 2 and best[0]):
            break
        answered, p95 = _whole(part).ok, _p95_s(part)
        # Users have their own phases: few requests come in varying numbers, as Poisson's do.
        fewest = ANSWERED * rate * len(part) - 3 * math.sqrt(rate * len(part))
        if p95 >= P95_S or answered < fewest:
            missed += 1
        else:
            best, missed = (answered / len(part), p95, part), 0
    rate, p95, part = best
    counts = _counters(seen.metrics)
    lists = float(sum(window.series["list_tasks"].ok for window in windows if "list_tasks" in window.series))
    return StepRun(
        rate,
        p95 * 1000,
        _cpu_us(part, seen, folder),
        counts["statements"] / counts["requests"] if counts["requests"] else 0.0,
        _connections(folder),
        lists,
        counts["list_statements"],
    )


def _counters(text: str) -> dict[str, float]:
    """Requests of the two endpoints and statements of the API, as the API's own metrics have them."""
    counts = {"requests": 0.0, "statements": 0.0, "list_statements": 0.0}
    for name, labels, value in _SAMPLE.findall(text):
        if name == "http_requests_total" and 'endpoint="/api/v1/tasks"' in labels:
            counts["requests"] += float(value)
        elif name == "agenthq_db_statements_total" and not any(f'"{one}"' in labels for one in _WORKERS):
            counts["statements"] += float(value)
            if '"list_tasks' in labels:
                counts["list_statements"] += float(value)
    return counts


def _cpu_us(part: Sequence[Window], seen: _Seen, folder: Path) -> float:
    if not part or len(seen.cpu) < 2:
        return 0.0
    events = next(path for path in folder.glob("*/events.jsonl") if not path.parent.is_symlink()).read_text().splitlines()
    epoch = next(event["epoch"] for event in map(json.loads, events) if event["event"] == "start")
    begin, end = epoch + part[0].number, epoch + part[-1].number + 1
    used = _at(seen.cpu, end) - _at(seen.cpu, begin)
    return used / max(1, _whole(part).ok) * 1e6


def _at(samples: Sequence[tuple[float, float]], moment: float) -> float:
    """CPU seconds at the moment, between the samples around it."""
    for (t0, c0), (t1, c1) in pairwise(samples):
        if t0 <= moment <= t1:
            return c0 + (c1 - c0) * (moment - t0) / (t1 - t0)
    return samples[-1][1] if moment > samples[-1][0] else samples[0][1]


def _connections(folder: Path) -> int:
    most = 0.0
    for path in folder.glob("*/probes.jsonl"):
        for line in path.read_text().splitlines():
            most = max([most, *(value for name, _, value in json.loads(line)["samples"] if name == "db_connections")])
    return int(most)
