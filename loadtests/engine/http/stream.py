"""A response's body, read as it comes."""

from collections.abc import Callable

from loadtests.engine.http.connection import Connection
from loadtests.engine.http.parser import ResponseParser


class BodyStream:
    """A body that comes in pieces. Whoever drops it early closes its connection, for the rest of it is still to come."""

    def __init__(self, connection: Connection, parser: ResponseParser) -> None:
        assert parser.head is not None, "read before"
        self.head = parser.head
        self._connection, self._parser = connection, parser
        self.when_over: Callable[[Connection], None] = lambda _: None
        """Called once, when the connection is free again."""
        self._over = False
        self._rest = b""

    def read(self, size: int | None = None) -> bytes:
        """At most `size` bytes, as they come, or all that is left; nothing at the end."""
        if size is None:
            rest, self._rest = self._rest, b""
            return rest + b"".join(self)
        data = self._rest or next(self, b"")
        self._rest = data[size:]
        return data[:size]

    def __iter__(self) -> "BodyStream":
        return self

    def __next__(self) -> bytes:
        """The next piece. Raises Failure when the connection breaks."""
        try:
            piece = b"" if self._over else self._connection.next_piece(self._parser)
        except BaseException:
            self.close()
            raise
        if not piece:
            self.close()
            raise StopIteration
        return piece

    def close(self) -> None:
        """Read no more."""
        if not self._over:
            self._over = True
            self._connection.end_stream(self._parser)
            self.when_over(self._connection)

    def __del__(self) -> None:
        self.close()
