"""Redirects, over real sockets: what goes along, and where it ends."""

from contextlib import ExitStack

import pytest

from tests.http_lab import Lab
from tests.raw_server import Peer, Step, always, answer, raw_server, read, redirecting, sent_lines


def test_redirects_across_servers(lab: Lab) -> None:
    """A redirect to another server is followed without the token and without cookies of the first; cookies on the way stay."""
    with ExitStack() as stack:
        there = answer(b"there", "200 OK", "Set-Cookie: b=2; Path=/")
        other = stack.enter_context(raw_server([always(there)], address="::1"))
        elsewhere = f"{other.url}/x"
        away_with_a_cookie = answer(b"", "302 Found", f"Location: {elsewhere}", "Set-Cookie: a=1")
        server = stack.enter_context(raw_server([read, away_with_a_cookie, always(answer())]))
        played = lab.play(
            """
            session = make()
            session.authorization = "Bearer 1"
            response = session.post("/", data="body", headers={"X-Own": "y"})
            out["shown"], out["url"], out["history"] = show(response), response.url, [show(one) for one in response.history]
            session.get("/")
            """,
            server,
        )
        (_, away), (_, home) = other.requests[0], server.requests[1]
    assert away.startswith(b"GET /x HTTP/1.1\r\n") and sent_lines(away, b"x-own") == [b"y"]
    assert not sent_lines(away, b"authorization") and not sent_lines(away, b"cookie")
    assert sent_lines(home, b"authorization") == [b"Bearer 1"] and sent_lines(home, b"cookie") == [b"a=1"]
    assert played.out == {"shown": [200, None, "there"], "url": elsewhere, "history": [[302, None, ""]]}
    assert [done.received for done in played.done] == [5, 2]


def redirect_to_capitals(peer: Peer) -> None:
    """Send the client to the same place, written in capitals."""
    peer.request()
    peer.send(redirecting(f"HTTP://LOCALHOST:{peer.server.port}/x"))


def test_token_comes_home_with_a_redirect(lab: Lab) -> None:
    """A redirect to the same server in other words is a redirect to the same server, on the same connection."""
    with raw_server([redirect_to_capitals, always(answer())]) as server:
        played = lab.play(
            """
            session = make(f"http://localhost:{port}")
            session.authorization = "Bearer 1"
            session.get("/")
            """,
            server,
            port=server.port,
        )
        assert played.kinds == [None]
        assert [sent_lines(request, b"authorization") for _, request in server.requests] == [[b"Bearer 1"]] * 2


def test_too_many_redirects(lab: Lab) -> None:
    """As many redirects as allowed are followed, one more is a failure; none are followed when none are allowed."""
    twice: list[Step] = [read, redirecting("/x"), read, redirecting("/x")]
    with raw_server([*twice, always(answer())]) as server:
        played = lab.play("session = make(max_redirects=2); out['shown'] = show(session.get('/'))", server)
        assert played.out["shown"] == [200, None, "ok"] and len(server.requests) == 3
    with raw_server([always(redirecting("/x"))]) as server:
        played = lab.play("make(max_redirects=2).get('/'); make(max_redirects=0).get('/')", server)
        assert played.kinds == ["redirects", None] and len(server.requests) == 4


@pytest.mark.parametrize("to", ["http://:80/", "http://x:port/", "http://[::1/", "http://\x7f/"])
def test_redirect_to_nowhere(lab: Lab, to: str) -> None:
    """A redirect to something that is no URL fails the request, and not the user."""
    with raw_server([always(redirecting(to))]) as server:
        played = lab.play("out['shown'] = show(make().get('/'))", server)
    assert played.out["shown"] in ([0, "redirects", None], [0, "dns", None])
