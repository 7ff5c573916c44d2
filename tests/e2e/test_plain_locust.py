"""`locust -f loadtests/locustfile.py` works without the command: headless, and with its web UI."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.e2e.command import ROOT, loadtest
from tests.e2e.conftest import HOSTED, Target


@contextmanager
def _locust(*arguments: str, cwd: Path, env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "locust", "-f", str(ROOT / "loadtests" / "locustfile.py"), *arguments]
    with subprocess.Popen(
        command,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **env},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def _only_run(folder: Path) -> Path:
    (path,) = [path for path in (folder / "results").iterdir() if not path.is_symlink()]
    return path


def test_headless(target: Target, tmp_path: Path) -> None:
    """A headless run of one process writes a folder that `loadtest verdict` judges, and Locust's own statistics agree."""
    arguments = ("--headless", "--scenario", HOSTED, "--host", target.host, "-u", "10", "--json-file", "own")
    env = {**target.env, "LOADTEST_DURATION": "4s"}
    with _locust(*arguments, cwd=tmp_path, env=env) as locust:
        said, _ = locust.communicate(timeout=60)
    assert locust.returncode == 0, said
    judged = loadtest("verdict", str(_only_run(tmp_path)), out=tmp_path)
    # Tasks are followed by `loadtest run` alone, so the objective on them has no data, which is a failure.
    assert re.search(r"^FAIL +task_success", judged.output, re.MULTILINE), judged.output
    assert "VERDICT: FAIL" in judged.output, judged.output
    summary = json.loads((_only_run(tmp_path) / "summary.json").read_text())
    assert summary["users"] == 10
    own = json.loads((tmp_path / "own.json").read_text())
    assert sum(entry["num_requests"] for entry in own) == summary["requests"]


def test_web_ui(target: Target, tmp_path: Path) -> None:
    """From the web UI the number of users is the engineer's; the run ends by itself and the UI stays."""
    requests: dict[int, int] = {}
    arguments = ("--scenario", HOSTED, "--host", target.host, "--web-port", "8097")
    with _locust(*arguments, cwd=tmp_path, env={**target.env, "LOADTEST_DURATION": "3s"}) as locust:
        _eventually(lambda: _get("/").startswith("<!doctype html>") or "<html" in _get("/").lower())
        listening = [one.laddr for one in psutil.Process(locust.pid).net_connections() if one.status == psutil.CONN_LISTEN]
        assert listening == [("127.0.0.1", 8097)], "other machines see the page only where that was asked for"
        for users in (6, 4):  # the engineer may start a second test from the same page
            _swarm(users, target.host)
            _eventually(lambda: json.loads(_get("/stats/requests"))["state"] == "running")
            _eventually(lambda: json.loads(_get("/stats/requests"))["state"] == "stopped")
            stats = json.loads(_get("/stats/requests"))["stats"]
            requests[users] = {row["name"]: row["num_requests"] for row in stats}["Aggregated"]
    runs = [path for path in (tmp_path / "results").iterdir() if not path.is_symlink()]
    assert len(runs) == 2
    for path in runs:
        judged = loadtest("verdict", str(path), out=tmp_path)
        assert "INVALID" not in judged.output, judged.output
        summary = json.loads((path / "summary.json").read_text())
        assert summary["requests"] == requests.pop(summary["users"])


def _swarm(users: int, host: str) -> None:
    data = urllib.parse.urlencode({"user_count": users, "spawn_rate": users, "host": host}).encode()
    with urllib.request.urlopen("http://127.0.0.1:8097/swarm", data=data, timeout=5) as answer:
        assert json.load(answer)["success"]


def _get(path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:8097{path}", timeout=5) as answer:
        return str(answer.read().decode())


def _eventually(condition: Callable[[], bool], within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise AssertionError("did not become true in time")
