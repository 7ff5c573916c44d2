"""Plays scenarios over the client under test, as `python -m gevent.monkey tests/gevent_driver.py`: one JSON line in, one out.

A scenario is Python code; what stands in `namespace` below is there for it, what it puts into `out` is in the answer.
"""

import gc
import json
import socket
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import gevent
from gevent import monkey

from loadtests.engine.http.client import Abandoned, Options
from loadtests.engine.http.connection import Limits
from loadtests.engine.http.failures import Failure
from loadtests.engine.http.origin import Network
from loadtests.engine.http.response import Response
from loadtests.engine.http.session import Session
from loadtests.engine.http.tls import unverified_context, verifying_context
from loadtests.traffic.prepared import Prepared

PATIENCE_S = 15.0


class RecordingSink:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.sent_count = 0
        self.finished: list[tuple[str, str, int, int, int, str | None]] = []
        self.faults: list[str] = []

    def sent(self, planned: bool) -> None:
        """A request goes out."""
        self.sent_count += 1

    def done(self, method: str, name: str, response_us: int, service_us: int, received: int, failed: Failure | None) -> None:
        """It has ended; not before it was sent."""
        self.finished.append((method, name, response_us, service_us, received, None if failed is None else failed.kind))
        if len(self.finished) > self.sent_count:
            self.faults.append(f"{method} {name} has ended more often than it was sent")


class RecordingListeners:
    """Stands for Locust's `request` event."""

    any = True

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def fire(self, **event: Any) -> None:
        """A request has ended."""
        self.events.append(event)


class Stage:
    """What one scenario has."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        self.sink, self.listeners, self.network = RecordingSink(), RecordingListeners(), Network()
        self.sessions: list[Session] = []
        self.out: dict[str, Any] = {}
        self.arguments = arguments

    def make(self, url: str | None = None, keep: bool = True, **options: Any) -> Session:
        """A session; the names of `Limits` and of `Options` are its arguments."""
        limits = Limits(**{name: options.pop(name) for name in tuple(options) if name in Limits.__dataclass_fields__})
        url = self.arguments["url"] if url is None else url
        options.setdefault("context_factory", unverified_context)
        session = Session(url, self.sink, self.listeners, self.network, Options(limits, **options))
        if keep:
            self.sessions.append(session)
        return session

    def namespace(self) -> dict[str, Any]:
        """The names that a scenario may use."""
        return {
            **self.arguments,
            "Abandoned": Abandoned,
            "Failure": Failure,
            "Prepared": Prepared,
            "cpu_s": time.process_time,
            "events": self.listeners.events,
            "gc": gc,
            "gevent": gevent,
            "make": self.make,
            "network": self.network,
            "now": time.perf_counter,
            "open_files": open_files,
            "out": self.out,
            "show": show,
            "sink": self.sink,
            "sleep": gevent.sleep,
            "sleep_without_the_hub": monkey.get_original("time", "sleep"),
            "verifying_context": verifying_context,
        }


def show(response: Response) -> list[object]:
    """Status, failure and body of a response."""
    content = response.content
    return [response.status_code, response.failure_kind, None if content is None else content.decode("latin-1")]


def open_files() -> int:
    """File descriptors of this process."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def play(code: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Play one scenario; all that it leaves behind is counted once its sessions are closed."""
    gc.collect()
    files = open_files()
    stage = Stage(arguments)
    raised = None
    namespace = stage.namespace()
    try:
        with gevent.Timeout(PATIENCE_S):
            exec(code, namespace)  # noqa: S102  # the test's own words
    except BaseException:
        raised = traceback.format_exc()
    for session in stage.sessions:
        session.close()
    sockets = stage.network.sockets
    open_when_closed, opened = sockets.open, sockets.opened
    stage.sessions.clear()
    namespace.clear()
    stage.listeners.events.clear()
    gevent.sleep(0)  # the hub's own frames keep what they woke last until it is its turn again
    gc.collect()
    return {
        "raised": raised,
        "out": stage.out,
        "sent": stage.sink.sent_count,
        "done": stage.sink.finished,
        "faults": stage.sink.faults,
        "opened": opened,
        "open_when_closed": open_when_closed,
        "open_when_collected": sockets.open,
        "files_left": open_files() - files,
    }


def main() -> None:
    """Play what is asked for, until there is no more."""
    socket.getaddrinfo("localhost", 80)  # gevent's resolver opens files that it keeps
    gc.collect()
    gc.freeze()  # what was imported need not be looked at after each scenario
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(play(asked["code"], asked["arguments"])), flush=True)


if __name__ == "__main__":
    main()
