"""The generator's own trial: what is wrong with it is found, and the verdict says what; what can be taken out is taken out."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.command import Command, run
from tests.e2e.conftest import HOSTED, Target

pytestmark = pytest.mark.alone

HOUR_AHEAD = """
import os, time
if os.environ.get("LOADTEST_WORKER_NAME") == "worker-2":
    true_time = time.time
    time.time = lambda: true_time() + 3600
"""
STARVERS = 3
"""Busy loops beside a worker that gives way to each of them."""


def test_clock_that_is_an_hour_off(target: Target, out: Path, tmp_path: Path) -> None:
    """Its offset is measured and taken out: tokens are good, times of tasks are true, the run counts, and a note says so."""
    (tmp_path / "sitecustomize.py").write_text(HOUR_AHEAD)
    env = {**target.env, "PYTHONPATH": str(tmp_path)}
    arguments = (HOSTED, "--users", "20", "--duration", "4s", "--workers", "2", "--host", target.host)
    finished = run(*arguments, out=out, env=env).finish()
    verdict, summary = finished.json("verdict.json"), finished.json("summary.json")
    assert _failed(verdict) == [], finished.output
    assert summary["failures"] == 0
    assert summary["task_processing_ms"]["max"] < 600_000
    assert verdict["notes"][-1] == "worker-2's clock is 3,600 s ahead; taken out"
    (clock,) = [check for check in verdict["health"] if check["name"] == "clock"]
    assert clock["observed"] < 0.1


def test_frozen_worker(target: Target, out: Path, tmp_path: Path) -> None:
    """A worker stopped for longer than declared is lost: invalid, it is named, the command ends, nothing is left."""
    scenario = tmp_path / "hosted.toml"
    scenario.write_text(Path(HOSTED).read_text() + '\n[health]\nsilence = "2s"\n')
    arguments = (str(scenario), "--users", "30", "--duration", "20s", "--workers", "2", "--host", target.host)
    command = run(*arguments, out=out, env=target.env)
    command.wait_for_window(1)
    worker = _worker(command, "worker-2")
    worker.send_signal(signal.SIGSTOP)
    time.sleep(5.0)
    worker.send_signal(signal.SIGCONT)
    finished = command.finish(timeout_s=60)
    assert finished.code == 3, finished.output + finished.errors
    verdict = finished.json("verdict.json")
    assert verdict["verdict"] == "invalid"
    # What stopped the run, and the worker that did: the same trouble, and no other.
    assert _failed(verdict) == ["complete", "workers"], finished.output
    told = {check["name"]: check["observed_text"] for check in verdict["health"]}
    assert "worker-2 was lost" in told["complete"]
    assert told["workers"].startswith("worker-2 stopped answering")
    assert finished.json("ledger.json")["balanced"]
    assert command.left_behind(within_s=2.0) == []


def test_starved_generator(target: Target, out: Path) -> None:
    """Others take a worker's core: its turns are late through its own fault, so the run is invalid and says so."""
    command = run(HOSTED, "--users", "100", "--duration", "7s", "--host", target.host, out=out, env=target.env)
    command.wait_for_window(1)
    with _starved(_worker(command, "worker-1")):
        finished = command.finish(timeout_s=60)
    assert finished.code == 3, finished.output + finished.errors
    assert {"lateness", "loop_lag", "cpu", "workers"} & set(_failed(finished.json("verdict.json"))), finished.output
    assert command.left_behind(within_s=2.0) == []


def _worker(command: Command, name: str) -> psutil.Process:
    (found,) = [one for one in command.processes("--worker") if one.environ()["LOADTEST_WORKER_NAME"] == name]
    return found


@contextmanager
def _starved(process: psutil.Process) -> Iterator[None]:
    (core, *_) = process.cpu_affinity()
    process.cpu_affinity([core])
    process.nice(19)
    # Where each session has its own share of the processor, it is the session that must give way.
    group = Path(f"/proc/{process.pid}/autogroup")
    if group.exists():
        group.write_text("19")
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(STARVERS)]
    try:
        for loop in loops:
            psutil.Process(loop.pid).cpu_affinity([core])
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def _failed(verdict: dict[str, Any]) -> list[str]:
    return [check["name"] for check in verdict["health"] if check["status"] == "fail"]
