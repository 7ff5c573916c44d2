"""A light target that remembers when each address asked last: `python -m tests.hosts.target ADDRESS PORT`."""

import json
import sys
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LAST: dict[str, float] = {}
"""Address to the monotonic time of its last request."""


class Handler(BaseHTTPRequestHandler):
    """GET /healthz, /ok and /ago (seconds since each address's last request); POST /api/v1/tasks takes a task on."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one segment, or the second waits a round trip for the first's acknowledgement

    def do_GET(self) -> None:
        """Answer at once."""
        if self.path == "/ago":
            self._answer(200, {address: time.monotonic() - moment for address, moment in LAST.items()})
            return
        if self.path != "/healthz":
            LAST[self.client_address[0]] = time.monotonic()
        self._answer(200, {})

    def do_POST(self) -> None:
        """A new task for each."""
        LAST[self.client_address[0]] = time.monotonic()
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(201, {"id": str(uuid.uuid4()), "status": "pending"})

    def _answer(self, status: int, body: object) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    ThreadingHTTPServer.daemon_threads = True
    ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
