"""A person's HTTP client: keeps the connection and the token, measures from due and from send, names every failure.

Underneath is Locust's FastHttpSession; nothing outside this file knows that.
"""

import json
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gevent import GreenletExit
from geventhttpclient.response import HTTPConnectionClosed, HTTPParseError
from geventhttpclient.useragent import RetriesExceeded
from locust.contrib.fasthttp import FastHttpSession
from locust.event import EventHook

from loadtests.engine.recorder import Recorder

JSON_HEADERS = {"Content-Type": "application/json"}


class Abandoned(GreenletExit):  # type: ignore[misc]  # gevent is untyped
    """Thrown into a user whose request was still unanswered when the drain ended."""


@dataclass(frozen=True)
class Reply:
    """What came back; `status_code` is 0 when nothing did."""

    status_code: int
    content: bytes
    failure: str | None

    @property
    def ok(self) -> bool:
        """Whether the answer was one that the request expected."""
        return self.failure is None

    def json(self) -> Any:
        """The parsed body; raises ValueError when it is not JSON."""
        return json.loads(self.content)


class Session:
    """One person's connection."""

    def __init__(self, host: str, timeout_s: float, recorder: Recorder, request_event: EventHook) -> None:
        self._http = FastHttpSession(
            base_url=host,
            request_event=request_event,
            user=None,
            insecure=False,
            concurrency=1,
            max_retries=0,
            connection_timeout=timeout_s,
            network_timeout=timeout_s,
        )
        self._recorder = recorder
        self._request_event = request_event
        self._due: float | None = None
        self.last_name = ""
        """Name of the last request."""
        self.authorization: str | None = None
        """Value of the Authorization header, or None."""

    def due(self, perf_counter_s: float) -> None:
        """The next request was due at this moment; its response time runs from there. Later ones run from their send."""
        self._due = perf_counter_s

    def get(self, path: str, *, name: str) -> Reply:
        """A GET request."""
        return self.request("GET", path, name=name)

    def post(self, path: str, *, name: str, body: bytes, expect: Sequence[int] = ()) -> Reply:
        """A POST request with a JSON body."""
        return self.request("POST", path, name=name, body=body, headers=JSON_HEADERS, expect=expect)

    def request(
        self,
        method: str,
        path: str,
        *,
        name: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        expect: Sequence[int] = (),
        planned: bool = True,
    ) -> Reply:
        """Send, wait and record. Failures are recorded and returned, never raised; an abandoned request is re-raised."""
        self.last_name = name
        sent = time.perf_counter()
        due, self._due = self._due or sent, None
        self._recorder.sent(planned)
        try:
            reply = self._send(method, path, body, dict(headers or {}), expect)
        except Abandoned:
            self._record(method, name, due, sent, Reply(0, b"", "abandoned"))
            raise
        except GreenletExit:
            self._record(method, name, due, sent, Reply(0, b"", "stopped"))
            raise
        self._record(method, name, due, sent, reply)
        return reply

    def _send(self, method: str, path: str, body: bytes | None, headers: dict[str, str], expect: Sequence[int]) -> Reply:
        if self.authorization is not None:
            headers["Authorization"] = self.authorization
        try:
            # catch_response: nothing is reported to Locust before _record does
            answer = self._http.request(method, path, data=body, headers=headers, catch_response=True)  # type: ignore[arg-type]  # bytes are fine
        except Exception as error:
            # Anything that is not a status: the client lets some through (an UnpicklingError of a cookie, say).
            return Reply(0, b"", failure_kind(error))
        status = answer.status_code or 0
        if status == 0:
            return Reply(0, b"", failure_kind(getattr(answer, "error", None) or answer.request_meta.get("exception")))
        content = answer.content or b""
        good = status in expect if expect else status < 400
        return Reply(status, content, None if good else f"status_{status}")

    def _record(self, method: str, name: str, due: float, sent: float, reply: Reply) -> None:
        end = time.perf_counter()
        service_s = end - sent
        self._recorder.done(name, round((end - due) * 1e6), round(service_s * 1e6), len(reply.content), reply.failure)
        self._request_event.fire(  # type: ignore[no-untyped-call]
            request_type=method,
            name=name,
            response_time=service_s * 1e3,
            response_length=len(reply.content),
            exception=None if reply.failure is None else RequestFailed(reply.failure),
            context={},
        )


class RequestFailed(Exception):
    """What Locust's own statistics show for a failure: its kind."""


def failure_kind(error: BaseException | None) -> str:
    """A fixed name for a way to fail."""
    match error:
        case RetriesExceeded():
            return failure_kind(getattr(error, "original", None))
        case ConnectionRefusedError():
            return "connect_refused"
        case ConnectionResetError() | BrokenPipeError():
            return "reset"
        case ssl.SSLError():
            return "tls"
        case socket.gaierror():
            return "dns"
        case TimeoutError():
            return "timeout"
        case HTTPConnectionClosed():
            return "closed"
        case HTTPParseError():
            return "malformed"
        case OSError():
            return "network"
    return "error"
