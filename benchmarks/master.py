"""What the master costs: fifty workers report to it every second."""

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.engine import HERE, LOCUSTFILE
from benchmarks.machine import GENERATOR_CORE, SERVER_CORE
from benchmarks.tools import LOCUST
from loadtests.settings import JWT_SECRET

WORKERS = 50


def master_cores(rate_per_worker: int, seconds: int) -> float:
    """Cores that the master uses while WORKERS workers at this rate send a snapshot a second."""
    with tempfile.TemporaryDirectory(prefix="loadtest-bench-") as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        env = {
            **os.environ,
            "PYTHONPATH": str(HERE.parent),
            JWT_SECRET: "benchmark-" + "0" * 32,
            "LOADTEST_DURATION": f"{seconds}s",
            "LOADTEST_USERS": str(WORKERS),
        }
        scenario = ["--scenario", str(HERE / "scenarios" / "scaling.toml"), "--host", "http://127.0.0.1:1"]
        listen = ["--headless", "--master", "--expect-workers", str(WORKERS), "--master-bind-port", str(port)]
        master = ["taskset", "-c", str(SERVER_CORE), *LOCUST, "-f", str(LOCUSTFILE), *listen, "--only-summary", *scenario]
        fakes = [sys.executable, str(HERE / "locustfiles" / "many_workers.py"), str(port), str(WORKERS)]
        workers = ["taskset", "-c", str(GENERATOR_CORE), *fakes, str(rate_per_worker), str(seconds)]
        with (Path(folder) / "log").open("w") as log:
            processes = [subprocess.Popen(one, cwd=folder, env=env, stdout=log, stderr=log) for one in (master, workers)]
            try:
                cores = _watch(processes[0], Path(folder))
                for process in processes:
                    process.wait(timeout=seconds + 60)
            finally:
                for process in processes:
                    if process.poll() is None:
                        process.kill()
                        process.wait()
        if processes[0].returncode:
            raise RuntimeError(f"the master failed: {(Path(folder) / 'log').read_text()[-2000:]}")
        return cores


def _watch(master: "subprocess.Popen[bytes]", folder: Path) -> float:
    """Mean share of a core from the first window to the last."""
    watched, shares = psutil.Process(master.pid), []
    while master.poll() is None:
        time.sleep(1.0)
        windows = list(folder.glob("results/*/windows.jsonl"))
        try:
            share = watched.cpu_percent() / 100
        except psutil.Error:
            break
        if windows and windows[0].stat().st_size:
            shares.append(share)
    # The first covers the seconds before, the last the end.
    return statistics.mean(shares[1:-1]) if len(shares) > 2 else 0.0
