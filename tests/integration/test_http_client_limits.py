"""Time limits: each ends its own step of a request, when it is due and not before."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from tests.http_lab import BOTH, Lab, fail, fail_at
from tests.raw_server import Script, Step, answer, ignore, pause, raw_server, read, read_some


@contextmanager
def full_backlog() -> Iterator[str]:
    """A server that has no room for one more connection: the kernel lets whoever knocks wait."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@BOTH
def test_connect_timeout(lab: Lab, face: bool) -> None:
    """A connection that is not made in time."""
    with full_backlog() as url:
        played = fail_at(lab, face, url, connect_s=0.2)
    assert played.kinds == ["connect_timeout"]
    assert 0.19 < played.out["s"] < 1


OK = b"HTTP/1.1 200 OK\r\n"


def dripping(start: bytes, more: bytes) -> Script:
    """Something, and something more again and again, never long after the last."""
    steps: list[Step] = [read, start]
    for _ in range(40):
        steps += [more, pause(0.03)]
    return steps


SILENT: dict[str, tuple[Script, dict[str, float]]] = {
    "no answer": ([read, ignore], {"read_s": 0.2}),
    "half a body": ([read, OK + b"Content-Length: 9\r\n\r\nx", ignore], {"read_s": 0.2}),
    "half a chunk": ([read, OK + b"Transfer-Encoding: chunked\r\n\r\n9", ignore], {"read_s": 0.2}),
    "no answer in the total": ([read, ignore], {"read_s": 9.0, "total_s": 0.2}),
    "the same limits": ([read, ignore], {"read_s": 0.2, "total_s": 0.2}),
}
DRIPPING: dict[str, Script] = {
    "body": dripping(OK + b"Content-Length: 100\r\n\r\n", b"x"),
    "chunks": dripping(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "head": dripping(OK + b"A: ", b"x"),
    "informational answers": dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}


@BOTH
@pytest.mark.parametrize("name", SILENT)
def test_silence(lab: Lab, name: str, face: bool) -> None:
    """An answer, or the rest of one, that does not come ends the request when its time is over, and not before."""
    script, limits = SILENT[name]
    played = fail(lab, face, script, **dict[str, Any](limits))
    assert played.kinds == ["read_timeout"]
    assert 0.19 < played.out["s"] < 2 and 190_000 < played.done[0].service_us < 2_000_000


@BOTH
@pytest.mark.parametrize("name", DRIPPING)
def test_total(lab: Lab, name: str, face: bool) -> None:
    """An answer that comes without a pause and without an end has no more time than the whole exchange has."""
    played = fail(lab, face, DRIPPING[name], read_s=0.15, total_s=0.2)
    assert played.kinds == ["total_timeout"]
    assert 0.19 < played.out["s"] < 1


@BOTH
def test_nobody_reads(lab: Lab, face: bool) -> None:
    """A server that does not take a large body fails the request in the time for sending."""
    played = fail(lab, face, [read_some, ignore], method="POST", data="x" * 12_000_000, send_s=0.2, read_s=9.0)
    assert played.kinds == ["send_timeout"]
    assert 0.19 < played.out["s"] < 2


def test_slow_answer_within_its_limits(lab: Lab) -> None:
    """A body that drips for longer than the longest silence allowed is fine: the silence is counted from its last byte."""
    with raw_server([read, b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n", *[b"x", pause(0.06)] * 6]) as server:
        played = lab.play('out["shown"] = show(make(read_s=0.2).get("/"))', server)
    assert played.out["shown"] == [200, None, "xxxxxx"]


@pytest.mark.parametrize("limit", ["read_s", "total_s"])
def test_limits_are_of_each_request(lab: Lab, limit: str) -> None:
    """A connection that has waited for longer than the limit in all its requests together has broken none."""
    with raw_server([step for _ in range(6) for step in (read, pause(0.05), answer())]) as server:
        played = lab.play(
            'session = make(**limits); out["shown"] = [show(session.get("/")) for _ in range(6)]', server, limits={limit: 0.2}
        )
    assert played.out["shown"] == [[200, None, "ok"]] * 6


@pytest.mark.parametrize("limit", ["read_s", "total_s"])
def test_a_time_out_is_forgotten(lab: Lab, limit: str) -> None:
    """The request after one that was not answered in time has all its time again."""
    with raw_server([read, ignore], [read, pause(0.05), answer()]) as server:
        played = lab.play(
            """
            session = make(**limits)
            session.get("/")
            out["shown"] = show(session.get("/"))
            """,
            server,
            limits={limit: 0.2},
        )
    assert played.out["shown"] == [200, None, "ok"]
    assert played.kinds == ["read_timeout", None]
