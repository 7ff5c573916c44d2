"""How `loadtest doctor` asks a server whether it is the InfluxDB that metrics are for."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from loadtests.orchestrate.doctor import metrics
from loadtests.orchestrate.doctor.metrics import ask_influx
from loadtests.sinks.address import Address


@contextmanager
def server(status: int, version: str | None) -> Iterator[tuple[str, list[str]]]:
    """A server that answers so, and the headers that it was sent."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            seen.append(f"{self.path} {self.headers}")
            self.send_response(status)
            if version:
                self.send_header("X-Influxdb-Version", version)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.server_port}", seen
        finally:
            listening.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "version", "api", "answer", "trouble"),
    [
        pytest.param(204, "1.8.10", "", "InfluxDB 1.8.10", "", id="one that says its version"),
        pytest.param(401, "1.8.10", "", "InfluxDB 1.8.10", "", id="one that lets nobody in"),
        pytest.param(204, None, "", None, "HTTP 204, which is no InfluxDB's answer", id="one that hides it"),
        pytest.param(204, None, "2", "it answers", "", id="hides it, and the API is named"),
        pytest.param(404, None, "2", None, "HTTP 404, which is no InfluxDB's answer", id="something else"),
        pytest.param(204, "planted-2", "", "InfluxDB ***", "", id="one that repeats a token"),
    ],
)
def test_what_answers(status: int, version: str | None, api: str, answer: str | None, trouble: str) -> None:
    """An InfluxDB, or not; it is sent no secret, and none is shown."""
    with server(status, version) as (url, seen):
        found = ask_influx(Address(url, "loadtest", api=api, user="me", password="planted-1", token="planted-2"))
    assert (found.answer, found.trouble) == (answer, trouble)
    assert len(seen) == 1
    assert seen[0].startswith("/ping ")
    assert "planted" not in seen[0] and "uthorization" not in seen[0]


def test_nobody_or_somebody_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """No traceback, and no long wait."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        assert "refused" in ask_influx(Address(url, "loadtest")).trouble
        bound.listen()
        monkeypatch.setattr(metrics, "TIMEOUT_S", 0.2)
        silent = ask_influx(Address(url, "loadtest"))
    assert silent.answer is None
    assert "timed out" in silent.trouble
