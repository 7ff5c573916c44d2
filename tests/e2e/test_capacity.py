"""The capacity search, with real runs against a server whose capacity is known."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.e2e.command import Command, loadtest

CAPACITY = 100
"""Requests that the server answers a second."""
JOURNEYS = """
from loadtests.traffic.journeys import journey

@journey
def look(user):
    user.client.get("/ok", name="look")
"""
SCENARIO = """
name = "limited"
journeys = ["looking.py"]
[load]
users = 60
duration = "10s"
ramp_up = "2s"
[[mix]]
journey = "look"
[objectives]
fast = "response_time.p95 < 250ms"
throughput = { objective = "rate >= 95% of 60/s", scale_with = "users" }
[health]
lateness_p99 = "1s"
"""


@contextmanager
def limited_server() -> Iterator[str]:
    """The address of a running server of that capacity."""
    command = [sys.executable, str(Path(__file__).with_name("limited_server.py")), str(CAPACITY)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None and server.stdin is not None
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
        server.stdin.close()


def scenario(tmp_path: Path) -> str:
    """A file with the scenario, its journey beside it."""
    (tmp_path / "looking.py").write_text(JOURNEYS)
    (tmp_path / "limited.toml").write_text(SCENARIO)
    return str(tmp_path / "limited.toml")


def record(out: Path) -> tuple[Path, dict[str, Any]]:
    """The search's folder and what stands in its file."""
    (folder,) = [path for path in out.iterdir() if "-capacity-limited-" in path.name]
    data: dict[str, Any] = json.loads((folder / "capacity.json").read_text())
    return folder, data


def test_the_capacity_of_a_server_is_found(out: Path, tmp_path: Path) -> None:
    """Below it passes and is confirmed, above it fails twice, and what broke is named; each step is a run that can be judged."""
    with limited_server() as host:
        flags = ("--host", host, "--step", "3s", "--plateau", "4s", "--precision", "100%", "--out", str(out), "--json")
        finished = loadtest("capacity", scenario(tmp_path), *flags, out=out)
    assert finished.code == 0, finished.output + finished.errors
    folder, data = record(out)
    assert json.loads(finished.output) == data
    tried = [(step["rate"], step["plateau"], step["passed"]) for step in data["steps"]]
    assert tried == [(60, False, True), (120, False, False), (120, False, False), (60, True, True)]
    answer = data["answer"]
    assert (answer["kind"], answer["interval"], answer["confirmed_by"]) == ("confirmed", [60, 120], 4)
    assert answer["first_to_break"]["name"] == "fast" and answer["short_party"] == "target"
    for step in data["steps"]:
        assert json.loads((folder / step["folder"] / "verdict.json").read_text())["verdict"] == step["verdict"]
    assert "CAPACITY: 60/s, confirmed over 4 s" in finished.errors
    assert (folder / "capacity.html").read_text().count("<circle") == 2 * 4


def test_an_interrupted_search_says_what_it_knows(out: Path, tmp_path: Path) -> None:
    """Ctrl-C ends the run that is under way; exit code 130, and nothing is left behind."""
    with limited_server() as host:
        arguments = ("capacity", scenario(tmp_path), "--host", host, "--step", "2s", "--out", str(out))
        command = Command(out, arguments).start()
        deadline = time.monotonic() + 60
        while len(list(out.glob("*/steps/2*/windows.jsonl"))) < 2:
            assert time.monotonic() < deadline and command.process.poll() is None, command.process.communicate()
            time.sleep(0.05)
        command.process.send_signal(signal.SIGINT)
        finished = command.finish()
    assert finished.code == 130, finished.output + finished.errors
    _, data = record(out)
    assert (data["trouble"], data["answer"]["kind"], data["answer"]["rate"]) == ("interrupted", "unfinished", 60)
    assert [step["rate"] for step in data["steps"]] == [60]
    assert "CAPACITY: 60/s, not confirmed" in finished.output
    assert command.left_behind(within_s=2.0) == []
