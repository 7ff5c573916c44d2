"""What the master costs by the number of its workers, which report every second: results/master.json, docs/big-loads.md."""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.big_loads_render import render
from benchmarks.engine import HERE, LOCUSTFILE
from benchmarks.machine import GENERATOR_CORE, SERVER_CORE, describe
from benchmarks.tools import LOCUST
from loadtests.settings import JWT_SECRET
from loadtests.store.windows import read_windows

COUNTS = (1, 4, 16, 64)
RATE = 2_000
"""Requests per second of each worker; what the master uses goes by workers and their endpoints, and by accepted tasks."""
RESULT, SIZES = HERE / "results" / "master.json", HERE / "results" / "sizes.json"
PAGE = HERE.parent / "docs" / "big-loads.md"


def main() -> None:
    """Measure each number of workers a few times, and write the medians and the line through them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="the median of so many counts (default: 3)")
    parser.add_argument("--seconds", type=int, default=15, help="of load in each (default: 15)")
    options = parser.parse_args()

    def measured(workers: int, accepted: bool = False) -> dict[str, float]:
        rounds = [cost_of_master(workers, RATE, options.seconds, accepted) for _ in range(options.rounds)]
        found = {"workers": workers} | {name: round(statistics.median(one[name] for one in rounds), 4) for name in rounds[0]}
        print(found, file=sys.stderr, flush=True)
        return found

    rows = [measured(workers) for workers in COUNTS]
    with_tasks, tasks = measured(COUNTS[-1], accepted=True), COUNTS[-1] * RATE // 4
    line = statistics.linear_regression(COUNTS, [row["cpu_cores"] for row in rows])
    result = {
        "measured": {**describe(), "date": time.strftime("%Y-%m-%d"), "rounds": options.rounds, "seconds": options.seconds},
        "rate_per_worker": RATE,
        "masters": rows,
        "accepted": {**with_tasks, "task_us": round((with_tasks["cpu_cores"] - rows[-1]["cpu_cores"]) / tasks * 1e6, 2)},
        "slope": {"worker": round(line.slope, 6), "base": round(line.intercept, 6)},
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    PAGE.write_text(render(json.loads(SIZES.read_text())))


def cost_of_master(workers: int, rate_per_worker: int, seconds: int, accepted: bool) -> dict[str, float]:
    """Cores and memory (MB) that the master uses while so many workers at this rate send a snapshot a second.

    With the tasks that were `accepted`, a quarter of the requests, when they see no folder of their own to write them down.
    Raises RuntimeError when the master fails, or when it did not get every worker's snapshot of every second.
    """
    with tempfile.TemporaryDirectory(prefix="loadtest-bench-") as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        env = {
            **os.environ,
            "PYTHONPATH": str(HERE.parent),
            JWT_SECRET: "benchmark-" + "0" * 32,
            "LOADTEST_DURATION": f"{seconds}s",
            "LOADTEST_USERS": str(workers),
        }
        scenario = ["--scenario", str(HERE / "scenarios" / "scaling.toml"), "--host", "http://127.0.0.1:1"]
        listen = ["--headless", "--master", "--expect-workers", str(workers), "--master-bind-port", str(port)]
        master = ["taskset", "-c", str(SERVER_CORE), *LOCUST, "-f", str(LOCUSTFILE), *listen, "--only-summary", *scenario]
        fakes = [sys.executable, str(HERE / "locustfiles" / "many_workers.py"), str(port), str(workers)]
        reporting = ["taskset", "-c", str(GENERATOR_CORE), *fakes, str(rate_per_worker), str(seconds), str(int(accepted))]
        with (Path(folder) / "log").open("w") as log:
            processes = [subprocess.Popen(one, cwd=folder, env=env, stdout=log, stderr=log) for one in (master, reporting)]
            try:
                cost = _watch(processes[0], Path(folder))
                for process in processes:
                    process.wait(timeout=seconds + 60)
            finally:
                for process in processes:
                    if process.poll() is None:
                        process.kill()
                        process.wait()
        if processes[0].returncode:
            raise RuntimeError(f"the master failed: {(Path(folder) / 'log').read_text()[-2000:]}")
        _all_heard(Path(folder), workers)
        return cost


def _watch(master: "subprocess.Popen[bytes]", folder: Path) -> dict[str, float]:
    """Mean share of a core from the first window to the last, and the largest resident memory."""
    watched, shares, rss = psutil.Process(master.pid), list[float](), 0
    while master.poll() is None:
        time.sleep(1.0)
        windows = list(folder.glob("results/*/windows.jsonl"))
        try:
            share, rss = watched.cpu_percent() / 100, max(rss, watched.memory_info().rss)
        except psutil.Error:
            break
        if windows and windows[0].stat().st_size:
            shares.append(share)
    # The first covers the seconds before, the last the end.
    return {"cpu_cores": statistics.mean(shares[1:-1]) if len(shares) > 2 else 0.0, "rss_mb": rss / 1e6}


def _all_heard(folder: Path, workers: int) -> None:
    """A cost is that of so many workers only if all of them were heard in every second."""
    (path,) = folder.glob("results/*/windows.jsonl")
    short = [window.number for window in read_windows(path) if len(window.workers) != workers]
    if short:
        raise RuntimeError(f"not all of {workers} workers were heard in the seconds {short}")


if __name__ == "__main__":
    main()
