"""What a request brought back, with the face of Locust's FastResponse and ResponseContextManager."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import cached_property
from io import BytesIO
from types import TracebackType
from typing import Any, Self, cast

from charset_normalizer import detect
from geventhttpclient.header import Headers
from locust.exception import CatchResponseError, LocustError, ResponseError
from requests.utils import get_encoding_from_headers

from loadtests.engine.http.bodies import decode
from loadtests.engine.http.failures import Failure, caused
from loadtests.engine.http.outgoing import Outgoing
from loadtests.engine.http.stream import BodyStream
from loadtests.engine.http.wire import Head

ITERATED_BYTES = 1024
NOT_CAUGHT = "to decide a request's result, pass catch_response=True and use the response in a with-block"


class Sent:
    """The request behind a response, after redirects."""

    def __init__(self, outgoing: Outgoing) -> None:
        self.method, self.url, self.body = outgoing.method, outgoing.url, outgoing.body
        self._fields = outgoing.fields

    @property
    def headers(self) -> Headers:
        """Headers, but for those that are the same for all (Host, Content-Length, the person's token and cookies)."""
        return Headers(self._fields.items)


class Response:
    """An answer, or the lack of one: then `status_code` is 0, `content` None and `error` says why."""

    def __init__(self, head: Head | None, content: bytes | None, error: Failure | None = None) -> None:
        self.head, self._content = head, content
        self.failed = error
        """Why it is a failure, or None."""
        self.service_s = 0.0

    request: Sent | None = None
    encoding: str | None = None
    """Of the text; may be set before `text` is read."""
    history: tuple["Response", ...] = ()
    """Redirects that led here, oldest first."""
    _stream: BodyStream | None = None
    _max_body_bytes = 0

    @property
    def status_code(self) -> int:
        """The status; 0 when nothing came back."""
        return 0 if self.head is None else self.head.status

    @property
    def ok(self) -> bool:
        """Whether the answer was one that the request expected."""
        return self.failed is None

    @property
    def failure_kind(self) -> str | None:
        """The name of the way in which it failed (failures.py), or None."""
        return None if self.failed is None else self.failed.kind

    @property
    def error(self) -> Exception | None:
        """The exception behind a failure, or None."""
        return None if self.failed is None else self.failed.original

    @property
    def content(self) -> bytes | None:
        """The body without its Content-Encoding; None when nothing came back. Reads what of a stream is left."""
        if self._stream is not None:
            stream, self._stream = self._stream, None
            self._content = decode(b"".join(stream), stream.head.encoding, self._max_body_bytes)
        return self._content

    @property
    def declared_length(self) -> int:
        """The body's length as its head says, 0 when it does not."""
        return 0 if self.head is None else self.head.length or 0

    @cached_property
    def headers(self) -> Headers | None:
        """The headers; names in any case."""
        return None if self.head is None else Headers(self.head.fields)

    @property
    def text(self) -> str | None:
        """The body as text, decoded as its Content-Type says, else as it looks."""
        if self.content is None:
            return None
        if self.encoding is None and self.headers is not None:
            self.encoding = get_encoding_from_headers(cast("Any", self.headers))  # any mapping does
        if self.encoding is None:
            self.encoding = detect(self.content)["encoding"] if self.content else "utf-8"
        return None if self.encoding is None else str(self.content, self.encoding, errors="replace")

    def json(self) -> Any:
        """The parsed body; raises ValueError when it is not JSON."""
        try:
            return json.loads(self.content or b"")
        except UnicodeDecodeError:  # not in UTF-8, as it should be; its Content-Type may say in what
            return json.loads(self.text or "")

    @property
    def url(self) -> str | None:
        """Where the answer came from, after redirects."""
        return None if self.request is None else self.request.url

    @property
    def elapsed(self) -> timedelta:
        """From the send to the last byte."""
        return timedelta(seconds=self.service_s)

    def raise_for_status(self) -> None:
        """Raise what made the request a failure, if anything did."""
        if self.error is not None:
            raise self.error

    def iter_content(self, chunk_size: int = ITERATED_BYTES, decode_content: bool = True) -> Iterator[bytes | str]:
        """The body in pieces of at most `chunk_size`; as text where that can be decoded, as Locust does it."""
        for chunk in self._chunks(chunk_size):
            try:
                yield chunk.decode() if decode_content else chunk
            except UnicodeDecodeError:
                yield chunk

    @property
    def stream(self) -> BodyStream | BytesIO:
        """The body to be read from: as it comes, when `stream=True` was asked for."""
        return BytesIO(self._content or b"") if self._stream is None else self._stream

    def attach(self, body: BodyStream, max_body_bytes: int) -> None:
        """The body is still to come; `max_body_bytes` bounds it once decoded."""
        self._stream, self._max_body_bytes = body, max_body_bytes

    def close(self) -> None:
        """Read no more of a stream."""
        if self._stream is not None:
            stream, self._stream = self._stream, None
            stream.close()

    def _chunks(self, size: int) -> Iterator[bytes]:
        stream, self._stream = self._stream, None
        for piece in iter((self._content or b"",)) if stream is None else stream:
            for start in range(0, len(piece), size):
                yield piece[start : start + size]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, raised: BaseException | None, _: TracebackType | None) -> bool | None:
        self.close()
        return None

    def success(self) -> None:
        """Only in a with-block."""
        raise LocustError(NOT_CAUGHT)

    def failure(self, exc: object) -> None:
        """Only in a with-block."""
        raise LocustError(NOT_CAUGHT)


class CaughtResponse(Response):
    """A response whose with-block decides whether it was a failure.

    What was not decided there is decided by its status, also when nobody ever entered the block: as soon as it is dropped.
    """

    js: Any
    """The parsed body, in `rest()`."""

    def __init__(self, response: Response, report: Callable[[Response, Failure | None], None]) -> None:
        self.__dict__.update(response.__dict__)
        self._report = report
        self._entered = self._reported = self._decided = False

    def __enter__(self) -> Self:
        self._entered = True
        return self

    def __exit__(self, kind: type[BaseException] | None, raised: BaseException | None, _: TracebackType | None) -> bool:
        expected = raised is None or isinstance(raised, ResponseError)
        if not self._decided and isinstance(raised, Exception):
            self.failed = caused("rejected", raised)
        self.conclude()
        # A block that has decided lets an error pass on, as Locust has it.
        return expected and not (self._decided and raised is not None)

    def success(self) -> None:
        """The request was ok, whatever its status."""
        self._decide(None)

    def failure(self, exc: object) -> None:
        """The request failed: an exception, or a text that says why."""
        self._decide(caused("rejected", exc if isinstance(exc, Exception) else CatchResponseError(exc)))

    def conclude(self) -> None:
        """Record the result, once."""
        if not self._reported:
            self._reported = True
            self._report(self, self.failed)

    def __del__(self) -> None:
        self.conclude()

    def _decide(self, failed: Failure | None) -> None:
        if not self._entered:
            raise LocustError(NOT_CAUGHT)
        self._decided, self.failed = True, failed
