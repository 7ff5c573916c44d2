"""Answers of every shape, over real sockets. The scenarios are played in a process of its own (tests/http_lab.py)."""

import gzip
import json
import threading
import zlib
from pathlib import Path

import brotli
import pytest

from tests.http_lab import Lab
from tests.raw_server import Peer, always, answer, close, half_close, pause, raw_server, read

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nX-Trailer: x\r\n\r\n"
GET_ONE = """
session = make()
out["first"] = show(session.get("/first"))
out["second"] = show(session.get("/second"))
"""


def test_keep_alive(lab: Lab) -> None:
    """Many requests of one person travel on one connection, in order and whole."""
    with raw_server([always(answer(b"ok"))]) as server:
        played = lab.play(
            """
            session = make()
            ITEM = Prepared("POST", "/items/{id}", name="item")
            out["shown"] = [show(session.get(f"/{i}")) for i in range(20)] + [show(session.send(ITEM, b"body", id="a/b"))]
            out["open"] = network.sockets.open
            """,
            server,
        )
        assert played.out["shown"] == [[200, None, "ok"]] * 21
        assert played.out["open"] == played.opened == server.accepted == 1
        assert [request.split(b" ", 2)[1] for _, request in server.requests[:20]] == [b"/%d" % i for i in range(20)]
        assert server.requests[20][1].startswith(f"POST /items/a%2Fb HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n".encode())
        assert server.requests[20][1].endswith(b"Content-Length: 4\r\n\r\nbody")
    assert [done.received for done in played.done] == [2] * 21
    assert all(0 < done.service_us == done.response_us < 5_000_000 for done in played.done)


SHAPES = {
    "chunked": (CHUNKED, [200, None, "hello world"]),
    "without a reason": (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", [200, None, "ok"]),
    "odd casing": (b"HTTP/1.1 200 OK\r\ncOnTeNt-LeNgTh:2\r\nCONNECTION:Keep-Alive\r\n\r\nok", [200, None, "ok"]),
    "folded": (b"HTTP/1.1 200 OK\r\nX-Folded: a\r\n b\r\nContent-Length: 2\r\n\r\nok", [200, None, "ok"]),
    "empty": (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", [200, None, ""]),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", [204, None, ""]),
    "204 with a length": (b"HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n", [204, None, ""]),
    "304": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\nETag: x\r\n\r\n", [304, None, ""]),
    "continue first": (b"HTTP/1.1 100 Continue\r\n\r\n" + answer(b"ok"), [200, None, "ok"]),
    "early hints first": (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + answer(b"ok"), [200, None, "ok"]),
    "offers h2": (answer(b"ok", "200 OK", "Upgrade: h2,h2c", "Connection: Upgrade, Keep-Alive"), [200, None, "ok"]),
    "gzip": (answer(gzip.compress(b"ok"), "200 OK", "Content-Encoding: gzip"), [200, None, "ok"]),
    "x-gzip": (answer(gzip.compress(b"ok"), "200 OK", "Content-Encoding: X-GZIP"), [200, None, "ok"]),
    "deflate": (answer(zlib.compress(b"ok"), "200 OK", "Content-Encoding: deflate"), [200, None, "ok"]),
    "raw deflate": (answer(zlib.compress(b"ok", wbits=-15), "200 OK", "Content-Encoding: deflate"), [200, None, "ok"]),
    "br": (answer(brotli.compress(b"ok"), "200 OK", "Content-Encoding: br"), [200, None, "ok"]),
    "error page": (answer(b"no", "503 Service Unavailable"), [503, "status_503", "no"]),
    "large": (answer(b"x" * 300_000), [200, None, "x" * 300_000]),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("cut", [False, True], ids=["whole", "in_pieces"])
def test_answer_is_understood_and_keeps_its_connection(lab: Lab, shape: str, cut: bool) -> None:
    """Whatever shape an answer has and however it is cut, it is read to its end, and the connection is used again."""
    first, expected = SHAPES[shape]
    half = len(first) // 2
    steps = [first[:half], pause(0.02), first[half:]] if cut else [first]
    with raw_server([read, *steps, read, answer(b"next")]) as server:
        played = lab.play(GET_ONE, server)
        assert server.accepted == 1
    assert played.out == {"first": expected, "second": [200, None, "next"]}


ENDINGS = {
    "says close": answer(b"ok", "200 OK", "Connection: close"),
    "http 1.0": b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "chunked and close": b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_connection_that_ends_with_its_answer_is_closed(lab: Lab, ending: str) -> None:
    """After an answer that ends its connection the client closes it at once, and the next request opens another."""
    with raw_server([read, ENDINGS[ending]], [read, answer(b"next")]) as server:
        played = lab.play('session = make(); out["first"] = show(session.get("/")); out["open"] = network.sockets.open', server)
        assert played.out == {"first": [200, None, "ok"], "open": 0}
        assert server.accepted == 1


def test_body_until_the_end_of_the_connection(lab: Lab) -> None:
    """A body that nothing frames is complete when the connection is closed; the next request opens another."""
    unframed = b"HTTP/1.1 200 OK\r\n\r\nall there is"
    with raw_server([read, unframed, close], [read, answer(b"next")]) as server:
        played = lab.play(GET_ONE, server)
    assert played.out == {"first": [200, None, "all there is"], "second": [200, None, "next"]}


def test_head(lab: Lab) -> None:
    """An answer to HEAD has a Content-Length and no body, for `head` and for a prepared request."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nContent-Encoding: gzip\r\n\r\n"
    with raw_server([read, head, read, head, read, answer(b"next")]) as server:
        played = lab.play(
            """
            session = make()
            prepared = Prepared("HEAD", "/", name="h")
            out["shown"] = [show(session.head("/")), show(session.send(prepared)), show(session.get("/"))]
            """,
            server,
        )
        assert server.accepted == 1
    assert played.out["shown"] == [[200, None, ""], [200, None, ""], [200, None, "next"]]


def test_early_answer_to_a_large_body(lab: Lab) -> None:
    """A server that refuses a large body before it has read it, and closes, is heard: its answer is not lost."""

    def refuse(peer: Peer) -> None:
        """Answer after the first bytes, then close without reading the rest."""
        peer.receive()
        peer.send(answer(b"too much", "413 Content Too Large", "Connection: close"))
        half_close(peer)
        peer.server.over.wait(0.3)
        close(peer)

    with raw_server([refuse]) as server:
        played = lab.play(
            """
            session = make()
            out["first"] = show(session.post("/", data=b"x" * 20_000_000))
            out["open"] = network.sockets.open
            """,
            server,
        )
    assert played.out == {"first": [413, "status_413", "too much"], "open": 0}


def test_early_answer_that_keeps_the_connection(lab: Lab) -> None:
    """A server that answers while it still reads a large body gets all of it, and the next request on the same connection."""
    with raw_server([lambda peer: peer.send(answer(b"early")), read, read, answer(b"next")]) as server:
        played = lab.play(
            """
            session = make()
            out["first"] = show(session.post("/", data=b"x" * 8_000_000))
            out["second"] = show(session.get("/"))
            """,
            server,
        )
        assert played.out == {"first": [200, None, "early"], "second": [200, None, "next"]}
        assert server.accepted == 1
        assert len(server.requests[0][1]) > 8_000_000


def test_streamed_body(lab: Lab) -> None:
    """A streamed body comes in pieces as the server sends them; its connection is used again once it is used up."""
    first = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n", pause(0.3), b"3\r\ntwo\r\n0\r\n\r\n"]
    with raw_server([read, *first, read, answer(b"next"), read, answer(b"x" * 5000)]) as server:
        played = lab.play(
            """
            session = make()
            begun = now()
            response = session.get("/", stream=True)
            pieces = response.iter_content()
            out["first"], out["first_s"] = next(pieces), now() - begun
            out["others"], out["others_s"] = list(pieces), now() - begun
            out["second"] = show(session.get("/", stream=True))
            out["sizes"] = [len(piece) for piece in session.get("/", stream=True).iter_content(chunk_size=2000)]
            """,
            server,
        )
        assert server.accepted == 1
    assert played.out["first"] == "one" and played.out["others"] == ["two"]
    assert played.out["first_s"] < 0.25 < played.out["others_s"]
    assert played.out["second"] == [200, None, "next"]
    assert sum(played.out["sizes"]) == 5000 and max(played.out["sizes"]) <= 2000
    assert [done.received for done in played.done] == [0, 4, 5000]


def test_streamed_lines(lab: Lab) -> None:
    """Lines of a stream come as they are sent, a letter cut in two by the network included."""
    text = "één\nzwei\r\nlast".encode()
    start = f"HTTP/1.1 200 OK\r\nContent-Length: {len(text)}\r\n\r\n".encode()
    with raw_server([read, start + text[:1], pause(0.05), text[1:]]) as server:
        played = lab.play('out["lines"] = list(make().iter_lines("/"))', server)
    assert played.out == {"lines": ["één", "zwei\r", "last"]}


def test_lines_of_an_error_page(lab: Lab) -> None:
    """A stream of lines that the server refuses raises, and leaves no connection to the garbage collector."""
    with raw_server([always(answer(b"no such thing", "404 Not Found"))]) as server:
        played = lab.play(
            """
            session = make()
            try:
                list(session.iter_lines("/"))
            except Exception as error:
                out["raised"] = type(error).__name__
            """,
            server,
        )
    assert played.out["raised"] == "LocustBadStatusCode"
    assert played.kinds == ["status_404"]


def test_streamed_gzip_content_is_decoded(lab: Lab) -> None:
    """`content` is the body without its Content-Encoding, of a streamed answer too."""
    with raw_server([always(answer(gzip.compress(b"plain"), "200 OK", "Content-Encoding: gzip"))]) as server:
        played = lab.play('out["content"] = make().get("/", stream=True).content.decode("latin-1")', server)
    assert played.out["content"] == "plain"


def test_ipv6(lab: Lab) -> None:
    """A server with an IPv6 address is asked by its bracketed name."""
    with raw_server([always(answer(b"six"))], address="::1") as server:
        played = lab.play(GET_ONE, server)
        assert b"\r\nHost: [::1]:%d\r\n" % server.port in server.requests[0][1]
    assert played.out["second"] == [200, None, "six"]


def test_unix_socket(lab: Lab, tmp_path: Path) -> None:
    """A server on a unix socket is asked as http+unix, and its connection is kept too."""
    path = str(tmp_path / "api.sock")
    with raw_server([always(answer(b"unix"))], address=path) as server:
        url = "http+unix://" + path.replace("/", "%2F")
        played = lab.play('session = make(); out["shown"] = [show(session.get("/a?b=c")), show(session.get("/"))]', url)
        assert played.out["shown"] == [[200, None, "unix"]] * 2
        assert played.opened == 1
        assert server.requests[0][1].startswith(b"GET /a?b=c HTTP/1.1\r\nHost: localhost\r\n")


def test_redirect_on_a_unix_socket(lab: Lab, tmp_path: Path) -> None:
    """A relative redirect stays on the unix socket."""
    path = str(tmp_path / "api.sock")
    with raw_server([read, answer(b"", "302 Found", "Location: /b"), read, answer(b"there")], address=path) as server:
        played = lab.play('out["shown"] = show(make().get("/a"))', "http+unix://" + path.replace("/", "%2F"))
        assert played.out["shown"] == [200, None, "there"]
        assert [request.split(b" ")[1] for _, request in server.requests] == [b"/a", b"/b"]


def test_cookies(lab: Lab) -> None:
    """A cookie that one answer sets goes with the next request, of either kind, and not to another person."""
    baked = answer(b"", "200 OK", "Set-Cookie: a=1; Path=/", "Set-Cookie: b=2; Path=/x")
    with raw_server([read, baked, always(answer())]) as server:
        lab.play(
            """
            session, other = make(), make()
            session.get("/")
            session.get("/x")
            session.send(Prepared("GET", "/y", name="y"))
            other.get("/")
            """,
            server,
        )
        sent = [[line for line in request.split(b"\r\n") if line.startswith(b"Cookie")] for _, request in server.requests]
    assert sent == [[], [b"Cookie: b=2; a=1"], [b"Cookie: a=1"], []]


def test_several_greenlets_on_one_session(lab: Lab) -> None:
    """Requests from several greenlets of one person go out at once, at most `concurrency` of them, each with its own answer."""
    together = threading.Barrier(3)

    def echo(peer: Peer) -> None:
        """Answer with the path, once three requests are there at the same time."""
        while True:
            path = peer.request().split(b" ")[1]
            together.wait(10)
            peer.send(answer(path))

    with raw_server([echo]) as server:
        played = lab.play(
            """
            session = make(concurrency=3)
            greenlets = [gevent.spawn(session.get, f"/{i}") for i in range(9)]
            gevent.joinall(greenlets)
            out["bodies"] = sorted(greenlet.value.content.decode() for greenlet in greenlets)
            """,
            server,
        )
        assert server.accepted == 3
    assert played.out["bodies"] == [f"/{i}" for i in range(9)]
    assert json.dumps(sorted(done.name for done in played.done)) == json.dumps(played.out["bodies"])


def test_empty_line_between_answers(lab: Lab) -> None:
    """An empty line is nothing, after an answer or before the next: the connection is kept and both are read."""
    with raw_server([read, answer(b"one"), read, b"\r\n" + answer(b"two")]) as server:
        played = lab.play('session = make(); out["shown"] = [show(session.get("/")), show(session.get("/"))]', server)
    assert played.out["shown"] == [[200, None, "one"], [200, None, "two"]]
    assert played.opened == 1


def test_template_is_filled_each_time(lab: Lab) -> None:
    """A prepared template keeps its Host and headers, and takes its parts from each call."""
    with raw_server([always(answer())]) as server:
        lab.play(
            """
            session, request = make(), Prepared("GET", "/{id}/x", name="x", headers={"Host": "elsewhere", "X": "1"})
            for part in ("a", "b/c"):
                session.send(request, id=part)
            """,
            server,
        )
        sent = [request.split(b"\r\n") for _, request in server.requests]
    assert [lines[:2] for lines in sent] == [
        [b"GET /a/x HTTP/1.1", b"Host: elsewhere"],
        [b"GET /b%2Fc/x HTTP/1.1", b"Host: elsewhere"],
    ]
    assert all(b"X: 1" in lines for lines in sent)
