"""Answers that are not plain, from bytes in any pieces."""

from collections.abc import Iterable
from dataclasses import dataclass

import pytest

from loadtests.engine.http.failures import Failure
from loadtests.engine.http.parser import ResponseParser
from loadtests.engine.http.wire import MAX_HEAD_BYTES, Head

LIMIT = 10_000
OK = b"HTTP/1.1 200 OK\r\n"


@dataclass
class Parsed:
    """What became of the bytes."""

    head: Head
    body: bytes
    reusable: bool
    surplus: bool


def parse(data: bytes, *, no_body: bool = False, ends: bool = False, piece: int | None = None) -> Parsed:
    """A whole answer, as one piece or in pieces of some size, and perhaps the end of the connection."""
    parser = ResponseParser(no_body, LIMIT)
    for part in pieces(data, piece or len(data)):
        parser.feed(part)
    if ends:
        parser.end()
    assert parser.complete and parser.head is not None
    return Parsed(parser.head, parser.take_body(), parser.reusable, parser.surplus)


def pieces(data: bytes, size: int) -> Iterable[bytes]:
    """The data, cut."""
    return (data[start : start + size] for start in range(0, len(data), size))


def refusal(data: bytes, *, ends: bool = False, piece: int | None = None, no_body: bool = False) -> str:
    """Why the bytes are no answer."""
    with pytest.raises(Failure) as caught:
        parse(data, ends=ends, piece=piece, no_body=no_body)
    return caught.value.kind


CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
WHOLE = {
    "chunked": (CHUNKED + b"3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n", b"abc0123456789", True),
    "trailers": (CHUNKED + b"1\r\na\r\n0\r\nX: y\r\nY: z\r\n\r\n", b"a", True),
    "chunked, closing": (OK + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"", False),
    "compressed and chunked": (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", b"a", True),
    "length": (OK + b"Content-Length: 3\r\n\r\nabc", b"abc", True),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", b"", True),
    "204 with a length": (b"HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n", b"", True),
    "304": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", b"", True),
    "304, closing": (b"HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n", b"", False),
    "304 for something large": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99999999\r\n\r\n", b"", True),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", b"a", False),
    "HTTP/1.0, kept": (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na", b"a", True),
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 1\r\n\r\na", b"a", True),
    "after 100": (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 1\r\n\r\na", b"a", True),
    "after 103 with fields": (
        b"HTTP/1.1 103 E\r\nContent-Length: 5\r\nLink: x\r\n\r\n" + OK + b"Content-Length: 1\r\n\r\na",
        b"a",
        True,
    ),
    "upgrade offered": (OK + b"Upgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 1\r\n\r\na", b"a", True),
    "several connections": (OK + b"Connection: keep-alive, x\r\nContent-Length: 1\r\n\r\na", b"a", True),
    "close among connections": (OK + b"Connection: x, close\r\nContent-Length: 1\r\n\r\na", b"a", False),
    "zeros before the length": (OK + b"Content-Length: 00000000000000000003\r\n\r\nabc", b"abc", True),
}


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("piece", [None, 1, 7])
def test_whole_answer(name: str, piece: int | None) -> None:
    """An answer ends where it ends, in one piece or in many."""
    data, body, reusable = WHOLE[name]
    parsed = parse(data, piece=piece)
    assert (parsed.body, parsed.reusable, parsed.surplus) == (body, reusable, False)


@pytest.mark.parametrize("name", [name for name in WHOLE if WHOLE[name][2]])
@pytest.mark.parametrize("more", [b"x", OK, OK + b"Content-Length: 3\r\n\r\nabc", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_surplus(name: str, more: bytes) -> None:
    """What follows an answer, with it or later, changes nothing in it and ends the connection."""
    data, body, _ = WHOLE[name]
    together = parse(data + more)
    assert (together.body, together.reusable) == (body, False)
    parser = ResponseParser(no_body=False, max_body_bytes=LIMIT)
    parser.feed(data)
    assert parser.reusable
    parser.feed(more)
    assert (parser.take_body(), parser.surplus, parser.reusable) == (body, True, False)


SWITCHING = b"HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"


@pytest.mark.parametrize("size", [None, 1])
def test_odd_surplus(size: int | None) -> None:
    """A change of the protocol is surplus too, in one piece with the answer or later; an empty line is nothing."""
    answer = CHUNKED + b"0\r\n\r\n"
    assert not parse(answer + SWITCHING, piece=size).reusable
    assert parse(answer + b"\r\n", piece=size).reusable


def test_fields() -> None:
    """Fields come as they were written, folded lines as one, trailers and informational ones not at all."""
    data = (
        b"HTTP/1.1 103 E\r\nA: no\r\n\r\n"
        + OK
        + b"a: 1 \r\nA:\t2\r\nB: x\r\n  y\r\nC: \xe4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nT: no\r\n\r\n"
    )
    parsed = parse(data)
    assert (parsed.head.status, parsed.head.reason) == (200, "OK")
    assert parsed.head.fields == (("a", "1"), ("A", "2"), ("B", "x  y"), ("C", "\u00e4"), ("Transfer-Encoding", "chunked"))


@pytest.mark.parametrize("piece", [None, 1])
def test_no_body(piece: int | None) -> None:
    """An answer to HEAD ends with its head, whatever that says of a body."""
    for line in (b"Content-Length: 5\r\n", b"Content-Length: 99999999\r\n", b"Transfer-Encoding: chunked\r\n", b""):
        parsed = parse(OK + line + b"\r\n", no_body=True, piece=piece)
        assert (parsed.body, parsed.reusable) == (b"", True)
        surplus = parse(OK + line + b"\r\n" + b"hello", no_body=True)
        assert (surplus.body, surplus.reusable) == (b"", False)


@pytest.mark.parametrize("connection", ["close", "Close", "close, x", "x, close"])
def test_no_body_and_no_connection(connection: str) -> None:
    """An answer to HEAD that announces the end of its connection is the last on it."""
    assert not parse(OK + f"Connection: {connection}\r\nContent-Length: 5\r\n\r\n".encode(), no_body=True).reusable


def test_until_the_end() -> None:
    """A body without a frame is complete when the connection ends, and not before."""
    for line in (b"", b"Transfer-Encoding: gzip\r\n"):
        parser = ResponseParser(no_body=False, max_body_bytes=LIMIT)
        parser.feed(OK + line + b"\r\nab")
        parser.feed(b"c")
        assert not parser.complete
        parser.end()
        assert (parser.complete, parser.take_body(), parser.reusable) == (True, b"abc", False)


def test_body_comes_once() -> None:
    """A body is taken in pieces, each once."""
    parser = ResponseParser(no_body=False, max_body_bytes=LIMIT)
    parser.feed(CHUNKED + b"3\r\nab")
    assert (parser.take_body(), parser.take_body()) == (b"ab", b"")
    parser.feed(b"c\r\n0\r\n\r\n")
    assert (parser.take_body(), parser.complete) == (b"c", True)


CUT = {
    "nothing": b"",
    "status line": b"HTTP/1.1 200",
    "head": OK + b"Content-Length: 1",
    "body": OK + b"Content-Length: 3\r\n\r\nab",
    "body with zeros before its length": OK + b"Content-Length: 00000000000000000003\r\n\r\nab",
    "chunk": CHUNKED + b"3\r\nab",
    "chunks": CHUNKED + b"3\r\nabc\r\n",
    "last chunk": CHUNKED + b"0\r\n",
    "after 100": b"HTTP/1.1 100 Continue\r\n\r\n",
}


@pytest.mark.parametrize("name", CUT)
def test_truncated(name: str) -> None:
    """An answer whose connection ends before its own end is cut off."""
    assert refusal(CUT[name], ends=True, piece=1) == "truncated"


MALFORMED = {
    "babble": b"hello\r\n\r\n",
    "a request": b"GET / HTTP/1.1\r\n\r\n",
    "another protocol": b"RTSP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "another version": b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "no status": b"HTTP/1.1 OK\r\nContent-Length: 0\r\n\r\n",
    "two lengths": OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "length and chunked": OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked and length": OK + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    "negative length": OK + b"Content-Length: -1\r\n\r\n",
    "length of words": OK + b"Content-Length: one\r\n\r\n",
    "folded length": OK + b"Content-Length: 1\r\n 2\r\n\r\n",
    "endless length": OK + b"Content-Length: 99999999999999999999999\r\n\r\n",
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "no colon": OK + b"X\r\nContent-Length: 0\r\n\r\n",
    "NUL in a value": OK + b"X: a\0b\r\nContent-Length: 0\r\n\r\n",
    "bad chunk": CHUNKED + b"xyz\r\n",
    "chunk longer than it says": CHUNKED + b"1\r\nabc\r\n0\r\n\r\n",
    "switching": SWITCHING,
}


@pytest.mark.parametrize("name", MALFORMED)
@pytest.mark.parametrize("piece", [None, 1])
def test_malformed(name: str, piece: int | None) -> None:
    """What is not HTTP/1.1 is no answer."""
    assert refusal(MALFORMED[name], piece=piece) == "malformed"


ENDLESS = {
    "status line": (b"", b"x" * 1000),
    "reason": (b"HTTP/1.1 200 ", b"x" * 1000),
    "first field": (OK + b"A: ", b"x" * 1000),
    "name of the first field": (OK, b"x" * 1000),
    "second field": (OK + b"A: b\r\nB: ", b"x" * 1000),
    "name of the second field": (OK + b"A: b\r\n", b"x" * 1000),
    "many fields": (OK, b"A: b\r\n" * 100),
    "informational answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 10),
    "informational answers with fields": (b"", b"HTTP/1.1 103 E\r\nA: b\r\n\r\n" * 10),
    "trailer": (CHUNKED + b"0\r\nA: ", b"x" * 1000),
    "many trailers": (CHUNKED + b"0\r\n", b"A: b\r\n" * 100),
    "chunk extension": (CHUNKED + b"1;", b"x" * 1000),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_endless_head(name: str) -> None:
    """Whatever part of an answer that is not its body has no end, it is given up after a bounded number of bytes."""
    start, more = ENDLESS[name]
    parser = ResponseParser(no_body=False, max_body_bytes=LIMIT)
    with pytest.raises(Failure) as caught:  # noqa: PT012  # it may be any of the pieces
        parser.feed(start)
        for _ in range(8 * MAX_HEAD_BYTES // len(more)):
            parser.feed(more)
    assert caught.value.kind in {"too_large", "malformed"}


@pytest.mark.parametrize("length", [1000, 30_000, 40_000, 60_000])
def test_head_is_as_long_in_pieces(length: int) -> None:
    """The limit of a head counts each byte once, however the bytes arrive."""
    data = OK + b"A: " + b"x" * length + b"\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    assert parse(data, piece=1000).head == parse(data).head


def test_body_beyond_the_limit() -> None:
    """A body of exactly the limit is taken, one byte more is not, announced or counted."""
    for size, start in ((LIMIT, b"2710"), (LIMIT + 1, b"2711")):
        bodies = [
            OK + b"Content-Length: %d\r\n\r\n" % size + b"x" * size,
            CHUNKED + start + b"\r\n" + b"x" * size + b"\r\n0\r\n\r\n",
            OK + b"\r\n" + b"x" * size,
        ]
        for data in bodies:
            if size > LIMIT:
                assert refusal(data, ends=True) == "too_large"
            else:
                assert len(parse(data, ends=True).body) == size
    assert refusal(OK + b"Content-Length: %d\r\n\r\n" % (LIMIT + 1)) == "too_large"
    assert refusal(OK + b"Content-Length: 1234567890123456\r\n\r\n") == "too_large"
