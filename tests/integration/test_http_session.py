"""What a person's session does around its requests: names, times, tokens, cookies, redirects, decisions, the record."""

import pytest

from tests.http_lab import Lab
from tests.raw_server import Step, always, answer, pause, raw_server, read, sent_lines


def test_times(lab: Lab) -> None:
    """The response time runs from when a request was due, the service time from its send; the next one is due at once."""
    with raw_server([step for _ in range(4) for step in (read, pause(0.05), answer())]) as server:
        played = lab.play(
            """
            session = make()
            GET = Prepared("GET", "/", name="x")
            session.due(now() - 0.5)
            session.send(GET)
            session.send(GET)
            session.due(now() - 0.5)
            out["elapsed_s"] = session.get("/").elapsed.total_seconds()
            session.get("/")
            """,
            server,
        )
    for late, prompt in (played.done[:2], played.done[2:]):
        assert 550_000 < late.response_us < 700_000 and 50_000 < late.service_us < 200_000
        assert prompt.response_us == prompt.service_us < 200_000
    assert played.out["elapsed_s"] == pytest.approx(played.done[2].service_us / 1e6, abs=1e-5)


def test_names(lab: Lab) -> None:
    """A request has the name that it was given, else the one around it, else its URL as it was written."""
    with raw_server([always(answer())]) as server:
        played = lab.play(
            """
            session = make()
            session.get("/a?b=c", params={"d": 1})
            session.get("/a", name="own")
            with session.rename_request("around"):
                session.get("/a")
                session.get("/a", name="own")
            session.get("/a")
            session.send(Prepared("GET", "/{id}", name="made"), id=1)
            out["last"] = session.last_name
            """,
            server,
        )
    assert [done.name for done in played.done] == ["/a?b=c", "own", "around", "own", "/a", "made"]
    assert played.out["last"] == "made"


def test_expected_statuses(lab: Lab) -> None:
    """Any status below 400 is ok, or only those that the request expects; the answer comes back either way."""
    with raw_server([read, answer(), read, answer(), always(answer(b"no", "404 Not Found"))]) as server:
        played = lab.play(
            """
            session = make()
            PICKY = Prepared("GET", "/", name="x", expect=(404,))
            responses = [session.get("/", expect=[201]), session.send(PICKY), session.get("/", expect=(404, 200))]
            responses += [session.send(PICKY), session.get("/"), session.send(Prepared("GET", "/", name="x"))]
            out["ok"] = [response.ok for response in responses]
            out["texts"] = [response.text for response in responses]
            """,
            server,
        )
    assert played.kinds == ["status_200", "status_200", None, None, "status_404", "status_404"]
    assert played.out == {"ok": [kind is None for kind in played.kinds], "texts": ["ok", "ok", "no", "no", "no", "no"]}


def test_token(lab: Lab) -> None:
    """A person's token goes with every request to the target, new as soon as it is changed, and to nobody else."""
    with raw_server([always(answer())]) as server, raw_server([always(answer())]) as stranger:
        lab.play(
            """
            session, other = make(), make()
            GET, OWN = Prepared("GET", "/", name="x"), Prepared("GET", "/", name="x", headers={"Accept": "text/x"})
            session.authorization = "Bearer 1"
            session.get("/")
            session.send(GET)
            session.authorization = "Bearer 2"
            session.send(GET)
            session.send(OWN)
            session.get("/", headers={"authorization": "own"})
            session.get("/", auth=("user", "pass"))
            session.authorization = None
            session.send(GET)
            other.send(GET)
            session.authorization = "Bearer 3"
            session.get(stranger)
            session.get(url)
            """,
            server,
            stranger=stranger.url,
        )
        tokens = [sent_lines(request, b"authorization") for _, request in server.requests[:6]]
        assert tokens == [[b"Bearer 1"], [b"Bearer 1"], [b"Bearer 2"], [b"Bearer 2"], [b"own"], [b"Basic dXNlcjpwYXNz"]]
        assert sorted(sent_lines(request, b"authorization") for _, request in server.requests[6:]) == [[], [], [b"Bearer 3"]]
        assert [sent_lines(request, b"authorization") for _, request in stranger.requests] == [[]]


def test_credentials_of_the_base_url(lab: Lab) -> None:
    """A name and a password in the base URL are sent as such, percent-decoded, and stand in no other place."""
    with raw_server([always(answer())]) as server:
        played = lab.play(
            """
            session = make(url.replace("http://", "http://us%40er:p%3Ass@") + "/base/")
            out["url"] = session.get("/path").url
            session.send(Prepared("GET", "/{id}", name="x"), id=1)
            """,
            server,
        )
        assert played.out["url"] == f"{server.url}/base/path"
        assert [request.split(b" ")[1] for _, request in server.requests] == [b"/base/path", b"/base/1"]
        for _, request in server.requests:
            assert sent_lines(request, b"authorization") == [b"Basic dXNAZXI6cDpzcw=="]
            assert sent_lines(request, b"host") == [f"127.0.0.1:{server.port}".encode()]


def test_base_url_that_ends_with_a_slash(lab: Lab) -> None:
    """A path without a slash in front of it follows the slash of the base URL, as in Locust."""
    with raw_server([always(answer())]) as server:
        played = lab.play('out["shown"] = show(make(url + "/").get("tasks"))', server)
        assert played.out["shown"] == [200, None, "ok"]
        assert server.requests[0][1].startswith(b"GET /tasks HTTP/1.1\r\n")


@pytest.mark.parametrize("url", ["", "localhost", "ftp://x", "http://", "http://:80", "http://x:port", "http://x:99999"])
def test_base_url_that_is_none(lab: Lab, url: str) -> None:
    """A base URL that leads nowhere is refused when the session is made."""
    code = "try:\n    make(base)\nexcept ValueError as error:\n    out['refused'] = str(error)"
    assert lab.play(code, base=url).out["refused"]


def test_own_headers(lab: Lab) -> None:
    """A session's own headers go with each request, those of a request over them, whatever their casing; each once."""
    with raw_server([always(answer())]) as server:
        lab.play(
            """
            session = make(headers={"user-agent": "own", "X-All": "1"})
            session.get("/")
            session.get("/", headers={"X-ALL": "2", "Accept-Encoding": "identity"})
            session.send(Prepared("GET", "/", name="x", headers={"x-all": "3"}))
            """,
            server,
        )
        names = (b"user-agent", b"x-all", b"accept-encoding")
        found = [[sent_lines(request, name) for name in names] for _, request in server.requests]
    usual = [b"gzip, deflate, br"]
    assert found == [[[b"own"], [b"1"], usual], [[b"own"], [b"2"], [b"identity"]], [[b"own"], [b"3"], usual]]


@pytest.mark.parametrize("name", ["Host", "Content-Length"])
def test_header_that_the_client_writes_itself(lab: Lab, name: str) -> None:
    """A Host or a Content-Length of one's own takes the place of the client's: two of them are no request."""
    with raw_server([always(answer())]) as server:
        lab.play('make().post("/", data=b"abcd", headers={name: value})', server, name=name, value="4")
        assert sent_lines(server.requests[0][1], name.lower().encode()) == [b"4"]


def test_prepared_request_with_headers_of_the_persons(lab: Lab) -> None:
    """A prepared request that brings its own Authorization or Cookie sends that, and not the person's too."""
    with raw_server([read, answer(b"", "200 OK", "Set-Cookie: a=1"), always(answer())]) as server:
        lab.play(
            """
            session = make()
            session.get("/")
            session.authorization = "Bearer 1"
            session.send(Prepared("GET", "/", name="x", headers={"authorization": "own", "cookie": "own=1"}))
            """,
            server,
        )
        found = [sent_lines(server.requests[1][1], name) for name in (b"authorization", b"cookie")]
    assert found == [[b"own"], [b"own=1"]]


@pytest.mark.parametrize("value", ["a=b\0c", "a=b\x01c", "\0=b", "a=\xff\xfe"])
def test_poisoned_cookie(lab: Lab, value: str) -> None:
    """Whatever a server calls a cookie, the person's next requests go out."""
    poisoned = b"HTTP/1.1 200 OK\r\nSet-Cookie: " + value.encode("latin-1") + b"\r\nContent-Length: 0\r\n\r\n"
    with raw_server([read, poisoned, always(answer())], [always(answer())]) as server:
        played = lab.play(
            """
            session = make(read_s=2.0)
            session.get("/")
            out["shown"] = [show(session.get("/")), show(session.send(Prepared("GET", "/", name="x")))]
            """,
            server,
        )
    assert played.out["shown"] == [[200, None, "ok"]] * 2


def test_arguments_that_cannot_be_sent(lab: Lab) -> None:
    """What is wrong with a request's arguments is raised before anything is recorded, and spoils nothing."""
    with raw_server([always(answer())]) as server:
        played = lab.play(
            """
            session = make()
            wrong = [
                lambda: session.get("/", headers={"X": "a\\r\\nY: b"}),
                lambda: session.get("ftp://x/"),
                lambda: session.send(Prepared("GET", "/{id}", name="x")),
                lambda: session.send(Prepared("GET", "/", name="x"), id=1),
                lambda: session.post("/", data=object()),
            ]
            out["raised"] = []
            for ask in wrong:
                try:
                    ask()
                except (ValueError, TypeError) as error:
                    out["raised"].append(type(error).__name__)
            out["shown"] = show(session.get("/"))
            """,
            server,
        )
    assert played.out == {
        "raised": ["ValueError", "ValueError", "TypeError", "TypeError", "TypeError"],
        "shown": [200, None, "ok"],
    }
    assert played.kinds == [None]


def test_decisions(lab: Lab) -> None:
    """A caught response is recorded once, as its with-block decides, else by its status, or by what the block raises."""
    six: list[Step] = [step for _ in range(6) for step in (read, answer())]
    with raw_server([*six, always(answer(b"", "404 Not Found"))]) as server:
        played = lab.play(
            """
            session = make()
            def ask(name, decide):
                try:
                    with session.get("/", name=name, catch_response=True) as response:
                        decide(response)
                except ZeroDivisionError:
                    out["raised"] = True
            ask("left", lambda response: None)
            ask("failed", lambda response: response.failure("no"))
            ask("raised", lambda response: 1 / 0)
            ask("decided and raised", lambda response: (response.failure("no"), 1 / 0))
            ask("changed its mind", lambda response: (response.failure("no"), response.success()))
            session.get("/", name="no block", catch_response=True)
            ask("404", lambda response: None)
            ask("404, fine", lambda response: response.success())
            session.get("/", name="404, no block", catch_response=True)
            """,
            server,
        )
    assert {done.name: done.kind for done in played.done} == {
        "left": None,
        "failed": "rejected",
        "raised": "rejected",
        "decided and raised": "rejected",
        "changed its mind": None,
        "no block": None,
        "404": "status_404",
        "404, fine": None,
        "404, no block": "status_404",
    }
    assert len(played.done) == 9


def test_decision_after_another_request(lab: Lab) -> None:
    """A with-block that asks for something else still decides over its own response."""
    with raw_server([always(answer())]) as server:
        played = lab.play(
            """
            session = make()
            with session.get("/outer", catch_response=True) as response:
                session.get("/inner")
                session.send(Prepared("GET", "/", name="prepared"))
                response.failure("no")
            """,
            server,
        )
    assert {done.name: done.kind for done in played.done} == {"/outer": "rejected", "/inner": None, "prepared": None}
