"""Every way to fail has its name: each is provoked over real sockets, for both kinds of requests."""

import gzip
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.http_lab import BOTH, FAILING, Lab, fail, fail_at
from tests.raw_server import Script, answer, close, half_close, nobody, pause, raw_server, read, reset

ANSWERS: dict[str, tuple[str, Script]] = {
    "closed": ("closed", [read, close]),
    "half closed": ("closed", [read, half_close]),
    "reset": ("reset", [read, reset]),
    "closed in the head": ("truncated", [read, b"HTTP/1.1 200 OK\r\nContent-Le", close]),
    "closed after the head": ("truncated", [read, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", close]),
    "closed in the body": ("truncated", [read, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", close]),
    "closed in a chunk": ("truncated", [read, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc", close]),
    "closed before the last chunk": (
        "truncated",
        [read, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n", close],
    ),
    "closed after 1xx": ("truncated", [read, b"HTTP/1.1 100 Continue\r\n\r\n", close]),
    "reset in the body": ("truncated", [read, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", pause(0.05), reset]),
    "babble": ("malformed", [read, b"this is not HTTP\r\n\r\n"]),
    "a mail server": ("malformed", [read, b"220 mail.example.com ESMTP\r\n"]),
    "two lengths": ("malformed", [read, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc"]),
    "length and chunked": (
        "malformed",
        [read, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"],
    ),
    "negative length": ("malformed", [read, b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nab"]),
    "bad chunk": ("malformed", [read, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"]),
    "changes the protocol": ("malformed", [read, b"HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"]),
    "not gzip": ("malformed", [read, answer(b"plain", "200 OK", "Content-Encoding: gzip")]),
    "half a gzip": ("malformed", [read, answer(gzip.compress(b"plain")[:-9], "200 OK", "Content-Encoding: gzip")]),
    "unknown encoding": ("malformed", [read, answer(b"plain", "200 OK", "Content-Encoding: zstd")]),
    "long head": ("too_large", [read, b"HTTP/1.1 200 OK\r\nA: " + b"a" * 70_000]),
    "endless field": ("too_large", [read, b"HTTP/1.1 200 OK\r\nA: b\r\nB: " + b"a" * 200_000]),
    "many fields": ("too_large", [read, b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 20_000]),
}
WHOLE = {"not gzip", "half a gzip", "unknown encoding"}
"""Whole answers, though of no use: their connection goes on."""


@BOTH
@pytest.mark.parametrize("name", ANSWERS)
def test_bad_answer(lab: Lab, name: str, face: bool) -> None:
    """An answer that is none is counted under the name of what was wrong with it, long before any time-out."""
    kind, script = ANSWERS[name]
    played = fail(lab, face, script, read_s=2.0)
    assert played.kinds == [kind]
    assert played.out["open"] == (name in WHOLE)


LARGE: dict[str, bytes] = {
    "announced": b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n",
    "oddly announced": b"HTTP/1.1 200\r\nContent-Length: 1001\r\n\r\n",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + b"x" * 1001 + b"\r\n0\r\n\r\n",
    "unframed": b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1001,
    "once decoded": answer(gzip.compress(b"x" * 1001), "200 OK", "Content-Encoding: gzip"),
}


@BOTH
@pytest.mark.parametrize("name", LARGE)
def test_body_beyond_the_limit(lab: Lab, name: str, face: bool) -> None:
    """A body of one byte more than allowed is refused, as soon as that is known."""
    with raw_server([read, LARGE[name]]) as server:
        played = lab.play(FAILING, server, face=face, method="GET", kwargs={}, limits={"max_body_bytes": 1000, "read_s": 2.0})
    assert played.kinds == ["too_large"]


@BOTH
def test_connect_refused(lab: Lab, face: bool) -> None:
    """Nobody listens there."""
    with nobody() as url:
        played = fail_at(lab, face, url)
    assert played.kinds == ["connect_refused"]
    assert played.out["said"][3:] == ["ConnectionRefusedError", "[Errno 111] Connection refused"]


@BOTH
def test_dns(lab: Lab, face: bool) -> None:
    """A name that cannot exist (RFC 6761) is not resolved, and not tried for ever."""
    played = fail_at(lab, face, "http://nonexistent.invalid")
    assert played.kinds == ["dns"]
    assert played.out["said"][3] == "gaierror"


@BOTH
def test_missing_unix_socket(lab: Lab, face: bool, tmp_path: Path) -> None:
    """A unix socket that is not there is another reason than nobody listening."""
    played = fail_at(lab, face, f"http+unix://{str(tmp_path / 'none').replace('/', '%2F')}")
    assert played.kinds == ["connect_failed"]


def test_unix_socket_without_room(lab: Lab, tmp_path: Path) -> None:
    """Users who knock at a unix socket faster than its server opens wait, as they do at any other address."""
    path = str(tmp_path / "api.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(0)

        def open_late() -> None:
            """Answer three connections, after a while."""
            time.sleep(0.1)
            listener.settimeout(2)
            with suppress(TimeoutError):
                for _ in range(3):
                    accepted, _address = listener.accept()
                    with accepted:
                        accepted.recv(1000)
                        accepted.sendall(answer())

        thread = threading.Thread(target=open_late)
        thread.start()
        played = lab.play(
            """
            sessions = [make(connect_s=2.0) for _ in range(3)]
            gevent.joinall([gevent.spawn(session.get, "/") for session in sessions])
            """,
            f"http+unix://{path.replace('/', '%2F')}",
        )
        thread.join()
    assert played.kinds == [None] * 3


def test_no_sockets(lab: Lab) -> None:
    """A process without a free file descriptor fails for its own fault, and works again when it has one."""
    with raw_server([read, answer()]) as server:
        played = lab.play(
            """
            import os, resource
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            session = make(read_s=2.0)
            last = os.dup(0)
            resource.setrlimit(resource.RLIMIT_NOFILE, (last + 1, hard))  # what is lower is taken
            try:
                out["kinds"] = [session.get("/").failure_kind for _ in range(2)]
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
                os.close(last)
            out["shown"] = show(session.get("/"))
            """,
            server,
        )
    assert played.out == {"kinds": ["no_sockets", "no_sockets"], "shown": [200, None, "ok"]}


@BOTH
def test_works_again_after_a_failure(lab: Lab, face: bool) -> None:
    """After a failure of any kind the same session makes a new connection and goes on."""
    answers = {name: ANSWERS[name] for name in ANSWERS if name not in {*WHOLE, "endless field"}}
    scripts: list[Script] = [script for _, script in answers.values()]
    with raw_server(*scripts, [read, answer(b"at last")]) as server:
        played = lab.play(
            """
            session = make(read_s=2.0)
            request = Prepared("POST", "/", name="x")
            for _ in range(count):
                session.post("/") if face else session.send(request)
            out["shown"] = show(session.get("/"))
            """,
            server,
            count=len(scripts),
            face=face,
        )
    assert played.out["shown"] == [200, None, "at last"]
    assert played.kinds == [*[kind for kind, _ in answers.values()], None]
