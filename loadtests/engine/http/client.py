"""What every request of a person goes through: their connections, token and cookies, the clock, and the record.

`client.send(CREATE_TASK, body)` sends a prepared request with no more work than it needs.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from http.cookiejar import CookieJar
from typing import Any, Protocol
from urllib.parse import unquote

from gevent import GreenletExit
from locust.contrib.fasthttp import LocustBadStatusCode

from loadtests import __version__
from loadtests.engine.http.bodies import ACCEPT_ENCODING, decode
from loadtests.engine.http.connection import Limits
from loadtests.engine.http.cookies import cookie_header, take_cookies
from loadtests.engine.http.failures import Failure, caused
from loadtests.engine.http.origin import ContextFactory, Network
from loadtests.engine.http.outgoing import IDEMPOTENT, basic
from loadtests.engine.http.pool import Pool
from loadtests.engine.http.response import Response
from loadtests.engine.http.tls import verifying_context
from loadtests.engine.http.wire import Fields, encode_fields, encode_target, request_end, request_start
from loadtests.traffic.prepared import Prepared

log = logging.getLogger(__name__)

UNAUTHORIZED = 401
DEFAULT_HEADERS = {"User-Agent": f"loadtests/{__version__}", "Accept-Encoding": ACCEPT_ENCODING}


class Abandoned(GreenletExit):  # type: ignore[misc]  # gevent is untyped
    """Thrown into a user whose request was still unanswered when the drain ended."""


class Sink(Protocol):
    """Where measurements go. Every `sent` is followed by exactly one `done`."""

    def sent(self, planned: bool) -> None:
        """A request goes out; `planned` unless no turn asked for it."""

    def done(self, method: str, name: str, response_us: int, service_us: int, received: int, failed: Failure | None) -> None:
        """It has ended; `received` bytes of body."""


class Listeners(Protocol):
    """Who besides the sink wants to hear of each request: listeners of Locust's `request` event."""

    @property
    def any(self) -> bool:
        """Whether there is anybody."""

    def fire(self, **event: Any) -> None:
        """Tell them."""


@dataclass(frozen=True, eq=False)
class Options:
    """How a session behaves; shared by all users of a kind."""

    limits: Limits = field(default_factory=Limits)
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent with every request, besides DEFAULT_HEADERS, which they may replace."""
    max_redirects: int = 30
    concurrency: int = 10
    """Requests at once, from several greenlets of one user."""
    context_factory: ContextFactory = verifying_context

    @cached_property
    def fields(self) -> Fields:
        """All headers that every request has."""
        return Fields(DEFAULT_HEADERS).updated(self.headers)


class Client:
    """One person's connections. Raises ValueError for a base URL that is none."""

    def __init__(
        self, base_url: str, sink: Sink, listeners: Listeners, network: Network, options: Options, user: Any = None
    ) -> None:
        scheme, _, rest = base_url.partition("://")
        netloc, slash, path = rest.partition("/")
        credentials, _, netloc = netloc.rpartition("@")
        self.base_url = f"{scheme}://{netloc}{slash}{path}".rstrip("/")
        self.user = user
        self.last_name = ""
        """Name of the last request."""
        self.when_refused: Callable[[str | None], bool] | None = None
        """Called with the Authorization of a request that was answered with 401: whether it is worth another try."""
        self._sink, self._listeners, self._network, self._options = sink, listeners, network, options
        self._home = network.origin(scheme.lower(), netloc, options.context_factory)
        self._base_path = (slash + path).rstrip("/")
        self._pool = Pool(options.limits)
        self._fields = options.fields
        self._authorization: str | None = None
        self._authorization_line = b""
        self._prepared = self._home.prepared_with(self._fields)
        self._cookiejar: CookieJar | None = None
        self._due: float | None = None
        if credentials:
            name, _, password = credentials.partition(":")
            self.authorization = basic(unquote(name), unquote(password))

    @property
    def authorization(self) -> str | None:
        """Value of the Authorization header of requests that bring none of their own."""
        return self._authorization

    @authorization.setter
    def authorization(self, value: str | None) -> None:
        self._authorization_line = b"" if value is None else encode_fields({"Authorization": value})
        self._authorization = value

    @property
    def cookiejar(self) -> CookieJar:
        """The person's cookies."""
        if self._cookiejar is None:
            self._cookiejar = CookieJar()
        return self._cookiejar

    def due(self, perf_counter_s: float) -> None:
        """The next request was due at this moment; its response time runs from there. Later ones run from their send."""
        self._due = perf_counter_s

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    def send(self, request: Prepared, data: bytes | None = None, **parts: object) -> Response:
        """Send a prepared request with this body and these parts of its path, and record it; redirects are not followed.

        Failures are recorded and returned, never raised; an abandoned request is recorded and raised on. One that is refused
        with 401 is sent a second time when the person has got a new token; both are recorded.
        """
        due, self._due = self._due, None
        began, authorization = time.perf_counter(), self._authorization
        response = self._attempt(request, data, parts, due)
        if response.failed is not None and "authorization" not in request.own and self._may_repeat(response, authorization):
            response = self._attempt(request, data, parts, due or began)
        return response

    def _attempt(self, request: Prepared, data: bytes | None, parts: Mapping[str, object], due: float | None) -> Response:
        method, self.last_name = request.method, request.name
        message = self._message(request, data, parts)
        connection = self._pool.take(self._home)
        sent = time.perf_counter()
        due = due or sent
        self._sink.sent(True)
        leaving = None
        try:
            head, content = connection.exchange(message, method == "HEAD", method in IDEMPOTENT)
            if head.encoding:
                content = decode(content, head.encoding, self._options.limits.max_body_bytes)
            if head.sets_cookies:
                take_cookies(self.cookiejar, head, self._url_of(request, parts))
            good = head.status in request.expect if request.expect else head.status < 400
            response = Response(head, content, None if good else status_failure(head.status, self._url_of(request, parts)))
        except BaseException as error:
            response, leaving = unanswered(error)
        end = time.perf_counter()
        self._pool.give(connection)
        response.service_s = end - sent
        received = len(response.content or b"")
        self._sink.done(method, request.name, round((end - due) * 1e6), round((end - sent) * 1e6), received, response.failed)
        if self._listeners.any:
            self._tell(method, request.name, response, received, self._url_of(request, parts), time.time() - (end - sent), {})
        if leaving is not None:
            raise leaving
        return response

    def _may_repeat(self, response: Response, authorization: str | None) -> bool:
        """Whether a request that failed with this Authorization is to be sent once more, with another."""
        return response.status_code == UNAUTHORIZED and self.when_refused is not None and self.when_refused(authorization)

    def _message(self, request: Prepared, data: bytes | None, parts: Mapping[str, object]) -> bytes:
        kept = self._prepared.get(request)
        if kept is None:
            fields = self._fields.updated(request.headers)
            host = fields.host or self._home.host_header
            start = b"" if request.is_template else self._start(request, {}, host)
            kept = self._prepared[request] = host, start + fields.lines
        host, lines = kept
        if parts or request.is_template:
            lines = self._start(request, parts, host) + lines
        own = request.own
        if self._cookiejar is not None and "cookie" not in own:
            lines += self._cookie_line(self._url_of(request, parts))
        if "authorization" not in own:
            lines += self._authorization_line
        return lines + request_end(request.method, data)

    def _cookie_line(self, url: str) -> bytes:
        cookies = cookie_header(self.cookiejar, url)
        return encode_fields({"Cookie": cookies}) if cookies else b""

    def _start(self, request: Prepared, parts: Mapping[str, object], host: str) -> bytes:
        return request_start(request.method, encode_target(self._base_path + request.fill(parts)), host)

    def _url_of(self, request: Prepared, parts: Mapping[str, object]) -> str:
        return self.base_url + request.fill(parts)

    def _tell(
        self, method: str, name: str, response: Response, received: int, url: str, epoch_s: float, context: Mapping[str, Any]
    ) -> None:
        """Fire Locust's `request` event for its listeners. Of requests that Locust itself cut off it says nothing either."""
        if response.failure_kind == "stopped":
            return
        own = {} if self.user is None else self.user.context()
        self._listeners.fire(
            request_type=method,
            name=name,
            response_time=response.service_s * 1e3,
            response_length=received,
            response=response,
            context={**own, **context},
            exception=response.error,
            start_time=epoch_s,
            url=url,
        )


def status_failure(status: int, url: str) -> Failure:
    """The failure of an answer whose status was not expected."""
    return caused(f"status_{status}", LocustBadStatusCode(url, code=status))


def unanswered(error: BaseException) -> tuple[Response, BaseException | None]:
    """The response in place of one that did not come, and what is to be raised once it is recorded."""
    if isinstance(error, Exception) and not isinstance(error, Failure):
        # Nothing that is known to happen; it is counted, and seen, rather than lost with the user.
        log.error("a request raised", exc_info=error)
    forget_where(error)
    match error:
        case Failure():
            return Response(None, None, error), None
        case Abandoned():
            return Response(None, None, Failure("abandoned")), error
        case Exception():
            return Response(None, None, caused("error", error)), None
        case GreenletExit():
            return Response(None, None, Failure("stopped")), error
    # gevent.Timeout, most likely: the user's own code would not wait any longer.
    return Response(None, None, Failure("cancelled", str(error))), error


def forget_where(error: BaseException | None) -> None:
    """Take the tracebacks off a chain of errors: they hold the frames that hold the response that holds the error.

    Such a ring is garbage that only a collector finds, and during a load it looks at young objects alone.
    """
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__
