"""Any response that is not plain: chunked, without a body, until the end of the connection, oddly spelled, or broken.

llhttp (through httptools) decides what is HTTP; this file decides where one response ends.
"""

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from loadtests.engine.http.failures import Failure
from loadtests.engine.http.wire import MAX_HEAD_BYTES, Head, head_of

FRAME_TO_BODY = 8
"""A chunked body of single bytes has five others for each of them."""
_PROTOCOL = b"HTTP/"
_WITHOUT_BODY = {204, 304}


class ResponseParser:
    """Takes the bytes of one response as they come.

    `feed` raises Failure (`malformed`, `too_large`), `end` also `truncated`. Bytes that follow the response are never given
    to anybody: they set `surplus`, after which the connection cannot be used again.
    """

    def __init__(self, no_body: bool, max_body_bytes: int) -> None:
        self._no_body, self._max_body_bytes = no_body, max_body_bytes
        self._parser = HttpResponseParser(self)
        # A header folded over several lines is no longer sent, and still to be understood (RFC 9112, section 5.2).
        self._parser.set_dangerous_leniencies(lenient_headers=True)
        self._is_chunked = False
        self._fed_bytes = self._body_bytes = 0
        self._first = b""
        self._chunks: list[bytes] = []
        self._failure: Failure | None = None
        self._reset()
        self.head: Head | None = None
        """Once it is complete."""
        self.complete = False
        self.surplus = False

    def _reset(self) -> None:
        self._reason, self._fields = b"", list[tuple[str, str]]()

    @property
    def reusable(self) -> bool:
        """Whether another request may follow on the same connection."""
        return self.complete and not self.surplus and self.head is not None and self.head.keep_alive

    def feed(self, data: bytes) -> None:
        """Take more bytes."""
        if self.complete:
            self.surplus = self.surplus or bool(data.strip(b"\r\n"))  # empty lines are nothing, to llhttp too
            return
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            self._on_error("the answer changes the protocol")
        except HttpParserError as error:
            self._on_error(str(error))
        self._look(data)
        if self._failure is not None:
            raise self._failure

    def _on_error(self, text: str) -> None:
        if self.complete:
            self.surplus = True  # the response was whole, what follows it is nothing that was asked for
        else:
            self._fail("malformed", text)

    def _look(self, data: bytes) -> None:
        """What llhttp does not mind: another protocol of the same shape, and heads, chunk sizes and trailers without end."""
        if len(self._first) < len(_PROTOCOL):
            # Empty lines before it are skipped, as llhttp does.
            self._first = (self._first + data).lstrip(b"\r\n")[: len(_PROTOCOL)]
            if not _PROTOCOL.startswith(self._first):
                self._fail("malformed", "another protocol")
        self._fed_bytes += len(data)
        frame_bytes = self._fed_bytes - self._body_bytes
        if not self.complete and frame_bytes > MAX_HEAD_BYTES + FRAME_TO_BODY * self._body_bytes:
            self._fail("too_large", "head")

    def end(self) -> None:
        """The connection was closed: an unframed body is complete by that, everything else is cut off."""
        if self.complete:
            return
        if self.head is None or self.head.length is not None or self._is_chunked:
            raise Failure("truncated")
        self.complete = True

    def take_body(self) -> bytes:
        """The body's bytes since the last call."""
        body = b"".join(self._chunks)
        self._chunks.clear()
        return body

    def _fail(self, kind: str, text: str) -> None:
        self._failure = self._failure or Failure(kind, text)

    # Called by httptools.

    def on_message_begin(self) -> None:
        """A response begins, or a second one, which nobody asked for."""
        if self.complete:
            self.surplus = True
        self._reset()

    def on_status(self, status: bytes) -> None:
        """Part of the reason."""
        self._reason += status

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, which nobody reads."""
        if self.head is None:
            if b"\0" in value:
                self._fail("malformed", "a NUL in a header")
            self._fields.append((name.decode("latin-1"), value.decode("latin-1").strip(" \t")))

    def on_headers_complete(self) -> None:
        """The head is there; an informational one is not the answer."""
        status = self._parser.get_status_code()
        if self.complete or status < 200:
            return
        names = {name.lower(): value.lower() for name, value in self._fields}
        self._is_chunked = names.get("transfer-encoding", "").endswith("chunked")
        keep_alive = self._parser.should_keep_alive()
        version = self._parser.get_http_version()
        if version not in {"1.0", "1.1"}:
            self._fail("malformed", f"HTTP/{version}")
        if self._no_body and version == "1.1":
            # Without a length it looks as if the missing body went on until the end of the connection.
            keep_alive = "close" not in {token.strip() for token in names.get("connection", "").split(",")}
        self.head = head_of(status, self._reason.decode("latin-1"), self._fields, keep_alive)
        announced = 0 if self._no_body or status in _WITHOUT_BODY else self.head.length or 0
        if announced > self._max_body_bytes:
            self._fail("too_large", "body")
        self.complete = self._no_body

    def on_body(self, body: bytes) -> None:
        """Part of the body."""
        if self.complete:
            self.surplus = True
            return
        self._body_bytes += len(body)
        if self._body_bytes > self._max_body_bytes:
            self._fail("too_large", "body")
        else:
            self._chunks.append(body)

    def on_message_complete(self) -> None:
        """The response is complete, unless it was an informational one."""
        if self.head is not None:
            self.complete = True
