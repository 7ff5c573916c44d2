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
SCENARIO = """
name = "limited"
[load]
users = 75
duration = "10s"
ramp_up = "2s"
[[mix]]
journey = "list_tasks"
[objectives]
fast = "response_time.p95 < 400ms"
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
    """A file with the scenario."""
    (tmp_path / "limited.toml").write_text(SCENARIO)
    return str(tmp_path / "limited.toml")


def record(out: Path) -> tuple[Path, dict[str, Any]]:
    """The search's folder and what stands in its file."""
    (folder,) = [path for path in out.iterdir() if "-capacity-limited-" in path.name]
    data: dict[str, Any] = json.loads((folder / "capacity.json").read_text())
    return folder, data


def test_the_capacity_of_a_server_is_found(out: Path, tmp_path: Path) -> None:
    """Below it passes and is confirmed, above it fails twice, what broke is named; each step is a run like any other."""
    with limited_server() as host:
        flags = (
            "--host",
            host,
            "--step",
            "2s",
            "--plateau",
            "3s",
            "--precision",
            "100%",
            "--tries",
            "2",
            "--out",
            str(out),
            "--json",
        )
        finished = loadtest("capacity", scenario(tmp_path), *flags, out=out)
    assert finished.code == 0, finished.output + finished.errors
    folder, data = record(out)
    assert json.loads(finished.output) == data
    tried = [(step["rate"], step["plateau"], step["passed"]) for step in data["steps"]]
    # What failed once and passed then is a busy machine's stumble, and changes no answer.
    assert (tried.count((75, False, True)), tried.count((150, False, False)), tried[-1]) == (1, 2, (75, True, True))
    answer = data["answer"]
    assert (answer["kind"], answer["interval"], answer["confirmed_by"]) == ("confirmed", [75, 150], len(tried))
    assert answer["first_to_break"]["name"] == "fast" and answer["short_party"] == "target"
    for step in data["steps"]:
        assert json.loads((folder / step["folder"] / "verdict.json").read_text())["verdict"] == step["verdict"]
    assert "CAPACITY: 75/s, confirmed over 3 s" in finished.errors
    assert (folder / "capacity.html").read_text().count("<circle") == 2 * len(tried)


def test_an_interrupted_search_says_what_it_knows(out: Path, tmp_path: Path) -> None:
    """Ctrl-C ends the run that is under way; exit code 130, and nothing is left behind."""
    with limited_server() as host:
        arguments = ("capacity", scenario(tmp_path), "--host", host, "--out", str(out))
        command = Command(out, arguments).start()
        deadline = time.monotonic() + 60
        while not any(file.read_bytes() for file in out.glob("*/steps/*/windows.jsonl")):
            assert time.monotonic() < deadline and command.process.poll() is None, command.process.communicate()
            time.sleep(0.05)
        command.process.send_signal(signal.SIGINT)
        finished = command.finish()
    assert finished.code == 130, finished.output + finished.errors
    folder, data = record(out)
    assert (data["trouble"], data["answer"]["kind"], data["answer"]["rate"]) == ("interrupted", "unfinished", None)
    assert "CAPACITY: unknown" in finished.output
    assert len(list(folder.glob("steps/2*/verdict.json"))) == 1
    assert command.left_behind(within_s=2.0) == []
