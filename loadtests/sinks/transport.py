"""HTTP to a server that may be anything: every answer is short and in time, or it is none."""

import time
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import urllib3
from urllib3.exceptions import HTTPError

MAX_BODY_BYTES = 16_384
MAX_TEXT = 200
TIMEOUT_S = 10.0


class NoReply(Exception):  # a state of the server, for which one waits
    """No answer: nothing listens, it took too long, or it was no HTTP."""


@dataclass(frozen=True)
class Reply:
    """What was answered; `text` is the beginning of its first line."""

    status: int
    text: str = ""
    retry_after_s: float | None = None


class BoundedPool(urllib3.PoolManager):
    """A pool whose answers have their first 16 kB at the most and take ten seconds at the most; redirects are answers too.

    A server may send a body without an end, or a byte a second: urllib3's timeouts are for single reads.
    """

    last_status = 0
    """Of the last answer: a client may call good what is only no error."""

    def urlopen(self, method: str, url: str, redirect: bool = True, **more: Any) -> urllib3.BaseHTTPResponse:  # type: ignore[override]
        """One request without repetition. Raises urllib3's HTTPError when there is no answer."""
        deadline = time.monotonic() + TIMEOUT_S
        more |= {"preload_content": False, "retries": False}
        response = super().urlopen(method, url, redirect=False, **more)
        body, chunk = b"", b"?"
        while chunk and len(body) < MAX_BODY_BYTES and time.monotonic() < deadline:
            body += (chunk := response.read1(4096))
        # A connection whose answer was not read to its end cannot be used again.
        response.close() if chunk else response.release_conn()
        self.last_status = response.status
        # As text: clients of this pool decode it, and garbage is not theirs to handle.
        shown = body[:MAX_BODY_BYTES].decode(errors="replace").encode()
        return urllib3.HTTPResponse(BytesIO(shown), response.headers, response.status, reason=response.reason)


def ask(pool: BoundedPool, method: str, url: str, **more: Any) -> Reply:
    """The answer to one request. Raises NoReply."""
    try:
        return reply_of(pool.request(method, url, timeout=TIMEOUT_S, **more))
    except (HTTPError, OSError, ValueError) as error:
        raise NoReply(in_words(error)) from error


def reply_of(response: urllib3.BaseHTTPResponse) -> Reply:
    """What of an answer is of use."""
    text = response.data.decode(errors="replace")
    # InfluxDB 1 says in a header what an empty body does not.
    return Reply(response.status, first_line(text or response.headers.get("X-Influxdb-Error", "")), _seconds(response.headers))


def first_line(text: str) -> str:
    """The beginning of the first line."""
    return (text.strip().splitlines() or [""])[0][:MAX_TEXT]


def in_words(error: BaseException) -> str:
    """An error of urllib3's or of the system's, without the objects that urllib3 shows."""
    cause: BaseException = error
    while isinstance(inner := cause.__cause__ or cause.__context__ or getattr(cause, "reason", None), BaseException):
        cause = inner
    said = getattr(cause, "strerror", None) or first_line(str(cause))
    return f"{type(cause).__name__}: {said}" if said else type(cause).__name__


def _seconds(headers: Any) -> float | None:
    text = headers.get("Retry-After", "")
    return float(text) if text.isdecimal() and len(text) < 10 else None
