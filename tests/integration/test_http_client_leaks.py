"""Nothing is left behind: files, sockets, and work for the collector of cycles."""

import pytest

from tests.http_lab import Lab
from tests.raw_server import always, answer, ignore, nobody, pause, raw_server, read, reset


def test_failing_connects_leave_no_files(lab: Lab) -> None:
    """Two hundred refused connections, and as many hosts that do not answer properly, leave no file descriptor open."""
    with raw_server([reset]) as server, nobody() as nowhere:
        played = lab.play(
            """
            files = open_files()
            nobody, hostile = make(nowhere), make()
            for _ in range(200):
                nobody.get("/")
                hostile.get("/")
            out["files"], out["open"] = open_files() - files, network.sockets.open
            """,
            server,
            nowhere=nowhere,
        )
    assert played.out == {"files": 0, "open": 0}
    assert played.kinds[0::2] == ["connect_refused"] * 200
    assert set(played.kinds[1::2]) <= {"reset", "closed"}


FORGOTTEN = {
    "idle": 'session.get("/")',
    "prepared": 'session.send(Prepared("GET", "/", name="x"))',
    "caught": 'with session.get("/", catch_response=True) as response:\n    response.failure("x")\n',
    "stream unread": 'session.get("/", stream=True)',
    "stream half read": 'next(session.get("/", stream=True).iter_content(1))',
    "failed before": 'make(nowhere, keep=False).get("/"); session.get("/")',
}


@pytest.mark.parametrize("name", FORGOTTEN)
def test_forgotten_session_closes_its_sockets(lab: Lab, name: str) -> None:
    """A session that nobody has any more closes its connections, without waiting for the collector of cycles."""
    with raw_server([always(answer(b"x" * 100))]) as server, nobody() as nowhere:
        played = lab.play(
            """
            gc.collect()
            gc.disable()
            try:
                session = make(keep=False)
                exec(asked)
                events.clear()
                session = response = None
                sleep(0)
                out["open"] = network.sockets.open
            finally:
                gc.enable()
            """,
            server,
            asked=FORGOTTEN[name],
            nowhere=nowhere,
        )
    assert played.out["open"] == 0


CYCLES = {
    "answered": ('session.get("/")', None),
    "caught": ('with session.get("/", catch_response=True) as response: response.success()', None),
    "refused": ('nobody.get("/")', "connect_refused"),
    "prepared and refused": ("nobody.send(GET)", "connect_refused"),
}


@pytest.mark.parametrize("name", CYCLES)
def test_requests_leave_no_cycles(lab: Lab, name: str) -> None:
    """A request leaves nothing to the collector of cycles, which a run with many users turns down (engine/reporting.py)."""
    with raw_server([always(answer())]) as server, nobody() as nowhere:
        played = lab.play(
            """
            session, nobody, GET = make(), make(nowhere), Prepared("GET", "/", name="x")
            ask = compile(asked, "ask", "exec")
            gc.collect()
            gc.disable()
            try:
                for _ in range(50):
                    exec(ask)
                    events.clear()
                response = None
                sleep(0)
                out["garbage"] = gc.collect()
            finally:
                gc.enable()
            """,
            server,
            asked=CYCLES[name][0],
            nowhere=nowhere,
        )
    assert played.kinds == [CYCLES[name][1]] * 50
    assert played.out["garbage"] < 50


def test_closed_during_a_request(lab: Lab) -> None:
    """A session that is closed while it waits for an answer keeps no connection when the answer has come."""
    with raw_server([read, pause(0.1), answer()]) as server:
        played = lab.play(
            """
            session = make()
            greenlet = gevent.spawn(session.get, "/")
            sleep(0.05)
            session.close()
            greenlet.join()
            out["open"] = network.sockets.open
            """,
            server,
        )
    assert played.kinds == [None] and played.out["open"] == 0


@pytest.mark.parametrize("limits", [{}, {"total_s": 0.05}], ids=["unlimited", "limited"])
def test_stream_that_nobody_reads(lab: Lab, limits: dict[str, float]) -> None:
    """A streamed answer that is forgotten before all of it has come closes its connection; the session works on."""
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx"
    with raw_server([read, half, ignore], [always(answer())]) as server:
        played = lab.play(
            """
            session = make(**limits)
            session.get("/", stream=True)
            events.clear()
            sleep(0.15)
            out["open"] = network.sockets.open
            out["shown"] = show(session.get("/"))
            """,
            server,
            limits=limits,
        )
    assert played.out == {"open": 0, "shown": [200, None, "ok"]}
