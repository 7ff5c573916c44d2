"""The face of Locust's FastHttpSession, over our own connections.

    session.get("/tasks", name="list")
    with session.post("/tasks", json={...}, catch_response=True) as response: ...

Where it differs from Locust: any status below 400 is ok, or those of `expect`; a with-block that raises is recorded as a
failure, not left out; a caught response that never met its with-block is recorded by its status; `ok` is false when nothing
came back.
"""

import codecs
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

from gevent.lock import BoundedSemaphore

from loadtests.engine.http.bodies import decode
from loadtests.engine.http.client import Client, Listeners, Options, Sink, status_failure, unanswered
from loadtests.engine.http.cookies import take_cookies
from loadtests.engine.http.failures import Failure
from loadtests.engine.http.origin import Network, Origin
from loadtests.engine.http.outgoing import Body, Outgoing, Params, basic, encode_body, location_of, with_params
from loadtests.engine.http.response import CaughtResponse, Response, Sent
from loadtests.engine.http.stream import BodyStream
from loadtests.engine.http.wire import Fields, request_end, request_start

_ABSOLUTE = re.compile(r"[a-z+]+://", re.IGNORECASE)


Report = Callable[[Response, Failure | None], None]
"""Records a request's end."""


class _Call(NamedTuple):
    """One call of `request`, however often it is sent."""

    method: str
    name: str
    outgoing: Outgoing
    allow_redirects: bool
    stream: bool
    expect: tuple[int, ...]
    planned: bool
    context: Mapping[str, Any]


class Session(Client):
    """One person's client, as a locustfile uses it."""

    def __init__(
        self, base_url: str, sink: Sink, listeners: Listeners, network: Network, options: Options, user: Any = None
    ) -> None:
        super().__init__(base_url, sink, listeners, network, options, user)
        self._permits: BoundedSemaphore | None = None
        self.request_name: str | None = None
        """Name of requests that are given none."""

    def request(
        self,
        method: str,
        url: str,
        name: str | None = None,
        data: Body = None,
        catch_response: bool = False,
        stream: bool = False,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str | bytes, str | bytes] | None = None,
        json: Any = None,
        allow_redirects: bool = True,
        context: Mapping[str, Any] | None = None,
        *,
        params: Params = None,
        files: Any = None,
        expect: Sequence[int] = (),
        planned: bool = True,
    ) -> Any:  # a Response, or the CaughtResponse of a with-block
        """Send a request and record it; the arguments are those of Locust's FastHttpSession.

        `expect`: statuses that are ok, any below 400 when there are none. `planned`: see Sink. One that is refused with 401 is
        sent a second time when the person has got a new token, and recorded twice; not one whose with-block judges it.
        """
        self.last_name = name = name or self.request_name or url
        outgoing = self._outgoing(
            method.upper(), with_params(url, params), headers, auth, encode_body(data, json, files), stream
        )
        call = _Call(method, name, outgoing, allow_redirects, stream, tuple(expect), planned, context or {})
        encoded = self._encode(outgoing)  # whatever is wrong with the arguments is raised here
        due, self._due = self._due, None
        began, authorization = time.perf_counter(), self._authorization
        response, report = self._ask(call, encoded, due)
        if catch_response:
            return CaughtResponse(response, report)
        report(response, response.failed)
        if response.failed is not None and self._proved_by_token(call, encoded) and self._may_repeat(response, authorization):
            response.close()
            self.last_name = name  # the renewal had one of its own
            response, report = self._ask(call, self._encode(outgoing), due or began)
            report(response, response.failed)
        return response

    def _ask(self, call: "_Call", encoded: tuple[Origin, bytes], due: float | None) -> tuple[Response, Report]:
        """Send and wait; the response, and how to record it. Recorded already is one that must be raised on."""
        outgoing, stream, expect = call.outgoing, call.stream, call.expect
        epoch_s, sent = time.time(), time.perf_counter()
        self._sink.sent(call.planned)
        leaving = None
        try:
            with self._permit():
                response = self._fetch(outgoing, *encoded, call.allow_redirects, stream)
            status = response.status_code
            if not (status in expect if expect else status < 400):
                response.failed = status_failure(status, outgoing.url)
        except BaseException as error:
            response, leaving = unanswered(error)
            response.request = Sent(outgoing)
        end = time.perf_counter()
        response.service_s = end - sent
        response_us, service_us = round((end - (due or sent)) * 1e6), round(response.service_s * 1e6)
        received = response.declared_length if stream else len(response.content or b"")

        def report(answer: Response, failed: Failure | None) -> None:
            self._sink.done(call.method, call.name, response_us, service_us, received, failed)
            if self._listeners.any:
                self._tell(call.method, call.name, answer, received, outgoing.url, epoch_s, call.context)

        if leaving is not None:
            report(response, response.failed)
            raise leaving
        return response, report

    def _proved_by_token(self, call: "_Call", encoded: tuple[Origin, bytes]) -> bool:
        """Whether the session's own Authorization went out with it, for a turn: logins and refreshes are not repeated."""
        return call.planned and encoded[0] is self._home and "authorization" not in call.outgoing.fields.names

    @contextmanager
    def rename_request(self, name: str) -> Iterator[None]:
        """Requests inside the with-block have this name."""
        self.request_name = name
        try:
            yield
        finally:
            self.request_name = None

    def get(self, url: str, **kwargs: Any) -> Any:
        """A GET request."""
        return self.request("GET", url, **kwargs)

    def post(self, url: str, data: Body = None, json: Any = None, **kwargs: Any) -> Any:
        """A POST request."""
        return self.request("POST", url, data=data, json=json, **kwargs)

    def put(self, url: str, data: Body = None, **kwargs: Any) -> Any:
        """A PUT request."""
        return self.request("PUT", url, data=data, **kwargs)

    def patch(self, url: str, data: Body = None, **kwargs: Any) -> Any:
        """A PATCH request."""
        return self.request("PATCH", url, data=data, **kwargs)

    def delete(self, url: str, **kwargs: Any) -> Any:
        """A DELETE request."""
        return self.request("DELETE", url, **kwargs)

    def head(self, url: str, **kwargs: Any) -> Any:
        """A HEAD request."""
        return self.request("HEAD", url, **kwargs)

    def options(self, url: str, **kwargs: Any) -> Any:
        """An OPTIONS request."""
        return self.request("OPTIONS", url, **kwargs)

    def iter_lines(self, url: str, method: str = "GET", **kwargs: Any) -> Iterator[str]:
        """The lines of a streamed answer, as they come. Raises what made the request fail."""
        response = self.request(method, url, stream=True, **kwargs)
        if response.error is not None:
            response.close()
            raise response.error
        rest, decoder = "", codecs.getincrementaldecoder("utf-8")("replace")
        for piece in response.iter_content(decode_content=False):
            *lines, rest = (rest + decoder.decode(piece)).split("\n")
            yield from lines
        if rest:
            yield rest

    def _permit(self) -> BoundedSemaphore:
        if self._permits is None:
            self._permits = BoundedSemaphore(self._options.concurrency)
        return self._permits

    def _outgoing(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        auth: tuple[str | bytes, str | bytes] | None,
        body: tuple[bytes | None, dict[str, str]],
        stream: bool,
    ) -> Outgoing:
        content, described = body
        if stream:
            # Pieces of a compressed body would be of no use to whoever reads a stream.
            described = {**described, "Accept-Encoding": "identity"}
        fields = self._fields
        if described or headers or auth:
            given = tuple(headers.items()) if headers else ()
            proof = (("Authorization", basic(*auth)),) if auth else ()
            fields = _merged(fields, tuple(described.items()), given, proof)
        if url.startswith("/"):
            url = self.base_url + url
        elif not _ABSOLUTE.match(url):
            url = f"{self.base_url}/{url}"
        return Outgoing(method, url, fields, content)

    def _encode(self, outgoing: Outgoing) -> tuple[Origin, bytes]:
        """Where it goes, and its bytes."""
        origin, target = self._network.locate(outgoing.url, self._options.context_factory)
        fields = outgoing.fields
        lines = fields.lines
        if origin is self._home and "authorization" not in fields.names:
            lines += self._authorization_line
        if self._cookiejar is not None and "cookie" not in fields.names:
            lines += self._cookie_line(outgoing.url)
        start = request_start(outgoing.method, target, fields.host or origin.host_header)
        return origin, start + lines + request_end(outgoing.method, outgoing.body)

    def _fetch(self, outgoing: Outgoing, origin: Origin, message: bytes, allow_redirects: bool, stream: bool) -> Response:
        """The answer, after redirects. Raises Failure."""
        history: list[Response] = []
        while True:
            response = self._exchange(outgoing, origin, message, stream)
            head = response.head
            location = location_of(head) if allow_redirects and self._options.max_redirects and head else None
            if head is None or location is None:
                response.history = tuple(history)
                return response
            if len(history) == self._options.max_redirects:
                raise Failure("redirects", f"more than {self._options.max_redirects}")
            history.append(response)
            response.close()
            outgoing = outgoing.redirected(head, location)
            try:
                origin, message = self._encode(outgoing)
            except ValueError as error:
                raise Failure("redirects", str(error)) from error

    def _exchange(self, outgoing: Outgoing, origin: Origin, message: bytes, stream: bool) -> Response:
        connection = self._pool.take(origin)
        no_body = outgoing.method == "HEAD"
        limit = self._options.limits.max_body_bytes
        streaming = None
        try:
            if stream:
                streaming = BodyStream(connection, connection.stream(message, no_body, outgoing.idempotent))
                head = streaming.head
                response = Response(head, None)
                response.attach(streaming, limit)
                streaming.when_over = self._pool.give
            else:
                head, body = connection.exchange(message, no_body, outgoing.idempotent)
                response = Response(head, decode(body, head.encoding, limit))
        finally:
            if streaming is None:
                self._pool.give(connection)
        response.request = Sent(outgoing)
        if head.sets_cookies:
            take_cookies(self.cookiejar, head, outgoing.url)
        return response


@lru_cache(maxsize=1024)
def _merged(fields: Fields, *more: tuple[tuple[str, str], ...]) -> Fields:
    """Header fields with others over them."""
    for items in more:
        fields = fields.updated(dict(items))
    return fields
