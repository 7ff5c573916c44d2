"""A server for comparing clients: it answers as the path says, and remembers what it was asked."""

import gzip
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

REMEMBERED = ("Authorization", "Accept", "Content-Type", "Content-Length", "Cookie", "Host", "X-Own")
"""Headers in which two clients must agree; a form's boundary is made up each time."""
PAGES: dict[str, tuple[int, dict[str, str], bytes]] = {
    "json": (200, {"Content-Type": "application/json"}, b'{"id": 7, "name": "caf\xc3\xa9"}'),
    "latin": (200, {"Content-Type": "text/html; charset=iso-8859-1"}, b"caf\xe9"),
    "latin-json": (200, {"Content-Type": "application/json; charset=iso-8859-1"}, b'{"name": "caf\xe9"}'),
    "binary": (200, {"Content-Type": "application/json"}, b"\xff\xfe\xfd{"),
    "untyped": (200, {}, "naïve café".encode()),
    "empty": (200, {}, b""),
    "none": (204, {}, b""),
    "gzip": (200, {"Content-Encoding": "gzip", "Content-Type": "text/plain"}, gzip.compress(b"packed", mtime=0)),
    "lines": (200, {"Content-Type": "text/plain"}, b"one\ntwo\nlast"),
    "cookie": (200, {"Set-Cookie": "sid=1; Path=/"}, b"baked"),
    "secure": (200, {"Set-Cookie": "secret=1; Path=/; Secure"}, b"baked"),
    "found": (302, {"Location": "/echo/{step}/there?a=b"}, b"moved"),
    "relative": (301, {"Location": "../echo/{step}/there"}, b"moved"),
    "accented": (302, {"Location": "/echo/{step}/caf\u00c3\u00a9"}, b"moved"),  # UTF-8, as servers send it
    "kept": (307, {"Location": "/echo/{step}/there"}, b"moved"),
    "nowhere": (302, {"Location": ""}, b"moved"),
    "missing": (302, {}, b"moved"),
    "lost": (302, {"Location": "/status/{step}/404"}, b"moved"),
    "loop": (302, {"Location": "/loop/{step}"}, b"moved"),
    "mail": (302, {"Location": "ftp://127.0.0.1/x"}, b"moved"),
}


@dataclass
class Memory:
    """What was asked, in no order."""

    requests: list[tuple[str, str, dict[str, str], str]] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65_536  # head and body in one piece, or the kernel waits for a sign between them
    memory: Memory

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name: value for name in REMEMBERED if (value := ", ".join(self.headers.get_all(name, [])))}
        boundary = re.search("boundary=(.*)", headers.get("Content-Type", ""))
        shown, mark = body.decode("latin-1"), boundary[1] if boundary else "none"
        headers = {name: value.replace(mark, "BOUNDARY") for name, value in headers.items()}
        headers["Host"] = headers["Host"].replace(str(self.connection.getsockname()[1]), "PORT")
        if boundary:
            headers.pop("Content-Length", None)
        path = re.sub("_=[0-9]+", "_=NOW", self.path)  # what `rest_` puts there
        request = (self.command, path, headers, shown.replace(mark, "BOUNDARY"))
        self.memory.requests.append(request)
        _, kind, step, *rest = [*urlsplit(self.path).path.split("/"), "", ""]
        if kind == "status":
            self._answer(int(rest[0]), {}, b"status " + rest[0].encode())
        elif kind == "sleep":
            time.sleep(float(rest[0]))
            self._answer(200, {}, b"late")
        elif kind == "close":
            self.close_connection = True
        elif kind == "cut":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\ncut")
            self.close_connection = True
        elif kind in PAGES:
            status, fields, page = PAGES[kind]
            self._answer(status, {name: value.replace("{step}", step) for name, value in fields.items()}, page)
        else:
            self._answer(200, {"Content-Type": "application/json"}, json.dumps(request).encode())

    def __getattr__(self, name: str) -> Any:
        """Every method is served alike."""
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def _answer(self, status: int, fields: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def handle(self) -> None:
        """Serve; a client that hangs up is no fault of the server's."""
        try:
            super().handle()
        except OSError:
            self.close_connection = True


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that ended early is no news."""


@contextmanager
def face_target() -> Iterator[tuple[str, Memory]]:
    """Its address, and what it remembers."""
    memory = Memory()
    handler = type("Handler", (_Handler,), {"memory": memory})
    server = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", memory
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
