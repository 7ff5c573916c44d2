"""A real HTTP server that behaves as its path says: for tests that need a target with known faults."""

import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """/healthz and /ok answer, /status/N answers N, /sleep/MS waits, /close hangs up, /reset resets, /garbage babbles."""
        _, kind, *rest = urlsplit(self.path).path.split("/")
        match kind:
            case "status":
                self._answer(int(rest[0]))
            case "sleep":
                time.sleep(int(rest[0]) / 1000)
                self._answer(200)
            case "close":
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
            case "reset":
                self.close_connection = True
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
            case "garbage":
                self.close_connection = True
                self.wfile.write(b"this is not HTTP\r\n\r\n")
            case _:
                self._answer(200)

    def do_POST(self) -> None:
        """Accept whatever comes."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(201)

    def _answer(self, status: int) -> None:
        body = json.dumps({"path": self.path}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def handle(self) -> None:
        """Serve; a client that hangs up is no fault of the server's."""
        try:
            super().handle()
        except (ConnectionError, ValueError, OSError):
            self.close_connection = True

    def finish(self) -> None:
        """Close; the connection may be gone already."""
        try:
            super().finish()
        except (ConnectionError, ValueError, OSError):
            self.close_connection = True


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        """Close; a reset connection is closed already."""
        try:
            super().shutdown_request(request)
        except OSError:
            return


@contextmanager
def scripted_target() -> Iterator[str]:
    """The address of a running scripted target."""
    server = _Server(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
