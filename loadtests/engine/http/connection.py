"""One keep-alive connection, used by one greenlet at a time.

It waits with one read watcher for its whole life, not with a new one for each request: that is most of this client's speed.
The watcher stays armed while its user sleeps, so a connection that the server closes meanwhile is noticed and closed at once.
A callback that stays armed must know whose wait it ends, if any: `_waiter` is set only while a greenlet waits for bytes.
"""

import _socket
from dataclasses import dataclass
from time import perf_counter
from typing import Any
from weakref import ref

import gevent
from gevent import get_hub, getcurrent

from loadtests.engine.http.dial import READ, WRITE, dial, wait_for
from loadtests.engine.http.failures import Failure, exchange_failure
from loadtests.engine.http.origin import Origin
from loadtests.engine.http.parser import ResponseParser
from loadtests.engine.http.tls import TlsCodec
from loadtests.engine.http.wire import Head

CHUNK_BYTES = 16_384
LARGE_CHUNK_BYTES = 262_144
FRESH_S = 0.001
"""Within so short a time nothing is likely to have come on a kept connection that its watcher had no chance to see."""
_READY, _TIME_OUT = object(), object()


@dataclass(frozen=True)
class Limits:
    """Seconds for each step of a request (None: no limit), and bytes of a body once decoded."""

    connect_s: float | None = 60.0
    """Resolving, connecting and the TLS handshake together."""
    send_s: float | None = 60.0
    read_s: float | None = 60.0
    """Longest silence while waiting for the answer."""
    total_s: float | None = None
    """The whole exchange."""
    max_body_bytes: int = 64 * 1024 * 1024


class Connection:
    """A connection to `origin`, made when it is needed."""

    def __init__(self, origin: Origin, limits: Limits) -> None:
        self.origin, self._limits = origin, limits
        self._hub = get_hub()
        self._socket: _socket.socket | None = None
        self._tls: TlsCodec | None = None
        self._watcher: Any = None
        self._armed = self._busy = self._overdue = self._broken = False
        self._used = self._begun = 0.0
        self._waiter: Any = None
        self._reference = ref(self)
        total_s, read_s = limits.total_s, limits.read_s
        # Repeating timers, for `again` sets the full time anew; a stopped one that is started goes on with what was left of it.
        self._total_timer = None if total_s is None else self._hub.loop.timer(total_s, total_s)
        covered = read_s is None or (total_s is not None and total_s <= read_s)
        self._read_timer = None if covered else self._hub.loop.timer(read_s, read_s)

    def exchange(self, message: bytes, no_body: bool = False, idempotent: bool = False) -> tuple[Head, bytes]:
        """Send a request and return its whole response; `no_body` for an answer to HEAD.

        Raises Failure. Afterwards the connection is ready for the next request, or closed. An `idempotent` request is sent
        a second time, on a new connection, when the server closed the kept one before the first byte of its answer.
        """
        self._begin()
        try:
            data = self._ask(message, idempotent)
            plain = None if no_body else self.origin.heads.read(data)
            head, body = self._parse(data, no_body) if plain is None else self._complete(data, *plain)
        except BaseException:
            self.close()
            raise
        finally:
            self._end()
        return head, body

    def stream(self, message: bytes, no_body: bool = False, idempotent: bool = False) -> ResponseParser:
        """Send a request and read the head of its response; the connection belongs to the body until `end_stream`.

        Raises Failure.
        """
        self._begin()
        parser = ResponseParser(no_body, self._limits.max_body_bytes)
        try:
            parser.feed(self._ask(message, idempotent))
            while parser.head is None:
                self._feed(parser)
        except BaseException:
            self.close()
            self._end()
            raise
        return parser

    def close(self) -> None:
        """Give up the socket; the next request opens another."""
        if self._socket is None:
            return
        self._disarm()
        self._watcher.close()
        self._socket.close()
        self._socket = self._tls = self._watcher = None
        self.origin.sockets.open -= 1

    def __del__(self) -> None:
        self.close()

    # An exchange.

    def _begin(self) -> None:
        self._busy, self._overdue, self._broken = True, False, False
        self._begun = perf_counter()
        if self._total_timer is not None:
            self._total_timer.again(_overdue, self._reference, update=True)

    def _end(self) -> None:
        self._busy = False
        self._used = perf_counter()
        if self._total_timer is not None:
            self._total_timer.stop()

    def _ask(self, message: bytes, idempotent: bool) -> bytes:
        """Send the request; the first bytes of what comes back."""
        # One that may not be sent twice looks first whether anybody is still there; so does one whose watcher may have slept.
        fresh = idempotent and self._begun - self._used < FRESH_S
        reused = self._socket is not None and (fresh or self._is_alive())
        if not reused:
            self._open()
        try:
            data = self._attempt(message)
        except ConnectionError as error:
            if not (reused and idempotent):
                raise exchange_failure(error) from error
            data = b""
        except OSError as error:
            raise exchange_failure(error) from error
        if data:
            return data
        if not (reused and idempotent):
            raise Failure("closed")
        self.close()
        return self._ask(message, idempotent)

    def _attempt(self, message: bytes) -> bytes:
        try:
            self._transmit(message)
        except (BrokenPipeError, ConnectionResetError):
            # A server may answer and close before it has read everything; BlockingIOError cannot come from a broken socket.
            self._broken = True
            return self._receive()
        return self._receive_next("read_timeout")

    def _complete(self, data: bytes, head: Head, start: int) -> tuple[Head, bytes]:
        """The rest of a plain response."""
        assert head.length is not None, "a plain head has a length"
        if head.length > self._limits.max_body_bytes:
            raise Failure("too_large", "body")
        missing = start + head.length - len(data)
        if missing == 0:
            body = data[start:]
        elif missing < 0:
            body = data[start : start + head.length]
        else:
            body, missing = self._rest(data[start:], missing)
        if missing < 0 or not head.keep_alive or self._broken:
            self.close()
        return head, body

    def _rest(self, first: bytes, missing: int) -> tuple[bytes, int]:
        """The whole body, and minus the number of bytes that came after it."""
        pieces = [first]
        while missing > 0:
            data = self._more()
            if not data:
                raise Failure("truncated")
            pieces.append(data)
            missing -= len(data)
        body = b"".join(pieces)
        return body[:missing] if missing < 0 else body, missing

    def _parse(self, data: bytes, no_body: bool) -> tuple[Head, bytes]:
        """A response that is not plain."""
        parser = ResponseParser(no_body, self._limits.max_body_bytes)
        parser.feed(data)
        while not parser.complete:
            self._feed(parser)
        assert parser.head is not None, "a complete response has a head"
        if not parser.reusable or self._broken:
            self.close()
        return parser.head, parser.take_body()

    def _feed(self, parser: ResponseParser) -> None:
        data = self._more()
        if data:
            parser.feed(data)
        else:
            parser.end()

    def next_piece(self, parser: ResponseParser) -> bytes:
        """More of a streamed body, nothing at its end. Raises Failure."""
        try:
            while not (piece := parser.take_body()) and not parser.complete:
                self._feed(parser)
        except BaseException:
            self.close()
            raise
        return piece

    def end_stream(self, parser: ResponseParser) -> None:
        """The body is read, or given up."""
        if not parser.reusable or self._broken:
            self.close()
        self._end()

    # Bytes.

    def _transmit(self, message: bytes) -> None:
        assert self._socket is not None, "opened before"
        if self._tls is not None:
            message = self._tls.encrypt(message)
        try:
            sent = self._socket.send(message)
        except BlockingIOError:
            sent = 0
        if sent != len(message):
            self._transmit_rest(message[sent:])

    def _transmit_rest(self, rest: bytes) -> None:
        assert self._socket is not None, "opened before"
        with self._within(self._limits.send_s, "send_timeout"):
            while rest:
                wait_for(self._socket, WRITE)
                try:
                    rest = rest[self._socket.send(rest) :]
                except BlockingIOError:
                    continue

    def _more(self) -> bytes:
        """More bytes of an answer that has begun, nothing when the connection was closed."""
        try:
            try:
                return self._receive(LARGE_CHUNK_BYTES)
            except BlockingIOError:
                return self._receive_next("total_timeout")
        except ConnectionError as error:
            raise Failure("truncated") from error
        except OSError as error:
            raise exchange_failure(error) from error

    def _receive_next(self, total_kind: str) -> bytes:
        while True:
            self._wait_readable(total_kind)
            try:
                return self._receive()
            except BlockingIOError:  # TLS had something to say to itself
                continue

    def _receive(self, size: int = CHUNK_BYTES) -> bytes:
        """What has arrived, nothing when the connection was closed. Raises BlockingIOError when there is nothing yet."""
        assert self._socket is not None, "opened before"
        if self._tls is None:
            return self._socket.recv(size)
        data = self._tls.read(size)
        while data is None:
            self._tls.feed(self._socket.recv(max(size, CHUNK_BYTES)))
            data = self._tls.read(size)
            if reply := self._tls.to_send():
                self._socket.send(reply)
        return data

    def _is_alive(self) -> bool:
        """Whether the kept connection can be used: neither closed by the server, nor holding bytes that nobody asked for."""
        if self._socket is None:
            return False
        try:
            self._receive(1)
        except BlockingIOError:
            return True
        except OSError:
            pass
        self.close()
        return False

    # Waiting.

    def _wait_readable(self, total_kind: str) -> None:
        if self._overdue:
            raise Failure(total_kind)
        if not self._armed:
            self._armed = True
            self._watcher.start(_wake, self._reference)
        timer = self._read_timer
        if timer is not None:
            timer.again(self._on_read_time, update=True)
        self._waiter = getcurrent()
        try:
            woken = self._hub.switch()
            while woken is not _READY and woken is not _TIME_OUT:  # somebody switched to this greenlet by mistake
                woken = self._hub.switch()
        finally:
            self._waiter = None
            if timer is not None:
                timer.stop()
        if woken is _TIME_OUT:
            raise Failure(total_kind if self._overdue else "read_timeout")

    def _on_unexpected(self) -> None:
        """Bytes, or the end, while nobody waits for them."""
        if self._busy:
            self._disarm()  # an early answer; it is read when the request has been sent
        else:
            self._is_alive()

    def _on_read_time(self) -> None:
        if self._waiter is not None:
            self._waiter.switch(_TIME_OUT)

    def _disarm(self) -> None:
        if self._armed:
            self._armed = False
            self._watcher.stop()

    def _within(self, limit_s: float | None, kind: str) -> gevent.Timeout:
        """A time limit for a step, which ends no later than the whole exchange."""
        total_s = self._limits.total_s
        left_s = None if total_s is None else max(0.001, self._begun + total_s - perf_counter())
        limits = [one for one in (limit_s, left_s) if one is not None]
        return gevent.Timeout(min(limits, default=None), Failure(kind))

    def _open(self) -> None:
        with self._within(self._limits.connect_s, "connect_timeout"):
            self._socket, self._tls = dial(self.origin)
        self._watcher = self._hub.loop.io(self._socket.fileno(), READ)
        sockets = self.origin.sockets
        sockets.opened += 1
        sockets.open += 1


def _wake(reference: "ref[Connection]") -> None:
    """What an armed watcher calls. It must not keep its connection alive, or nobody's connection would stay open for ever."""
    connection = reference()
    if connection is None:
        return
    waiter = connection._waiter
    if waiter is not None:
        waiter.switch(_READY)
    else:
        connection._on_unexpected()


def _overdue(reference: "ref[Connection]") -> None:
    """What the timer of a whole exchange calls."""
    connection = reference()
    if connection is None:
        return
    connection._overdue = True
    connection._on_read_time()
