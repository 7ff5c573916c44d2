"""The simulated users' own requests outside the load: asks the target in the name of each, with a token of their own."""

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

import urllib3

from loadtests.measure.clocks import ClockReading
from loadtests.scenario.schema import Auth
from loadtests.traffic import tokens
from loadtests.traffic.prepared import JSON_HEADERS

TIMEOUT_S = 10.0
BAD_REQUEST, UNAUTHORIZED = 400, 401
DATE_DOUBT_S = 0.5
"""A Date header is cut to whole seconds: half a second later is the best guess, and half a second the doubt."""


class UnansweredError(Exception):
    """A request without the answer that was expected, in one line."""


class Answer(NamedTuple):
    """The parsed body (None from status 400 on), and what the target's clock said."""

    status: int
    data: Any
    clock: ClockReading | None


class _Reply(NamedTuple):
    status: int
    body: bytes
    clock: ClockReading | None


class People:
    """May be shared by threads; opens up to `at_once` connections.

    An answer is waited for `timeout_s` long. With `again`, a GET is sent once more when its connection was closed: it may have
    been while nobody used it.
    """

    def __init__(
        self, host: str, auth: Auth, secret: str, at_once: int, timeout_s: float = TIMEOUT_S, again: bool = True
    ) -> None:
        self._host, self._auth, self._secret = host.rstrip("/"), auth, secret
        self._timeout_s, self._again, self._closed = timeout_s, again, False
        self._pool = urllib3.PoolManager(maxsize=at_once, block=True, timeout=urllib3.Timeout(timeout_s), retries=False)
        self._tokens: dict[int, tokens.Token] = {}

    def get(self, user: int, path: str, expect: tuple[int, ...] = (200,)) -> Answer:
        """What the user is shown. Raises UnansweredError when the status is none of `expect` or nothing comes back."""
        reply = self._ask("GET", path, self._authorization(user), None, (*expect, UNAUTHORIZED))
        if reply.status == UNAUTHORIZED:
            self._tokens.pop(user, None)  # the next time with another one: the target may have been started anew
            raise UnansweredError(f"GET {path}: status {UNAUTHORIZED}")
        if reply.status >= BAD_REQUEST:  # what it says besides is not for programs
            return Answer(reply.status, None, reply.clock)
        try:
            data = json.loads(reply.body)
        except ValueError as error:
            raise UnansweredError(f"GET {path}: no JSON: {error}") from error
        return Answer(reply.status, data, reply.clock)

    def close(self) -> None:
        """Close the connections that nobody uses; from now on nothing is sent any more."""
        self._closed = True
        self._pool.clear()

    def _authorization(self, user: int) -> dict[str, str]:
        if self._auth.mode == "none":
            return {}
        token = self._tokens.get(user)
        if token is None or token.expires_at - time.time() < self._timeout_s:
            token = self._tokens[user] = self._new_token(user)
        return {"Authorization": f"Bearer {token.access}"}

    def _new_token(self, user: int) -> tokens.Token:
        auth = self._auth
        if auth.mode == "mint":
            return tokens.mint(self._secret, tokens.user_id(auth.subject or "", user), time.time(), auth.ttl)
        path = auth.login or ""
        body = tokens.guest_body(f"loadtest-{user}", f"User {user}")
        asked = time.time()
        reply = self._ask("POST", path, JSON_HEADERS, body, (200, 201))
        try:
            token = tokens.from_login(reply.body)
        except ValueError as error:
            raise UnansweredError(f"POST {path}: {error}") from error
        # How long it lives is sure; when it ends, the target says by its own clock.
        return token if token.issued_at is None else replace(token, expires_at=asked + token.expires_at - token.issued_at)

    def _ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, expect: tuple[int, ...]) -> _Reply:
        asked = time.time()
        try:
            response = self._send(method, path, headers, body, again=self._again and method == "GET")
        except urllib3.exceptions.HTTPError as error:
            raise UnansweredError(f"{method} {path}: {type(error).__name__}: {error}") from error
        answered = time.time()
        if response.status not in expect:
            raise UnansweredError(f"{method} {path}: status {response.status}")
        return _Reply(response.status, response.data, clock_of(response.headers.get("Date"), asked, answered))

    def _send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, again: bool
    ) -> urllib3.BaseHTTPResponse:
        if self._closed:
            raise UnansweredError(f"{method} {path}: was not sent any more")
        try:
            return self._pool.request(method, self._host + path, headers=headers, body=body, redirect=False)
        except urllib3.exceptions.ProtocolError:
            if not again:
                raise
        return self._send(method, path, headers, body, again=False)


def clock_of(date: str | None, asked: float, answered: float) -> ClockReading | None:
    """The target's clock by the Date header of an answer; None without one that can be read."""
    try:
        moment = parsedate_to_datetime(date or "").timestamp() + DATE_DOUBT_S
    except ValueError:
        return None
    reading = ClockReading.of_round(asked, moment, answered)
    return replace(reading, doubt_s=reading.doubt_s + DATE_DOUBT_S)
