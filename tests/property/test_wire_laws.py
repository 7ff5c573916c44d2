"""Laws of reading answers: the quick way and the real parser say the same, and bytes mean the same however they arrive."""

import gzip
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtests.engine.http.failures import Failure
from loadtests.engine.http.parser import ResponseParser
from loadtests.engine.http.wire import Head, KnownHeads, plain_head

LIMIT = 5_000
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1a;x=y\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\n"
PACKED = gzip.compress(b"hello", mtime=0)
REAL: dict[str, tuple[bytes, bytes]] = {
    "nginx": (
        b"HTTP/1.1 200 OK\r\nServer: nginx/1.27.2\r\nDate: Mon, 23 Nov 2026 05:12:22 GMT\r\nContent-Type: text/html\r\n"
        b"Content-Length: 5\r\nLast-Modified: Tue, 01 Oct 2024 15:00:00 GMT\r\nConnection: keep-alive\r\n"
        b'ETag: "66fc0000-5"\r\nAccept-Ranges: bytes\r\n\r\nhello',
        b"hello",
    ),
    "nginx, gzip": (
        b"HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n"
        b"Connection: keep-alive\r\nVary: Accept-Encoding\r\nContent-Encoding: gzip\r\n\r\n%x\r\n%s\r\n0\r\n\r\n"
        % (len(PACKED), PACKED),
        PACKED,
    ),
    "uvicorn": (
        b"HTTP/1.1 201 Created\r\ndate: Mon, 23 Nov 2026 05:12:22 GMT\r\nserver: uvicorn\r\ncontent-length: 14\r\n"
        b'content-type: application/json\r\n\r\n{"id":"a7f3b"}',
        b'{"id":"a7f3b"}',
    ),
    "granian": (
        b"HTTP/1.1 200 OK\r\nserver: granian\r\ncontent-type: application/json\r\ncontent-length: 2\r\n"
        b"date: Mon, 23 Nov 2026 05:12:22 GMT\r\n\r\n[]",
        b"[]",
    ),
    "chunked": (b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"\r\n", b"helloabcdefghijklmnopqrstuvwxyz"),
    "trailers": (b"HTTP/1.1 200 OK\r\nTrailer: X\r\n" + CHUNKED + b"X: y\r\n\r\n", b"helloabcdefghijklmnopqrstuvwxyz"),
    "204": (b"HTTP/1.1 204 No Content\r\nDate: Mon, 23 Nov 2026 05:12:22 GMT\r\n\r\n", b""),
    "304": (b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\nContent-Length: 99\r\n\r\n', b""),
    "redirect": (
        b"HTTP/1.1 302 Found\r\nLocation: /login\r\nSet-Cookie: sid=1; Path=/; HttpOnly\r\nContent-Length: 0\r\n\r\n",
        b"",
    ),
    "early hints": (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", b"a"),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na", b"a"),
    "http.server": (
        b"HTTP/1.0 404 File not found\r\nServer: SimpleHTTP/0.6 Python/3.11.7\r\nContent-Length: 3\r\n\r\nno!",
        b"no!",
    ),
    "closing": (b"HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\nContent-Length: 5\r\n\r\nsorry", b"sorry"),
    "folded": (b"HTTP/1.1 200 OK\r\nX-Old: a\r\n\tb\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
}

NAMES = st.sampled_from(
    b"Content-Length Connection Content-Encoding Set-Cookie Date Keep-Alive X-Request-ID Transfer-Encoding Upgrade Trailer "
    b"Location Proxy-Connection Content-Length2 !#$%&'*+-.^_`|~9".split()
)
ODD_VALUES = (
    b"|0|5|05|12|5, 5|+5|0x5|999999999999999|close|keep-alive|Keep-Alive, close|upgrade|chunked|gzip|gzip, br|a=b|a\tb|5 5|5\t"
)
VALUES = st.one_of(st.sampled_from(ODD_VALUES.split(b"|")), st.binary(max_size=6))
GAPS = st.sampled_from([b" ", b"", b"  ", b"\t", b" \t "])
CASES: st.SearchStrategy[Callable[[bytes], bytes]] = st.sampled_from(
    [bytes.lower, bytes.upper, bytes.title, bytes.swapcase, bytes]
)
VISIBLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E) | st.just("\t"), max_size=8).map(str.encode)


@st.composite
def plain_heads(draw: st.DrawFn, lengths: st.SearchStrategy[int]) -> bytes:
    """A head that is plain."""
    length = b"%d" % draw(lengths)
    connection = draw(st.sampled_from([None, b"close", b"keep-alive", b"Close", b"KEEP-ALIVE"]))
    others = draw(
        st.lists(st.tuples(st.sampled_from([b"Date", b"Set-Cookie", b"Content-Encoding", b"X"]), VISIBLE), max_size=3)
    )
    fields = [(b"Content-Length", length), *others] + ([] if connection is None else [(b"Connection", connection)])
    lines = [draw(CASES)(name) + b":" + draw(GAPS) + value + draw(GAPS) for name, value in draw(st.permutations(fields))]
    status = draw(st.integers(200, 599).filter(lambda code: code not in {204, 304}))
    return b"\r\n".join([b"HTTP/1.1 %d %s" % (status, draw(VISIBLE)), *lines, b"", b""])


@st.composite
def odd_heads(draw: st.DrawFn) -> bytes:
    """A head that may be plain, odd or broken."""
    fields = draw(st.lists(st.tuples(NAMES, VALUES), max_size=4))
    lines = [draw(CASES)(name) + b":" + draw(GAPS) + value for name, value in fields]
    if draw(st.booleans()):
        lines.append(b"Content-Length: %d" % draw(st.integers(0, 12)))
    version = draw(st.sampled_from([b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/1.2", b"http/1.1"]))
    status = draw(st.sampled_from([b"200", b"200", b"204", b"304", b"100", b"404", b"599", b"600", b"20", b"2000"]))
    reason = draw(st.sampled_from([b" OK", b" ", b"", b"  Odd Reason ", b" \xff", b"\tOK"]))
    return b"\r\n".join([version + b" " + status + reason, *lines, b"", b""])


@st.composite
def mutated(draw: st.DrawFn, originals: st.SearchStrategy[bytes]) -> bytes:
    """Bytes with a few of them inserted, deleted or replaced, and perhaps a line twice."""
    data = draw(originals)
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(data)))
        end = place + draw(st.integers(0, 2))
        data = (
            data[:place]
            + draw(st.sampled_from([b"", b"\r", b"\n", b"\r\n", b" ", b"\t", b":", b"\0", b"5", b"\xff"]))
            + data[end:]
        )
    if draw(st.booleans()):
        lines = data.split(b"\r\n")
        place = draw(st.integers(0, len(lines) - 1))
        data = b"\r\n".join([*lines[:place], lines[place], *lines[place:]])
    return data


def cut(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    """The data in pieces, some of them empty perhaps."""
    places = [0, *sorted(place % (len(data) + 1) for place in cuts), len(data)]
    return [data[begin:end] for begin, end in pairwise(places)]


Outcome = tuple[str] | tuple[Head | None, bytes, bool, bool]


def outcome(data: bytes, cuts: Sequence[int] = (), *, no_body: bool = False, ends: bool = True) -> Outcome:
    """What the parser says: the name of a failure, or head, body, whether it is whole, whether another request may follow."""
    parser = ResponseParser(no_body, LIMIT)
    body = b""
    try:
        for piece in cut(data, cuts):
            parser.feed(piece)
            body += parser.take_body()
        reusable = parser.reusable
        if ends:
            parser.end()
    except Failure as failure:
        return (failure.kind,)
    return parser.head, body + parser.take_body(), parser.complete, reusable


ORIGINALS = st.sampled_from([data for data, _ in REAL.values()])
CUTS = st.lists(st.integers(0, 1000), max_size=4)
HEADS = st.one_of(mutated(plain_heads(st.integers(0, 12))), odd_heads(), mutated(odd_heads()), mutated(ORIGINALS))


def agree(raw: bytes) -> None:
    """What is plain means the same to the parser, with a body of its length."""
    plain = plain_head(raw)
    if plain is None or plain.length is None or plain.length > LIMIT:
        return
    body = b"HTTP/1.1 200 OK\r\n"[: plain.length].ljust(plain.length, b"x")
    assert outcome(raw + body) == (plain, body, True, plain.keep_alive)


@settings(max_examples=400)
@given(plain_heads(st.integers(0, 60)))
def test_usual_heads_are_plain_and_agreed_on(raw: bytes) -> None:
    """A head that is spelled as usual needs no parser, and the parser would have said the same."""
    assert plain_head(raw) is not None
    agree(raw)


@settings(max_examples=1500)
@given(HEADS)
def test_whatever_is_plain_is_agreed_on(raw: bytes) -> None:
    """Of all odd and broken heads, those that are taken for plain ones mean what the parser says."""
    agree(raw)
    agree(raw[: raw.find(b"\r\n\r\n") + 4])


@settings(max_examples=400)
@given(st.lists(st.one_of(HEADS, plain_heads(st.integers(0, 9))), min_size=1, max_size=4), st.binary(max_size=9))
def test_known_heads_say_the_same(heads: list[bytes], body: bytes) -> None:
    """A memory of heads says at each time what a look at the bytes says."""
    known = KnownHeads()
    for raw in (*heads, *heads):
        end = (raw + body).find(b"\r\n\r\n") + 4
        plain = plain_head((raw + body)[:end]) if end >= 4 else None
        assert known.read(raw + body) == (None if plain is None else (plain, end))


@settings(max_examples=1000)
@given(st.one_of(mutated(ORIGINALS), HEADS), CUTS, st.booleans(), st.booleans())
def test_pieces_do_not_matter(data: bytes, cuts: list[int], no_body: bool, ends: bool) -> None:
    """However the network cuts the bytes, they mean the same."""
    assert outcome(data, cuts, no_body=no_body, ends=ends) == outcome(data, no_body=no_body, ends=ends)


@settings(max_examples=1000)
@given(st.one_of(st.binary(max_size=80), st.binary(max_size=40).map(b"HTTP/1.1 200 OK\r\n".__add__), mutated(ORIGINALS)), CUTS)
def test_nothing_but_failures(data: bytes, cuts: list[int]) -> None:
    """Whatever a server sends is an answer, part of one, or a failure with one of the names; a body keeps to its limit."""
    found = outcome(data, cuts)
    assert found in {("malformed",), ("truncated",), ("too_large",)} if len(found) == 1 else len(found[1]) <= LIMIT


@pytest.mark.parametrize("name", REAL)
@settings(max_examples=25)
@given(CUTS)
def test_real_answers(name: str, cuts: list[int]) -> None:
    """Answers of real servers are read to their end, in any pieces."""
    data, body = REAL[name]
    head, found, complete, reusable = outcome(data, cuts)  # type: ignore[misc]  # a failure would not have four parts
    assert (found, complete, reusable) == (body, True, name not in {"closing", "http.server"})
    assert head is not None and head.status == int(data.rpartition(b"HTTP/1.")[2][2:5])


FOLLOWING = st.one_of(
    st.sampled_from([data for data, _ in REAL.values()]),
    st.binary(min_size=1, max_size=20),
    ORIGINALS.map(lambda data: data[:9]),
)


@pytest.mark.parametrize("name", REAL)
@settings(max_examples=60)
@given(FOLLOWING.filter(lambda data: data.strip(b"\r\n")), CUTS)  # empty lines: tests/unit/test_parser.py
def test_nothing_of_what_follows(name: str, following: bytes, cuts: list[int]) -> None:
    """What comes after an answer is no part of it and of no other, and the connection is not used again."""
    data, body = REAL[name]
    head, found, complete, reusable = outcome(data + following, cuts)  # type: ignore[misc]  # as above
    assert (found, complete, reusable) == (body, True, False)
    assert head == outcome(data)[0]
