"""A request that is refused with 401 is sent once more with a new token, and both are recorded."""

import json
from pathlib import Path

import jwt
import pytest

from tests.http_lab import Lab
from tests.raw_server import Step, answer, pause, raw_server, read, sent_lines
from tests.unit.texts import BASE, plan_of

REFUSED = answer(b"no", "401 Unauthorized")
GUEST = '[auth]\nmode = "guest"\nlogin = "/login"\nrefresh = "/refresh"\n'
CREDENTIALS = """
from types import SimpleNamespace
from loadtests.engine.arrivals import RunClock
from loadtests.engine.clocks import SteadyClock
from loadtests.engine.credentials import Credentials
from loadtests.scenario.plan import Plan

session, steady = make(), SteadyClock()
crew = SimpleNamespace(plan=Plan.from_json(plan), clock=RunClock(steady), secret="s" * 32)
crew.clock.go(steady.now(), 0.0)
credentials = Credentials(crew, session, 0)
out["login"] = credentials.log_in()
credentials.begin()
"""


def answers(*given: bytes) -> list[Step]:
    """One after the other, each to a request."""
    return [step for one in given for step in (read, one)]


def token(number: int, life_s: int = 1000, issued_at: int = 4_000_000_000) -> bytes:
    """A login's or a refresh's answer, by a target whose clock is not ours."""
    access = jwt.encode({"n": number, "iat": issued_at, "exp": issued_at + life_s}, "k" * 32)
    return answer(json.dumps({"access_token": access, "refresh_token": f"r{number}"}).encode())


@pytest.mark.parametrize(
    "call", ["send(Prepared('GET', '/', name='x'))", "get('/', name='x')", "get('/', name='x', stream=True)"]
)
def test_a_refused_request_is_sent_once_more(lab: Lab, call: str) -> None:
    """With the new Authorization; the response time of the second runs from the moment that the first was due."""
    with raw_server([read, pause(0.05), REFUSED, *answers(answer(), answer())]) as server:
        played = lab.play(
            f"""
            session = make()
            def when_refused(used):
                out["used"], session.authorization = used, "Bearer 2"
                return True
            session.authorization, session.when_refused = "Bearer 1", when_refused
            session.due(now() - 0.5)
            response = session.{call}
            out["ok"] = response.ok
            response.close()
            session.get("/", name="next")
            """,
            server,
        )
    assert played.out == {"used": "Bearer 1", "ok": True}
    assert played.kinds == ["status_401", None, None]
    first, second, following = played.done
    assert second.response_us >= first.response_us >= 550_000
    assert second.service_us < 400_000
    assert following.response_us == following.service_us
    assert [sent_lines(request, b"authorization") for _, request in server.requests[:2]] == [[b"Bearer 1"], [b"Bearer 2"]]


def test_a_second_refusal_is_a_failure(lab: Lab) -> None:
    """Two requests, two failures, and no third."""
    with raw_server(answers(*[REFUSED] * 4)) as server:
        played = lab.play(
            """
            session, asked = make(), []
            session.authorization, session.when_refused = "Bearer 1", lambda used: asked.append(used) or True
            out["ok"] = [session.get("/").ok, session.send(Prepared("GET", "/", name="x")).ok]
            out["asked"] = len(asked)
            """,
            server,
        )
        assert len(server.requests) == 4
    assert played.out == {"ok": [False, False], "asked": 2}
    assert played.kinds == ["status_401"] * 4


def test_what_is_not_repeated(lab: Lab) -> None:
    """Requests with proof of their own, that expect a 401, that a with-block judges, to others; all when there is no token."""
    with raw_server(answers(*[REFUSED] * 7)) as server, raw_server(answers(REFUSED)) as stranger:
        played = lab.play(
            """
            session, asked = make(), []
            session.authorization, session.when_refused = "Bearer 1", lambda used: asked.append(used) or True
            session.get("/", headers={"Authorization": "own"})
            session.send(Prepared("GET", "/", name="x", headers={"Authorization": "own"}))
            session.get("/", expect=[401])
            session.send(Prepared("GET", "/", name="x", expect=(401,)))
            with session.get("/", catch_response=True) as response:
                response.success()
            session.get("/", planned=False)
            session.get(stranger)
            out["asked"] = len(asked)
            session.when_refused = lambda used: False
            session.get("/")
            """,
            server,
            stranger=stranger.url,
        )
        assert len(server.requests) == 7
    assert played.out == {"asked": 0}
    assert played.kinds == ["status_401", "status_401", None, None, None, "status_401", "status_401", "status_401"]


def test_a_guest_refreshes_and_asks_again(lab: Lab, tmp_path: Path) -> None:
    """Refused in the middle of a token's life: refreshed, asked again, and the next renewal is counted from there."""
    with raw_server(answers(token(1), REFUSED, token(2), answer())) as server:
        played = lab.play(
            CREDENTIALS + "out['ok'] = session.get('/', name='x').ok\nout['renew_s'] = credentials.renew_s",
            server,
            plan=plan_of(tmp_path, BASE + GUEST).to_json(),
        )
        bodies = [request.partition(b"\r\n\r\n")[2] for _, request in server.requests]
    assert [(done.name, done.kind) for done in played.done] == [
        ("auth_login", None),
        ("x", "status_401"),
        ("auth_refresh", None),
        ("x", None),
    ]
    assert played.out["ok"]
    assert 930 < played.out["renew_s"] < 1000
    assert json.loads(bodies[2]) == {"refresh_token": "r1"}


@pytest.mark.parametrize("issued_at", [1_000_000_000, 4_000_000_000], ids=["behind", "ahead"])
def test_the_target_s_clock_does_not_matter(lab: Lab, tmp_path: Path, issued_at: int) -> None:
    """What lives 1,000 s is renewed within them, the first time as the later ones, whatever the target takes the time for."""
    with raw_server(answers(token(1, 1000, issued_at), token(2, 1000, issued_at))) as server:
        played = lab.play(
            CREDENTIALS + "out['first_s'] = credentials.renew_s\ncredentials.renew()\nout['next_s'] = credentials.renew_s",
            server,
            plan=plan_of(tmp_path, BASE + GUEST).to_json(),
        )
    assert 0 < played.out["first_s"] < 940
    assert 930 < played.out["next_s"] < 1000


def test_a_target_that_refuses_its_own_tokens_is_not_asked_for_more_of_them(lab: Lab, tmp_path: Path) -> None:
    """One refresh a second: the next refusals are failures and no more."""
    with raw_server(answers(token(1), REFUSED, token(2), *[REFUSED] * 3)) as server:
        played = lab.play(
            CREDENTIALS + "for name in 'xyz': session.get('/', name=name)",
            server,
            plan=plan_of(tmp_path, BASE + GUEST).to_json(),
        )
    assert [done.name for done in played.done] == ["auth_login", "x", "auth_refresh", "x", "y", "z"]


def test_a_repeated_request_keeps_its_name(lab: Lab, tmp_path: Path) -> None:
    """What it was accepted by is the request, not the refresh between its two attempts."""
    with raw_server(answers(token(1), REFUSED, token(2), answer())) as server:
        played = lab.play(
            CREDENTIALS + "session.get('/', name='x')\nout['name'] = session.last_name",
            server,
            plan=plan_of(tmp_path, BASE + GUEST).to_json(),
        )
    assert played.out["name"] == "x"


def test_nothing_is_renewed_after_a_halt(lab: Lab) -> None:
    """A user that was busy when the run was halted sends what was due before, and renews no token that ended meanwhile."""
    played = lab.play(
        """
        from types import SimpleNamespace
        from loadtests.engine.arrivals import RunClock
        from loadtests.engine.clocks import SteadyClock
        from loadtests.engine.users import SimulatedUser

        steady, renewed = SteadyClock(), []
        clock = RunClock(steady)
        clock.go(steady.now() - 10.0, 0.0)
        credentials = SimpleNamespace(renew_s=5.0)
        def renew():
            renewed.append(clock.now())
            credentials.renew_s = 1000.0
        user = SimpleNamespace(_crew=SimpleNamespace(clock=clock), _credentials=credentials, _renew=renew, _free_s=0.0)
        clock.halt_at_s = 8.0
        out["due"] = [SimulatedUser._wait_until(user, due_s) for due_s in (7.0, 9.0)]
        out["after"] = len(renewed)
        clock.halt_at_s = 20.0
        out["due"].append(SimulatedUser._wait_until(user, 9.0))
        out["before"] = len(renewed)
        """
    )
    assert played.out == {"due": [True, False, True], "after": 0, "before": 1}


def test_a_refused_refresh_is_followed_by_a_login(lab: Lab, tmp_path: Path) -> None:
    """Once; the failed refresh is a failure of its own series."""
    with raw_server(answers(token(1), REFUSED, REFUSED, token(2), answer())) as server:
        played = lab.play(
            CREDENTIALS + "out['ok'] = session.get('/', name='x').ok",
            server,
            plan=plan_of(tmp_path, BASE + GUEST).to_json(),
        )
    assert [(done.name, done.kind) for done in played.done[1:]] == [
        ("x", "status_401"),
        ("auth_refresh", "status_401"),
        ("auth_login", None),
        ("x", None),
    ]
    assert played.out == {"login": None, "ok": True}


def test_where_no_token_is_to_be_had_nobody_asks_without_end(lab: Lab, tmp_path: Path) -> None:
    """Refresh and login fail once; the next refusal of the same second is just a failure."""
    with raw_server(answers(token(1), *[REFUSED] * 4)) as server:
        played = lab.play(
            CREDENTIALS + "session.get('/', name='x')\nsession.get('/', name='y')\nout['wait_s'] = credentials.renew_s",
            server,
            plan=plan_of(tmp_path, BASE + GUEST).to_json(),
        )
        assert len(server.requests) == 5
    assert [done.name for done in played.done] == ["auth_login", "x", "auth_refresh", "auth_login", "y"]
    assert played.kinds[1:] == ["status_401"] * 4
    assert 1 <= played.out["wait_s"] < 5


def test_a_minted_token_is_signed_anew(lab: Lab, tmp_path: Path) -> None:
    """Refused: another token is signed, which costs no request, and the request goes out again."""
    auth = '[auth]\nmode = "mint"\nsubject = "u{user}"\nrenewals = "together"\n'
    with raw_server(answers(REFUSED, answer())) as server:
        played = lab.play(
            CREDENTIALS + "out['first'] = credentials.renew_s\nsleep(1.1)\nsession.get('/', name='x')",
            server,
            plan=plan_of(tmp_path, BASE + auth).to_json(),
        )
        first, second = (sent_lines(request, b"authorization") for _, request in server.requests)
    assert [(done.name, done.kind) for done in played.done] == [("x", "status_401"), ("x", None)]
    assert first != second
    assert played.out["first"] == 1740
