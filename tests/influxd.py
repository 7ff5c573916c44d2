"""A real InfluxDB 1 for tests, from Debian's package; it can be stopped and started again with what it holds."""

import json
import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from loadtests.orchestrate.ports import Ports
from loadtests.sinks.spool import Spool
from loadtests.store.folder import open_folder
from tests.conftest import missing
from tests.unit.lines import parse

READY_WITHIN_S = 20.0

Key = tuple[str, tuple[tuple[str, str], ...], int]


class Influxd:
    """One server with a folder of its own; a context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._program = shutil.which("influxd") or missing("a real InfluxDB", "apt-get install influxdb")
        self._ports = Ports()
        self._http, self._rpc = self._ports.choose(28086), self._ports.choose(28088)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is, running or not."""
        return f"http://127.0.0.1:{self._http}"

    def __enter__(self) -> "Influxd":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._ports.release()

    def start(self) -> None:
        """Start it and wait until it answers."""
        settings = {
            "INFLUXDB_REPORTING_DISABLED": "true",
            "INFLUXDB_BIND_ADDRESS": f"127.0.0.1:{self._rpc}",
            "INFLUXDB_HTTP_BIND_ADDRESS": f"127.0.0.1:{self._http}",
            "INFLUXDB_HTTP_LOG_ENABLED": "false",
            "INFLUXDB_MONITOR_STORE_ENABLED": "false",
            **{f"INFLUXDB_{name}_DIR": str(self._folder / name.lower()) for name in ("META", "DATA", "DATA_WAL")},
        }
        with (self._folder / "influxd.log").open("ab") as log:
            self._process = subprocess.Popen([self._program], env={**os.environ, **settings}, stdout=log, stderr=log)
        deadline = time.monotonic() + READY_WITHIN_S
        while not self._answers():
            assert self._process.poll() is None and time.monotonic() < deadline, (self._folder / "influxd.log").read_text()
            time.sleep(0.05)

    def stop(self) -> None:
        """Kill it: what it acknowledged, it must have."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Connections are accepted, and nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def make(self, database: str = "loadtest") -> None:
        """An empty database."""
        self._post("/query", q=f'CREATE DATABASE "{database}"')

    def write(self, lines: Iterable[str], database: str = "loadtest") -> None:
        """Line protocol, with times in nanoseconds; the database is made."""
        self.make(database)
        body = "\n".join(lines).encode()
        request = urllib.request.Request(f"{self.url}/write?db={database}&precision=ns", data=body, method="POST")
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 204

    def query(self, text: str, database: str = "loadtest", epoch: str = "ms") -> list[dict[str, Any]]:
        """The series of one statement, times in milliseconds as Grafana asks for them. An error fails the test."""
        (result,) = self._post("/query", q=text, db=database, epoch=epoch)["results"]
        assert "error" not in result, (text, result)
        found: list[dict[str, Any]] = result.get("series", [])
        return found

    def points(self) -> dict[Key, dict[str, Any]]:
        """Everything that it holds: fields by measurement, tags and time."""
        found: dict[Key, dict[str, Any]] = {}
        for (measurement,) in _rows(self.query("SHOW MEASUREMENTS")):
            for series in self.query(f'SELECT * FROM "{measurement}" GROUP BY *', epoch="ns"):  # noqa: S608  # our own
                tags = tuple(sorted(series["tags"].items()))
                for time_ns, *values in series["values"]:
                    fields = dict(zip(series["columns"][1:], values, strict=True))
                    found[measurement, tags, time_ns] = {name: one for name, one in fields.items() if one is not None}
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


def points_of(folder: Path) -> dict[Key, dict[str, Any]]:
    """All points that the run's files make."""
    spool = Spool(open_folder(folder), "a test")
    found: dict[Key, dict[str, Any]] = {}
    while (parcel := spool.next()) is not None:
        for line in parcel.lines:
            point = parse(line)
            found[point.measurement, tuple(sorted(point.tags.items())), point.time] = point.fields
        if parcel.file is None:
            spool.progress.verdict = True
        else:
            spool.progress.files[parcel.file] = parcel.position
    return found


def _rows(series: list[dict[str, Any]]) -> Iterator[list[Any]]:
    for one in series:
        yield from one["values"]
