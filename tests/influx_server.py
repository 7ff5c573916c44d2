"""A real InfluxDB 1 for tests, from Debian's package `influxdb`, with a folder and ports of its own."""

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.conftest import missing

READY_WITHIN_S = 20.0
CONFIG = """\
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"

[meta]
dir = "{folder}/meta"

[data]
dir = "{folder}/data"
wal-dir = "{folder}/wal"
query-log-enabled = false

[monitor]
store-enabled = false

[http]
bind-address = "127.0.0.1:{http}"
log-enabled = false
"""


class InfluxServer:
    """One server; a context manager. It is ended by its own process id."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._program = shutil.which("influxd") or missing("a real InfluxDB", "apt-get install influxdb")
        self.http, self._rpc = _free_ports(2)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.http}"

    def __enter__(self) -> "InfluxServer":
        config = self._folder / "influxdb.conf"
        config.write_text(CONFIG.format(folder=self._folder, http=self.http, rpc=self._rpc))
        with (self._folder / "influxd.log").open("ab") as log:
            self._process = subprocess.Popen([self._program, "-config", str(config)], stdout=log, stderr=log)
        deadline = time.monotonic() + READY_WITHIN_S
        while not self._answers():
            assert self._process.poll() is None and time.monotonic() < deadline, (self._folder / "influxd.log").read_text()
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(timeout=30)

    def write(self, lines: Iterable[str], database: str = "loadtest") -> None:
        """Line protocol, with times in nanoseconds."""
        self._post("/query", q=f'CREATE DATABASE "{database}"')
        body = "\n".join(lines).encode()
        request = urllib.request.Request(f"{self.url}/write?db={database}&precision=ns", data=body, method="POST")
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 204

    def query(self, text: str, database: str = "loadtest") -> list[dict[str, Any]]:
        """The series of one statement, times in milliseconds as Grafana asks for them. An error fails the test."""
        (result,) = self._post("/query", q=text, db=database, epoch="ms")["results"]
        assert "error" not in result, (text, result)
        found: list[dict[str, Any]] = result.get("series", [])
        return found

    def _post(self, path: str, **form: str) -> dict[str, Any]:
        request = urllib.request.Request(f"{self.url}{path}", data=urllib.parse.urlencode(form).encode())
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                found: dict[str, Any] = json.loads(answer.read())
                return found
        except urllib.error.HTTPError as error:
            raise AssertionError((form, error.read().decode())) from error

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/ping", timeout=2) as answer:
                return bool(answer.status == 204)
        except OSError:
            return False


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
