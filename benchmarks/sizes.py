"""What a second of a run weighs by workers and endpoints: messages, the run's folder, points, and the master's work on them.

    python -m benchmarks.sizes [--run results/RUN]

Nothing is sent anywhere: recorders are filled as a worker of that rate fills them, and what they give is encoded, merged and
written by the harness's own code. `--run` takes the bytes that a request is answered with from a run; without it they
stay those of the last time. Writes results/sizes.json and docs/big-loads.md.
"""

import argparse
import json
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import linear_regression
from typing import Any
from uuid import UUID

import msgpack  # type: ignore[import-untyped] # it has no annotations

from benchmarks.big_loads_render import render
from benchmarks.machine import describe
from loadtests.engine.messages import SNAPSHOT
from loadtests.engine.recorder import Recorder
from loadtests.measure.snapshot import Accepted, Gauges, Snapshot
from loadtests.measure.window import Window
from loadtests.sinks.points import PointMaker
from loadtests.store.windows import WindowWriter, read_windows

RESULTS = Path(__file__).with_name("results")
PAGE = Path(__file__).parents[1] / "docs" / "big-loads.md"
WORKERS = (1, 4, 16, 64)
ENDPOINTS = (2, 8, 20)
RATES = (1_000, 10_000)
TASKS = 1_000
SECONDS = 5
DIFFERENT = 4
"""Workers whose figures differ; more of them repeat these."""
GAUGES = Gauges(users=10_000, in_flight=12, cpu=0.42, loop_lag_us=1480, sockets=10_000, rss_bytes=226_100_000)


def main() -> int:
    """Measure, write both files."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--run", type=Path, help="a run's folder")
    run = arguments.parse_args().run
    path = RESULTS / "sizes.json"
    seconds = [second(workers, endpoints) for endpoints in ENDPOINTS for workers in WORKERS]
    found: dict[str, Any] = {
        "measured": {**describe(), "date": time.strftime("%Y-%m-%d")},
        "snapshot_bytes": {str(rate): {str(n): message_bytes(n, rate) for n in ENDPOINTS} for rate in RATES},
        "task_bytes": task_bytes(),
        "seconds": seconds,
        "slopes": slopes(seconds),
        "answers": answers(run) if run else json.loads(path.read_text())["answers"],
    }
    path.write_text(json.dumps(found, indent=1) + "\n")
    PAGE.write_text(render(found))
    print(json.dumps(found["slopes"], indent=1))
    return 0


def recorded(worker: int, endpoints: int, rate: int, accepted: int = 0) -> dict[str, Any]:
    """The message of a worker that had `rate` requests in the second, spread over the endpoints."""
    recorder, rng = Recorder(worker), random.Random(worker)
    for number in range(rate):
        recorder.sent(True)
        service_us = int(rng.lognormvariate(7.5, 0.7))
        recorder.done("GET", f"endpoint_{number % endpoints:02}", service_us + 50, service_us, 300, None)
        recorder.late(int(rng.lognormvariate(4.5, 0.6)))
    for number in range(accepted):
        task = str(UUID(int=rng.getrandbits(128)))
        recorder.accepted(Accepted(task, number, rng.uniform(0, 60), rng.uniform(0, 60), "create_task"))
    return recorder.take(0, GAUGES)


def message_bytes(endpoints: int, rate: int) -> int:
    """Length of the snapshot's message as Locust encodes it."""
    return len(_packed(recorded(0, endpoints, rate)))


def task_bytes() -> float:
    """What one accepted task adds to it, where the worker keeps them not in a file."""
    return round((len(_packed(recorded(0, 2, 100, TASKS))) - message_bytes(2, 100)) / TASKS, 1)


def second(workers: int, endpoints: int) -> dict[str, float]:
    """A second of the run: bytes of its window, points and bytes for InfluxDB, CPU seconds of the master for both."""
    packed = [_packed(recorded(worker, endpoints, 2_000)) for worker in range(min(workers, DIFFERENT))]
    maker = PointMaker("20261125T000000-phase5-0000", "phase5", 1.8e9)
    with tempfile.TemporaryDirectory(prefix="loadtest-sizes-") as folder:
        path = Path(folder) / "windows.jsonl"
        writer = WindowWriter(path)
        before = time.process_time()
        for number in range(SECONDS):
            writer.append(_merged(packed, workers, number))
        cpu_s = time.process_time() - before
        writer.close()
        size = path.stat().st_size
        (*_, window) = read_windows(path)
    lines = [point.to_line_protocol() for point in maker.window(window)]
    return {
        "workers": workers,
        "endpoints": endpoints,
        "window_bytes": round(size / SECONDS),
        "points": len(lines),
        "point_bytes": sum(len(line) + 1 for line in lines),
        "master_cpu_s": round(cpu_s / SECONDS, 6),
    }


def _merged(packed: list[bytes], workers: int, number: int) -> Window:
    """What the master does with the messages of a second."""
    window = Window(number)
    for worker in range(workers):
        _, message, _ = msgpack.unpackb(packed[worker % len(packed)], strict_map_key=False)
        window.add(Snapshot.from_json({**message, "worker": worker, "window": number}))
    return window


def _packed(message: dict[str, Any]) -> bytes:
    packed: bytes = msgpack.packb([SNAPSHOT, message, "worker-1"])
    return packed


def slopes(seconds: list[dict[str, float]]) -> dict[str, dict[str, dict[str, float]]]:
    """By endpoints and figure: what a worker adds, and what there is without one; least squares over the numbers of workers."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for endpoints in ENDPOINTS:
        rows = [row for row in seconds if row["endpoints"] == endpoints]
        for name in ("window_bytes", "points", "point_bytes", "master_cpu_s"):
            line = linear_regression([row["workers"] for row in rows], [row[name] for row in rows])
            found.setdefault(str(endpoints), {})[name] = {"worker": round(line.slope, 7), "base": round(line.intercept, 7)}
    return found


def answers(run: Path) -> dict[str, Any]:
    """Bytes that the requests of a run were answered with, heads and bodies."""
    traffic = list(_traffic(run))
    requests, received = (sum(column) for column in zip(*traffic, strict=True))
    return {"run": run.resolve().name, "requests": requests, "bytes_per_request": round(received / requests, 1)}


def _traffic(run: Path) -> Iterator[tuple[int, int]]:
    for window in read_windows(run / "windows.jsonl"):
        for by_name in window.traffic.values():
            yield from ((one.requests, one.bytes_received) for one in by_name.values())


if __name__ == "__main__":
    raise SystemExit(main())
