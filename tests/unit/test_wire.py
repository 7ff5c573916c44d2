"""The bytes of requests, and heads that are plain or not."""

import pytest

from loadtests.engine.http.wire import (
    KNOWN_HEADS,
    MAX_HEAD_BYTES,
    Fields,
    Head,
    KnownHeads,
    encode_fields,
    encode_target,
    plain_head,
    request_end,
    request_start,
)


def head(*lines: str, status: str = "HTTP/1.1 200 OK") -> bytes:
    """A head with these lines."""
    return "\r\n".join([status, *lines, "", ""]).encode("latin-1")


def test_plain_head() -> None:
    """A head that is spelled as usual says all that there is to say about its answer."""
    raw = head(
        "Server: nginx", "Set-Cookie: a=b", "content-encoding: GZIP", "Content-Length: 12", "X-Empty:", "Connection: keep-alive"
    )
    assert plain_head(raw) == Head(
        status=200,
        reason="OK",
        fields=(
            ("Server", "nginx"),
            ("Set-Cookie", "a=b"),
            ("content-encoding", "GZIP"),
            ("Content-Length", "12"),
            ("X-Empty", ""),
            ("Connection", "keep-alive"),
        ),
        length=12,
        keep_alive=True,
        encoding="gzip",
        sets_cookies=True,
    )


PLAIN = {
    "odd casing": (head("cOnTeNt-LeNgTh: 5"), 5, True),
    "no space": (head("Content-Length:5"), 5, True),
    "spaces and tabs around": (head("Content-Length: \t 5 \t"), 5, True),
    "leading zeros": (head("Content-Length: 005"), 5, True),
    "nothing": (head("Content-Length: 0"), 0, True),
    "huge length": (head("Content-Length: 123456789012345"), 123456789012345, True),
    "close": (head("Content-Length: 5", "Connection: close"), 5, False),
    "close, oddly": (head("CONNECTION: Close", "Content-Length: 5"), 5, False),
    "keep-alive": (head("Connection: Keep-Alive", "Content-Length: 5"), 5, True),
    "error": (head("Content-Length: 5", status="HTTP/1.1 500 Internal Server Error"), 5, True),
    "redirect": (head("Location: /", "Content-Length: 0", status="HTTP/1.1 302 Found"), 0, True),
    "empty reason": (head("Content-Length: 5", status="HTTP/1.1 200 "), 5, True),
    "colons in a value": (head("Date: 10:11:12", "Content-Length: 5"), 5, True),
}


@pytest.mark.parametrize("name", PLAIN)
def test_plain(name: str) -> None:
    """These heads are read without a parser."""
    raw, length, keep_alive = PLAIN[name]
    found = plain_head(raw)
    assert found is not None
    assert (found.length, found.keep_alive) == (length, keep_alive)


NOT_PLAIN = {
    "no field": head(),
    "no length": head("Server: x"),
    "chunked": head("Transfer-Encoding: chunked"),
    "chunked and length": head("Content-Length: 5", "Transfer-Encoding: chunked"),
    "two equal lengths": head("Content-Length: 5", "Content-Length: 5"),
    "two lengths": head("Content-Length: 5", "content-length: 6"),
    "a list of lengths": head("Content-Length: 5, 5"),
    "signed length": head("Content-Length: +5"),
    "negative length": head("Content-Length: -5"),
    "empty length": head("Content-Length:"),
    "length in hexadecimal": head("Content-Length: 0x5"),
    "underscored length": head("Content-Length: 1_0"),
    "length in other digits": head("Content-Length: \u00b2"),
    "length beyond all measure": head("Content-Length: 1234567890123456"),
    "folded": head("X: a", " b", "Content-Length: 5"),
    "folded with a tab": head("X: a", "\tb", "Content-Length: 5"),
    "space before the colon": head("Content-Length : 5"),
    "space in a name": head("X Y: a", "Content-Length: 5"),
    "no name": head(": a", "Content-Length: 5"),
    "no colon": head("X", "Content-Length: 5"),
    "not ASCII": head("X: \u00e4", "Content-Length: 5"),
    "control character": head("X: \x00", "Content-Length: 5"),
    "bare line feed": b"HTTP/1.1 200 OK\nContent-Length: 5\n\n",
    "bare carriage return": head("X: a\rY: b", "Content-Length: 5"),
    "204": head("Content-Length: 0", status="HTTP/1.1 204 No Content"),
    "304": head("Content-Length: 5", status="HTTP/1.1 304 Not Modified"),
    "informational": head("Content-Length: 5", status="HTTP/1.1 100 Continue"),
    "status beyond 599": head("Content-Length: 5", status="HTTP/1.1 600 X"),
    "HTTP/1.0": head("Content-Length: 5", status="HTTP/1.0 200 OK"),
    "HTTP/2.0": head("Content-Length: 5", status="HTTP/2.0 200 OK"),
    "lower case": head("Content-Length: 5", status="http/1.1 200 OK"),
    "no reason": head("Content-Length: 5", status="HTTP/1.1 200"),
    "two connections": head("Connection: close", "Connection: keep-alive", "Content-Length: 5"),
    "a list of connections": head("Connection: close, x", "Content-Length: 5"),
    "upgrade": head("Upgrade: h2c", "Content-Length: 5"),
    "trailer": head("Trailer: X", "Content-Length: 5"),
    "proxy": head("Proxy-Connection: close", "Content-Length: 5"),
    "too long": head("X: " + "a" * MAX_HEAD_BYTES, "Content-Length: 5"),
    "a space before it": b" " + head("Content-Length: 5"),
    "a byte after it": head("Content-Length: 5") + b"x",
    "incomplete": head("Content-Length: 5")[:-2],
    "nothing": b"",
}


@pytest.mark.parametrize("name", NOT_PLAIN)
def test_not_plain(name: str) -> None:
    """These heads are left to the parser."""
    assert plain_head(NOT_PLAIN[name]) is None


def test_known_heads() -> None:
    """A remembered head means what it meant at first, and says where its body begins."""
    known, raw = KnownHeads(), head("Content-Length: 2")
    for body in (b"", b"ok", b"ok\r\n\r\nsurplus"):
        assert known.read(raw + body) == (plain_head(raw), len(raw))
    for _ in range(2):
        assert known.read(head("Transfer-Encoding: chunked") + b"0\r\n\r\n") is None
    assert known.read(raw[:-1]) is None
    assert known.read(b"") is None


def test_known_heads_are_not_without_end() -> None:
    """A server whose heads all differ does not fill the memory, and each is still understood."""
    known = KnownHeads()
    for number in range(KNOWN_HEADS * 3):
        found = known.read(head(f"Content-Length: {number}"))
        assert found is not None and found[0].length == number
    assert len(known._known) <= KNOWN_HEADS


TARGETS = {
    "": b"/",
    "/": b"/",
    "/a/b": b"/a/b",
    "a": b"/a",
    "?a=b": b"/?a=b",
    "/a?b=c&d=e+f": b"/a?b=c&d=e+f",
    "/a#fragment": b"/a",
    "/a?b=c#d?e": b"/a?b=c",
    "/a b": b"/a%20b",
    "/%20%C3%A4": b"/%20%C3%A4",
    "/ä?ö=ü": b"/%C3%A4?%C3%B6=%C3%BC",
    "/\U0001f600": b"/%F0%9F%98%80",
    '/<a>"{b}|\\^`': b"/%3Ca%3E%22%7Bb%7D%7C%5C%5E%60",
    "/a\r\nX: y": b"/a%0D%0AX:%20y",
    "/a\tb\x00c\x7f": b"/a%09b%00c%7F",
    "//host/path": b"//host/path",
    "/a:b;c,d@e!$'()*~-._": b"/a:b;c,d@e!$'()*~-._",
}


@pytest.mark.parametrize("path", TARGETS)
def test_target(path: str) -> None:
    """What a request line cannot hold is percent-encoded, what is encoded already stays."""
    assert encode_target(path) == TARGETS[path]


def test_request_bytes() -> None:
    """A request is its line, its Host, its fields, the length of its body where there may be one, and the body."""
    start = request_start("POST", b"/a?b", "example.com:8080") + encode_fields({"X-A": "b", "X-Raw": b"\xff"})
    assert start == b"POST /a?b HTTP/1.1\r\nHost: example.com:8080\r\nX-A: b\r\nX-Raw: \xff\r\n"
    assert request_end("POST", b"abc") == b"Content-Length: 3\r\n\r\nabc"
    assert request_end("GET", b"abc") == b"Content-Length: 3\r\n\r\nabc"
    assert request_end("GET", b"") == b"Content-Length: 0\r\n\r\n"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_missing_body_is_announced(method: str) -> None:
    """A method that is about its body says that there is none."""
    assert request_end(method, None) == b"Content-Length: 0\r\n\r\n"


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS", "TRACE"])
def test_no_body_where_none_is_expected(method: str) -> None:
    """Other methods say nothing of a body that they do not have."""
    assert request_end(method, None) == b"\r\n"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X", "a\r\nY: b"),
        ("X", "a\nb"),
        ("X", "a\rb"),
        ("X", "a\0b"),
        ("X", b"a\r\nY: b"),
        ("X: a\r\nY", "b"),
        ("X\n", "b"),
        ("X Y", "b"),
        ("X:", "b"),
        ("", "b"),
        ("Ä", "b"),
        ("X", "\u20ac"),
    ],
)
def test_header_that_is_none(name: str, value: str | bytes) -> None:
    """A name or a value that would begin another line, or cannot be written, is refused."""
    with pytest.raises(ValueError, match=r"not a header|latin-1"):
        encode_fields({name: value})


@pytest.mark.parametrize("method", ["GET / HTTP/1.1\r\nX: y\r\n\r\nGET", "GET /elsewhere", "", "G\u00cbT"])
def test_method_that_is_none(method: str) -> None:
    """A method that would be more than a method is refused like a header."""
    with pytest.raises(ValueError):  # noqa: PT011  # any words will do
        request_start(method, b"/", "example.com")


def test_fields() -> None:
    """Fields are replaced and removed whatever the casing of their names."""
    fields = Fields({"User-Agent": "a", "Accept": "b"})
    assert fields.names == {"user-agent", "accept"}
    assert fields.lines == b"User-Agent: a\r\nAccept: b\r\n"
    assert fields.updated({"USER-AGENT": "c"}).lines == b"Accept: b\r\nUSER-AGENT: c\r\n"
    assert fields.without(["accept", "x"]).items == {"User-Agent": "a"}
    assert fields.lines == b"User-Agent: a\r\nAccept: b\r\n"
    with pytest.raises(ValueError, match="not a header"):
        fields.updated({"X": "a\r\nb"})
