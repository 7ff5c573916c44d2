"""Whole runs of the harness: a Locust master and workers with a scenario, each pinned, and what their windows say."""

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.machine import SERVER_CORE
from benchmarks.tools import LOCUST
from loadtests.measure.histogram import Histogram
from loadtests.settings import JWT_SECRET
from loadtests.units import parse_duration

HERE = Path(__file__).parent
LOCUSTFILE = HERE.parent / "loadtests" / "locustfile.py"
MARGIN_S = 90.0


@dataclass(frozen=True)
class EngineRun:
    """What the windows of a run say of its steady seconds."""

    planned: int
    sent: int
    failed: int
    rate: float
    """Answers per second, steady part."""
    lateness_p99_ms: float
    p50_ms: float
    p99_ms: float
    cpu_cores: float
    """Of all workers together, steady part."""
    rss_mb: float
    """Largest of any worker."""
    connections: int
    users: int

    @property
    def cpu_us(self) -> float:
        """CPU of the workers per request."""
        return self.cpu_cores / self.rate * 1e6


def run_scenario(
    name: str, host: str, cores: Sequence[int], duration_s: float, users: int | None = None, influx: str | None = None
) -> EngineRun:
    """Run a scenario with a worker on each of `cores`, the master beside the target. Raises RuntimeError when it fails.

    `influx` is where its metrics go meanwhile, carried by a process beside the target.
    """
    with tempfile.TemporaryDirectory(prefix="loadtest-bench-") as folder:
        env = {
            **os.environ,
            "PYTHONPATH": str(HERE.parent),
            JWT_SECRET: "benchmark-" + "0" * 32,
            "LOADTEST_DURATION": f"{duration_s:g}s",
        }
        if users is not None:
            env["LOADTEST_USERS"] = str(users)
        base = [*LOCUST, "-f", str(LOCUSTFILE)]
        scenario = ["--scenario", str(HERE / "scenarios" / f"{name}.toml"), "--host", host]
        master = [*base, "--headless", "--master", "--expect-workers", str(len(cores)), "--only-summary", *scenario]
        commands = [(SERVER_CORE, master), *((core, [*base, "--worker"]) for core in cores)]
        log = Path(folder) / "log"
        with log.open("w") as said:
            started = [
                subprocess.Popen(["taskset", "-c", str(core), *command], cwd=folder, env=env, stdout=said, stderr=said)
                for core, command in commands
            ]
            try:
                if influx is not None:
                    started.append(_uploader(_run_folder(Path(folder)), influx))
                for process in started[: len(commands)]:
                    process.wait(timeout=duration_s + MARGIN_S)
            finally:
                for process in started:
                    if process.poll() is None:
                        process.send_signal(signal.SIGKILL)
                        process.wait()
        runs = [path for path in (Path(folder) / "results").glob("*/windows.jsonl") if not path.parent.is_symlink()]
        if not runs:
            raise RuntimeError(f"{name}: the run wrote nothing: {log.read_text()[-2000:]}")
        if influx is not None and not (runs[0].parent / "upload.json").exists():
            raise RuntimeError(f"{name}: nothing was delivered to {influx}")
        return _read(runs[0])


def _run_folder(folder: Path) -> Path:
    deadline = time.monotonic() + MARGIN_S
    while not (found := list(folder.glob("results/*/manifest.json"))):
        if time.monotonic() > deadline:
            raise RuntimeError("the run made no folder")
        time.sleep(0.1)
    return found[0].parent


def _uploader(run: Path, influx: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "loadtests", "upload", str(run), "--follow", "--influx", influx]
    pinned = ["taskset", "-c", str(SERVER_CORE), "nice", "-n", "10", *command]
    return subprocess.Popen(pinned, cwd=HERE.parent, stdout=subprocess.DEVNULL)


def _read(path: Path) -> EngineRun:
    windows = [json.loads(line) for line in path.read_text().splitlines()]
    plan = json.loads((path.parent / "manifest.json").read_text())["plan"]["scenario"]["load"]
    ramp_s, total_s = _seconds(plan["ramp_up"]), _seconds(plan["duration"])
    steady = [window for window in windows if ramp_s <= window["window"] < int(total_s) - 1]
    lateness, response = Histogram(), Histogram()
    for window in steady:
        lateness.merge(Histogram.from_json(window["lateness"]))
        for series in window["series"].values():
            response.merge(Histogram.from_json(series["response_time"]))
    return EngineRun(
        planned=sum(window["counts"]["scheduled"] for window in windows),
        sent=sum(window["counts"]["sent"] for window in windows),
        failed=sum(sum(series["failures"].values()) for window in windows for series in window["series"].values()),
        rate=sum(series["ok"] for window in steady for series in window["series"].values()) / len(steady),
        lateness_p99_ms=lateness.quantile(0.99) / 1e3,
        p50_ms=response.quantile(0.5) / 1e3,
        p99_ms=response.quantile(0.99) / 1e3,
        cpu_cores=statistics.mean(sum(worker["cpu"] for worker in window["workers"].values()) for window in steady),
        rss_mb=max(worker["rss_bytes"] for window in windows for worker in window["workers"].values()) / 1e6,
        connections=sum(window["counts"]["connections"] for window in windows),
        users=plan["users"],
    )


def _seconds(text: Any) -> float:
    return parse_duration(text) if isinstance(text, str) else float(text)
