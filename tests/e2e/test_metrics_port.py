"""`/metrics` of a real run: scraped as Prometheus does, while it goes on."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.e2e.command import ROOT, free_port, run
from tests.e2e.conftest import HOSTED, Target
from tests.scraping import Scraped, of, scraped

GROWING = ("_total", "_bucket", "_count", "_sum")


def scrape(port: int) -> Scraped:
    """What is answered now."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        return scraped(answer.read())


def test_scraped_during_a_run(target: Target, out: Path) -> None:
    """Counters only grow, and never beyond what the run's summary says in the end; the port is closed with the run."""
    port = free_port()
    arguments = (HOSTED, "--users", "30", "--duration", "12s", "--workers", "2", "--metrics-port", str(port))
    command = run(*arguments, "--host", target.host, out=out, env=target.env)
    command.wait_for_window(3)
    first = scrape(port)
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)
    command.wait_for_window(8)
    last = scrape(port)
    finished = command.finish()
    assert finished.code == 0, finished.output + finished.errors
    assert f"metrics: http://127.0.0.1:{port}/metrics" in finished.output
    growing = [key for key in first if key[0].endswith(GROWING)]
    assert growing and all(first[key] <= last[key] for key in growing)
    assert of(last, "loadtest_run_info", run_id=finished.folder.name, scenario="hosted") == 1
    assert {dict(key[1])["worker"] for key in last if key[0] == "loadtest_worker_cpu_cores"} == {"0", "1"}
    assert of(last, "loadtest_users") == 30
    for name, whole in finished.json("summary.json")["series"].items():
        before, after = (of(found, "loadtest_requests_total", name=name, outcome="ok") for found in (first, last))
        assert 0 < before < after <= whole["requests"]
        assert of(last, "loadtest_response_time_seconds_count", name=name) <= whole["requests"]
    with pytest.raises(urllib.error.URLError):
        scrape(port)


@pytest.mark.parametrize("given", ["flag", "variable"])
def test_taken_port(out: Path, given: str) -> None:
    """A port where somebody listens already: one line and exit code 2, before anything is started."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        flag, env = (("--metrics-port", port), {}) if given == "flag" else ((), {"LOADTEST_METRICS_PORT": port})
        finished = run("smoke", *flag, out=out, env=env).finish()
    assert finished.code == 2
    assert (
        finished.errors == f"loadtest: --metrics-port {port}: is taken, or this user may not listen there; give another one\n"
    )
    assert not out.exists()


def test_not_the_stacks_port(out: Path) -> None:
    """The port is kept for /metrics before the stack chooses its own."""
    port = str(free_port())
    finished = run("smoke", "--api-port", port, "--metrics-port", port, out=out).finish()
    assert finished.code == 2
    assert finished.errors.startswith(f"loadtest: port {port} is taken; give another one")


def _locust(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "locust", "-f", str(ROOT / "loadtests" / "locustfile.py"), *arguments]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, cwd=cwd, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def test_plain_locust_on_a_taken_port(tmp_path: Path) -> None:
    """Without the command, too, it is one line and exit code 2."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        arguments = ("--headless", "--scenario", HOSTED, "--host", "http://127.0.0.1:9", "--metrics-port", port)
        with _locust(*arguments, cwd=tmp_path) as locust:
            said, _ = locust.communicate(timeout=60)
    assert locust.returncode == 2, said
    assert f"loadtest: --metrics-port {port}: cannot be listened on: Address already in use" in said


def test_route_of_the_web_ui(tmp_path: Path) -> None:
    """Locust's web UI answers under /metrics, and says nothing before a test has begun."""
    port = free_port()
    arguments = ("--scenario", HOSTED, "--host", "http://127.0.0.1:9", "--web-host", "127.0.0.1", "--web-port", str(port))
    with _locust(*arguments, cwd=tmp_path) as locust:
        try:
            deadline = time.monotonic() + 30
            while True:
                try:
                    assert scrape(port) == {}
                    break
                except OSError:
                    assert time.monotonic() < deadline, "the web UI did not answer in time"
                    time.sleep(0.1)
        finally:
            locust.terminate()
