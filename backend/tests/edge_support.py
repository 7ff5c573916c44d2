"""nginx as `app.edge` runs it, and HTTP servers that stand where the API or the origin would."""

import contextlib
import os
import re
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import BaseServer, TCPServer, ThreadingMixIn, UnixStreamServer
from typing import Any

import httpx
import pytest

from app.edge import EdgeError, find_nginx
from tests.support import eventually, process
from tests.support import free_port as free_port

TASKS = "/api/v1/tasks"
LOAD = ("--rate-limit", "off")


@dataclass(frozen=True)
class Request:
    """What a server was asked."""

    method: str
    path: str
    headers: Message
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What it answers."""

    body: bytes = b"{}"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class Upstream:
    """A server with a thread for each connection; remembers what it was asked."""

    def __init__(self, answer: Callable[[Request], Answer | None]) -> None:
        self.answer = answer
        """None ends the connection instead, after the request was read."""
        self.requests: list[Request] = []
        self.connections = 0
        self.open: set[socket.socket] = set()
        self.port = 0

    def say_goodbye(self) -> None:
        """End the idle connections as a server does that restarts; returns once nginx knows."""
        for connection in list(self.open):
            connection.shutdown(socket.SHUT_WR)
        eventually(lambda: not self.open, "nginx ended its side of the idle connections")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet
    upstream: Upstream

    def setup(self) -> None:
        super().setup()
        self.upstream.connections += 1
        self.upstream.open.add(self.connection)

    def finish(self) -> None:
        self.upstream.open.discard(self.connection)
        with contextlib.suppress(OSError):
            super().finish()

    def serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        request = Request(self.command, self.path, self.headers, body)
        self.upstream.requests.append(request)
        answer = self.upstream.answer(request)
        if answer is None:
            self.close_connection = True
            return
        self.send_response(answer.status)
        # A 304 has no length, an answer to HEAD that of the body it leaves out.
        length = {} if answer.status == 304 else {"Content-Length": str(len(answer.body))}
        for name, value in {"Content-Type": "application/json", **length, **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD" and answer.status != 304:
            self.wfile.write(answer.body)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - its name there
        """Say nothing."""


for _method in ("GET", "HEAD", "POST", "DELETE"):
    setattr(_Handler, f"do_{_method}", _Handler.serve)


class _Tcp(ThreadingMixIn, TCPServer):
    allow_reuse_address = daemon_threads = True
    request_queue_size = 128


class _Unix(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128


@contextlib.contextmanager
def upstream(
    answer: Callable[[Request], Answer | None] | None = None, path: Path | None = None
) -> Iterator[Upstream]:
    """A running server, on a free port or on a Unix socket that all may use."""
    running = Upstream(answer or (lambda _: Answer()))
    handler = type("Handler", (_Handler,), {"upstream": running})
    server: BaseServer
    if path is None:
        server = tcp = _Tcp(("127.0.0.1", 0), handler)
        running.port = tcp.server_address[1]
    else:
        server = _Unix(str(path), handler)
        path.chmod(0o777)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        server.server_close()
        for connection in list(running.open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


@dataclass(frozen=True)
class RunningEdge:
    """nginx, and a client of it."""

    port: int
    folder: Path
    process: subprocess.Popen[bytes]
    client: httpx.Client

    def get(self, path: str, **headers: str) -> httpx.Response:
        """GET, uncompressed unless a header asks for more."""
        return self.client.get(path, headers={"Accept-Encoding": "identity", **headers})

    def pipelined(self, *requests: str) -> bytes:
        """All answers to requests (a method and a path, more lines are headers) sent at once."""
        raw = ""
        for number, head in enumerate(requests, 1):
            line, *headers = head.splitlines()
            last = ["Connection: close"] if number == len(requests) else []
            lines = [f"{line} HTTP/1.1", "Host: edge", "Content-Length: 0", *headers, *last]
            raw += "".join(f"{one}\r\n" for one in [*lines, ""])
        with socket.create_connection(("127.0.0.1", self.port), 20) as connection:
            sender = threading.Thread(target=connection.sendall, args=(raw.encode(),))
            sender.start()
            received = b"".join(iter(lambda: connection.recv(65_536), b""))
            sender.join()
        return received


@pytest.fixture
def folder() -> Iterator[Path]:
    """A place for nginx's prefix; pytest's own folders are closed to workers of another account."""
    with tempfile.TemporaryDirectory(prefix="edge-") as name:
        Path(name).chmod(0o755)
        yield Path(name) / "edge"


def statuses(received: bytes) -> list[int]:
    """The statuses of pipelined answers."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3})", received)]


def require_nginx() -> None:
    """Skip the test without nginx; fail it where all must be there."""
    try:
        find_nginx()
    except EdgeError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))


def answers(client: httpx.Client) -> bool:
    """Whether nginx itself answers; `nginx -t` accepts connections for a moment, and no more."""
    with contextlib.suppress(httpx.TransportError):
        return client.get("/").status_code == 302
    return False


@contextlib.contextmanager
def running_edge(
    folder: Path, *upstreams: int, options: tuple[str, ...] = ()
) -> Iterator[RunningEdge]:
    """Run nginx before servers on these ports; what it says goes to `<folder>.log`."""
    require_nginx()
    port, log = free_port(), folder.with_suffix(".log")
    arguments = ["app.edge", "--listen", str(port), "--folder", str(folder), "--run", *options]
    for one in upstreams:
        arguments += ["--upstream", f"127.0.0.1:{one}"]
    with process(arguments, log) as child:
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30)

        def ready() -> bool:
            assert child.poll() is None, log.read_text()
            return answers(client)

        with client:
            eventually(ready, "nginx answers")
            yield RunningEdge(port, folder, child, client)
