"""Plays scenarios over the HTTP client in a process of its own, for importing gevent patches it (gevent_driver.py)."""

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.raw_server import RawServer, Script, raw_server

ROOT = Path(__file__).parents[1]


class Done(NamedTuple):
    """A request, as the sink was told of it."""

    method: str
    name: str
    response_us: int
    service_us: int
    received: int
    kind: str | None
    """The name of its failure."""


@dataclass
class Played:
    """What a scenario came to."""

    out: dict[str, Any]
    done: list[Done]
    opened: int
    """Connections."""

    @property
    def kinds(self) -> list[str | None]:
        """How the requests failed, in order."""
        return [done.kind for done in self.done]


class Lab:
    """A process that plays one scenario after the other."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def play(self, code: str, server: RawServer | str = "", **arguments: object) -> Played:
        """Play a scenario; `url` in it is the server's.

        Whatever the scenario is about: each `sent` must have exactly one `done`, and no socket or file may be left.
        """
        url = server if isinstance(server, str) else server.url
        assert self._process.stdin is not None and self._process.stdout is not None
        asked = {"code": textwrap.dedent(code), "arguments": {"url": url, **arguments}}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the process with the client has died"
        answer = json.loads(line)
        assert answer["raised"] is None, answer["raised"]
        assert answer["faults"] == []
        assert answer["sent"] == len(answer["done"]), "a request was sent and its end never recorded"
        left = {name: answer[name] for name in ("open_when_closed", "open_when_collected", "files_left")}
        assert not any(left.values()), f"sockets or files are left: {left}"
        return Played(answer["out"], [Done(*done) for done in answer["done"]], answer["opened"])


@contextmanager
def running_lab(errors: Path) -> Iterator[Lab]:
    """The process; it must end by itself, and have nothing to complain of."""
    command = [sys.executable, "-m", "gevent.monkey", str(ROOT / "tests" / "gevent_driver.py")]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (
        errors.open("w") as said,
        subprocess.Popen(command, env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said) as process,
    ):
        try:
            yield Lab(process)
            assert process.stdin is not None
            process.stdin.close()
            assert process.wait(10) == 0
        finally:
            process.kill()
    assert "Exception ignored" not in errors.read_text(), errors.read_text()


FAILING = """
session = make(**limits)
begun = now()
made = Prepared(method, "/", name="made")
response = session.request(method, "/", **kwargs) if face else session.send(made, kwargs.get("data", "").encode() or None)
out["s"], out["open"] = now() - begun, network.sockets.open
out["shown"] = [response.status_code, response.failure_kind, response.content]
out["said"] = [response.ok, response.text, response.headers, type(response.error).__name__, str(response.error)]
out["heard"] = [event["exception"] is response.error for event in events]
"""
BOTH = pytest.mark.parametrize("face", [True, False], ids=["session", "prepared"])


def fail(lab: Lab, face: bool, *scripts: Script, method: str = "GET", data: str = "", **limits: Any) -> Played:
    """One request that fails: nothing is raised, the response is empty, all are told once."""
    with raw_server(*scripts) as server:
        return fail_at(lab, face, server.url, method, data, **limits)


def fail_at(lab: Lab, face: bool, url: str, method: str = "GET", data: str = "", **limits: Any) -> Played:
    """The same, wherever it goes."""
    kwargs = {"data": data} if data else {}
    played = lab.play(FAILING, url, face=face, method=method, kwargs=kwargs, limits=limits)
    assert played.out["shown"] == [0, played.kinds[0], None]
    assert played.out["said"][:3] == [False, None, None]
    assert played.out["heard"] == [True] and len(played.done) == 1 and played.done[0].received == 0
    return played
