"""An InfluxDB that does as it is told: keeps points as the real one does, and answers with whatever trouble a test wants.

Version 1 has `/write` and `/query`, version 2 has `/api/v2/write` and `/api/v2/buckets`. Before a real InfluxDB 1 (`behind`) it
passes what version 2's clients write on to it.
"""

import gzip
import json
import socket
import threading
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Trouble = Callable[["Handler", bytes], bool]
"""Answers a write in its own way (True), or leaves it to be done (False)."""
HOLD_S = 30.0


class FakeInflux:
    """A server on a port of its own, while it is entered; `trouble` is used up, one for each write."""

    def __init__(self, version: str = "1.8.10", behind: str | None = None, database: bool = True) -> None:
        self.version, self.behind, self.has_database = version, behind, database
        self.points: dict[str, str] = {}
        """Fields by measurement, tags and time."""
        self.trouble: deque[Trouble] = deque()
        self.always: Trouble | None = None
        """For every write that no other trouble meets."""
        self.writes = 0
        self.headers: list[dict[str, str]] = []
        self.closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.fake = self  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "FakeInflux":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def store(self, lines: bytes) -> None:
        """Keep points; one that is there already is replaced."""
        for line in lines.decode().split("\n"):
            series, _, time = line.rpartition(" ")
            key, _, fields = _split(series)
            self.points[f"{key} {time}"] = fields


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    @property
    def fake(self) -> FakeInflux:
        """The server's state."""
        found: FakeInflux = self.server.fake  # type: ignore[attr-defined]
        return found

    def do_GET(self) -> None:
        """`/ping`, and what the client of version 2 asks about buckets."""
        if urlsplit(self.path).path == "/ping":
            self.answer(204)
        else:
            self.answer(404, '{"message":"not found"}')

    def do_POST(self) -> None:
        """Writes, and making a database."""
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        path = urlsplit(self.path).path
        if path in ("/write", "/api/v2/write"):
            self._write(body, path)
        elif path == "/query" and "CREATE DATABASE" in parse_qs(body.decode()).get("q", [""])[0]:
            self.fake.has_database = True
            self.answer(200, '{"results":[{"statement_id":0}]}')
        elif path == "/api/v2/buckets":
            self.fake.has_database = True
            self.answer(201, json.dumps({"id": "1", "name": "loadtest", "retentionRules": [], "orgID": "0123456789abcdef"}))
        else:
            self.answer(404, '{"message":"not found"}')

    def _write(self, body: bytes, path: str) -> None:
        fake = self.fake
        fake.writes += 1
        fake.headers.append(dict(self.headers))
        lines = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
        trouble = fake.trouble.popleft() if fake.trouble else fake.always
        if trouble is not None and trouble(self, lines):
            return
        if not fake.has_database:
            self.answer(404, '{"error":"database not found: \\"loadtest\\""}')
            return
        if fake.behind is not None:
            self.answer(*_pass_on(fake.behind, lines))
            return
        fake.store(lines)
        self.answer(204)

    def answer(self, status: int, text: str = "", **headers: str) -> None:
        """A whole answer."""
        body = text.encode()
        self.send_response(status)
        self.send_header("X-Influxdb-Version", self.fake.version)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # its name there
        """Nothing."""


def refuse(status: int, text: str = "", **headers: str) -> Trouble:
    """Answers with a status."""

    def trouble(handler: Handler, _: bytes) -> bool:
        handler.answer(status, text, **headers)
        return True

    return trouble


def refuse_lines(containing: str) -> Trouble:
    """400 for a write that has a line with this text; all others are taken."""

    def trouble(handler: Handler, lines: bytes) -> bool:
        if containing.encode() in lines:
            handler.answer(400, '{"error":"partial write: field type conflict"}')
            return True
        return False

    return trouble


def refuse_more_than(lines_at_most: int) -> Trouble:
    """413 for a write with more lines."""

    def trouble(handler: Handler, lines: bytes) -> bool:
        if lines.count(b"\n") + 1 > lines_at_most:
            handler.answer(413, '{"error":"Request Entity Too Large"}')
            return True
        return False

    return trouble


def garbage(handler: Handler, _: bytes) -> bool:
    """No HTTP at all."""
    handler.wfile.write(b"\x00\xff\xfe garbage \r\n" * 50)
    handler.close_connection = True
    return True


def hang_up(handler: Handler, _: bytes) -> bool:
    """The connection is cut."""
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)
    return True


def endless(status: int) -> Trouble:
    """A body that does not end."""

    def trouble(handler: Handler, _: bytes) -> bool:
        handler.send_response(status)
        handler.end_headers()
        handler.close_connection = True
        try:
            while not handler.fake.closing.is_set():
                handler.wfile.write(b"x" * 65536)
        except OSError:
            pass
        return True

    return trouble


def hang(handler: Handler, _: bytes) -> bool:
    """Nothing, for a long time."""
    handler.fake.closing.wait(HOLD_S)
    handler.close_connection = True
    return True


def stored_but_lost(handler: Handler, lines: bytes) -> bool:
    """The points are kept, and the answer does not arrive: a client must send them again."""
    handler.fake.store(lines)
    return hang_up(handler, lines)


def _pass_on(behind: str, lines: bytes) -> tuple[int, str]:
    request = urllib.request.Request(behind, lines, method="POST")  # noqa: S310  # ours
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:  # noqa: S310  # ours
            return reply.status, ""
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def _split(series: str) -> tuple[str, str, str]:
    """Key and fields: they are parted by the first space that no backslash stands before."""
    before = ""
    for number, letter in enumerate(series):
        if letter == " " and before != "\\":
            return series[:number], " ", series[number + 1 :]
        before = letter
    return series, "", ""
