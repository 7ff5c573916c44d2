"""How long a connection lives: kept, noticed when it dies, never given on with somebody else's bytes, never left open."""

import pytest

from tests.http_lab import Lab
from tests.raw_server import Peer, Script, always, answer, close, half_close, ignore, pause, raw_server, read, reset

FACES = pytest.mark.parametrize("face", [True, False], ids=["session", "prepared"])
ASK = """
def ask(session, method="GET", path="/", **kwargs):
    if face:
        return show(session.request(method, path, **kwargs))
    return show(session.send(Prepared(method, path, name=path), kwargs.get("data")))
"""

IDLE_ENDS: dict[str, Script] = {
    "closed": [read, answer(), pause(0.05), close],
    "half closed": [read, answer(), pause(0.05), half_close],
    "reset": [read, answer(), pause(0.05), reset],
    "time-out said": [read, answer(), pause(0.05), answer(b"", "408 Request Timeout", "Connection: close"), close],
    "junk": [read, answer(), pause(0.05), b"junk"],
    "chunked, then closed": [read, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", pause(0.05), close],
}


@pytest.mark.parametrize("name", IDLE_ENDS)
def test_end_of_an_idle_connection_is_noticed(lab: Lab, name: str) -> None:
    """A connection that ends under a sleeping user is closed at once; nothing fails, nothing spins, the next request is new."""
    with raw_server(*[IDLE_ENDS[name]] * 10, [read, answer(b"new")]) as server:
        played = lab.play(
            ASK
            + """
sessions = [make() for _ in range(10)]
for session in sessions:
    ask(session)
out["open"] = network.sockets.open
used_s = cpu_s()
sleep(0.25)
out["cpu_s"], out["left"] = cpu_s() - used_s, network.sockets.open
out["next"] = [ask(session, "POST") for session in sessions]
""",
            server,
            face=True,
        )
        assert server.accepted == played.opened == 20
    assert played.out["open"] == 10 and played.out["left"] == 0
    assert played.out["cpu_s"] < 0.05
    assert played.out["next"] == [[200, None, "new"]] * 10
    assert played.kinds == [None] * 20


UNNOTICED: dict[str, Script] = {"closed": [read, answer(), close], "reset": [read, answer(), pause(0.02), reset]}


@FACES
@pytest.mark.parametrize("name", UNNOTICED)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "POST", "PATCH"])
def test_end_that_nobody_had_time_to_notice(lab: Lab, name: str, method: str, face: bool) -> None:
    """A connection that ended while the process was busy costs no request its answer, whatever its method."""
    with raw_server(UNNOTICED[name], [read, answer(b"" if method == "HEAD" else b"new")]) as server:
        played = lab.play(
            ASK
            + """
session = make()
ask(session)
sleep_without_the_hub(0.08)
out["shown"] = ask(session, method)
""",
            server,
            face=face,
            method=method,
        )
    assert played.out["shown"] == [200, None, "" if method == "HEAD" else "new"]
    assert played.kinds == [None, None] and played.opened == 2


CLOSING: Script = [read, answer(), read, close]
RESETTING: Script = [read, answer(), read, reset]


@FACES
@pytest.mark.parametrize(("script", "kind"), [(CLOSING, "closed"), (RESETTING, "reset")], ids=["closed", "reset"])
def test_second_try(lab: Lab, script: Script, kind: str, face: bool) -> None:
    """A GET that meets a dying kept connection is sent once more, on a new one; a POST is not, for it may have been done."""
    with raw_server(script, [read, answer(b"second")]) as server:
        played = lab.play(ASK + 'session = make(); ask(session); out["shown"] = ask(session, "GET")', server, face=face)
        assert len(server.requests) == 3
    assert played.out["shown"] == [200, None, "second"] and played.kinds == [None, None]
    with raw_server(script, [read, answer(b"second")]) as server:
        played = lab.play(ASK + 'session = make(); ask(session); out["shown"] = ask(session, "POST")', server, face=face)
        assert len(server.requests) == 2
    assert played.out["shown"] == [0, kind, None] and played.kinds == [None, kind]


@FACES
def test_no_third_try(lab: Lab, face: bool) -> None:
    """A server that closes the new connection too is not asked again, nor is one that closes a fresh connection."""
    with raw_server([read, answer(), read, close], [read, close]) as server:
        played = lab.play(ASK + "session = make(); ask(session); ask(session); ask(session)", server, face=face)
        assert [number for number, _ in server.requests] == [0, 0, 1, 2]
    assert played.kinds == [None, "closed", "closed"]


@FACES
def test_no_second_try_once_an_answer_began(lab: Lab, face: bool) -> None:
    """A GET whose answer is cut off is not sent again."""
    with raw_server([read, answer(), read, b"HTTP/1.1 200 OK\r\n", close], [read, answer(b"second")]) as server:
        played = lab.play(ASK + "session = make(); ask(session); ask(session)", server, face=face)
        assert len(server.requests) == 2
    assert played.kinds == [None, "truncated"]


SURPLUS = answer(b"not yours", "500 Internal Server Error")
WITH_SURPLUS: dict[str, Script] = {
    "plain, at once": [read, answer(b"mine") + SURPLUS],
    "plain, in its body's piece": [read, answer(b"mine")[:-2], pause(0.03), b"ne" + SURPLUS],
    "chunked, at once": [read, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nmine\r\n0\r\n\r\n" + SURPLUS],
    "no body, at once": [read, b"HTTP/1.1 204 No Content\r\n\r\n" + SURPLUS],
    "no body, changing the protocol": [
        read,
        b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
    ],
    "while idle": [read, answer(b"mine"), pause(0.05), SURPLUS],
    "junk": [read, b"HTTP/1.1 200\r\nContent-Length: 4\r\n\r\nminejunk"],
}


@pytest.mark.parametrize("name", WITH_SURPLUS)
@pytest.mark.parametrize("hub", [True, False], ids=["asleep", "busy"])
def test_surplus_is_nobodys(lab: Lab, name: str, hub: bool) -> None:
    """Bytes after an answer that nobody asked for are never the next request's answer, though the process was busy."""
    with raw_server(WITH_SURPLUS[name], [read, answer(b"mine")]) as server:
        played = lab.play(
            ASK
            + """
session = make()
out["shown"] = [ask(session)]
(sleep if hub else sleep_without_the_hub)(0.1)
out["shown"].append(ask(session))
""",
            server,
            face=True,
            hub=hub,
        )
    first = [204, None, ""] if name.startswith("no body") else [200, None, "mine"]
    assert played.out["shown"] == [first, [200, None, "mine"]]


@FACES
def test_early_answer_on_a_connection_that_is_closed_after_it(lab: Lab, face: bool) -> None:
    """A server that answers before it has read all, says nothing of closing and closes: the connection is not left open."""

    def refuse(peer: Peer) -> None:
        """Answer the first bytes and close, the rest unread."""
        peer.receive()
        peer.send(answer(b"no", "413 Content Too Large"))
        peer.server.over.wait(0.2)
        close(peer)

    with raw_server([refuse], [read, answer(b"new")]) as server:
        played = lab.play(
            ASK
            + """
session = make()
out["first"] = ask(session, "POST", data=b"x" * 20_000_000)
sleep(0.1)
out["open"] = network.sockets.open
out["next"] = ask(session, "POST")
""",
            server,
            face=face,
        )
    assert played.out == {"first": [413, "status_413", "no"], "open": 0, "next": [200, None, "new"]}


def test_unread_stream_does_not_spin(lab: Lab) -> None:
    """A streamed answer whose reader sleeps costs no time, however much arrives meanwhile; it is whole in the end."""
    body = [step for _ in range(30) for step in (b"x" * 10_000, pause(0.01))]
    with raw_server([read, b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n", *body, always(answer())]) as server:
        played = lab.play(
            """
            session = make()
            response = session.get("/", stream=True)
            used_s = cpu_s()
            sleep(0.5)
            out["cpu_s"] = cpu_s() - used_s
            out["length"] = len(response.content)
            session.get("/")
            """,
            server,
        )
    assert played.out["cpu_s"] < 0.1
    assert played.out["length"] == 300_000 and played.opened == 1


@FACES
@pytest.mark.parametrize(("thrown", "kind"), [("gevent.GreenletExit", "stopped"), ("Abandoned", "abandoned")])
@pytest.mark.parametrize("script", [[read, ignore], [read, answer()[:-1], ignore]], ids=["unanswered", "half answered"])
def test_killed_during_a_request(lab: Lab, thrown: str, kind: str, script: Script, face: bool) -> None:
    """A user killed while it waits leaves one record of its request, a closed connection, and a session that still works."""
    with raw_server(script, [read, answer(b"new")]) as server:
        played = lab.play(
            ASK
            + f"""
session = make()
greenlet = gevent.spawn(ask, session)
sleep(0.05)
out["open"] = network.sockets.open
greenlet.kill({thrown})
out["left"], out["came"] = network.sockets.open, type(greenlet.value).__name__
out["next"] = ask(session)
""",
            server,
            face=face,
        )
    assert played.out["open"] == 1 and played.out["left"] == 0
    assert played.out["came"] == thrown.rpartition(".")[2]
    assert played.out["next"] == [200, None, "new"]
    assert played.kinds == [kind, None]


@FACES
def test_timeout_of_the_users_own(lab: Lab, face: bool) -> None:
    """gevent.Timeout around a request ends it: it is recorded, its connection closed, and the time-out goes on to the user."""
    with raw_server([read, ignore], [read, answer(b"new")]) as server:
        played = lab.play(
            ASK
            + """
session = make()
try:
    with gevent.Timeout(0.1):
        ask(session)
except gevent.Timeout:
    out["raised"] = True
out["left"], out["next"] = network.sockets.open, ask(session)
""",
            server,
            face=face,
        )
    assert played.out == {"raised": True, "left": 0, "next": [200, None, "new"]}
    assert played.kinds == ["cancelled", None]
