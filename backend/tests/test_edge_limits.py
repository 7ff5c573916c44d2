"""nginx before the API: limits. Each test runs nginx."""

from pathlib import Path

from tests.edge_support import LOAD, TASKS, Answer, free_port, running_edge, statuses, upstream
from tests.edge_support import folder as folder

LOGIN = "/api/v1/auth/guest"


def bearer(user: str) -> str:
    """An Authorization header that is shaped like a token of that user."""
    return f"Authorization: Bearer head.body.the-signature-of-{user}"


def test_a_user_who_asks_too_often_waits_alone(folder: Path) -> None:
    """Above 20 at once and 100 a second comes 429 with a time to wait; another user is served."""
    with upstream() as api, running_edge(folder, api.port) as edge:
        received = edge.pipelined(*[f"GET {TASKS}\n{bearer('anna')}"] * 150)
        other = edge.get(TASKS, Authorization=bearer("bert").partition(": ")[2])
    seen = statuses(received)
    assert 21 <= seen.count(200) < 100
    assert seen.count(429) == received.count(b"\r\nRetry-After: 1\r\n") == 150 - seen.count(200)
    assert other.status_code == 200
    assert len(api.requests) == seen.count(200) + 1


def test_invented_tokens_do_not_help(folder: Path) -> None:
    """Who changes the token with each request meets the limit of the address."""
    # Nobody listens there: 502 comes as quickly as can be, and means that it was let through.
    with running_edge(folder, free_port()) as edge:
        shapely = edge.pipelined(*[f"GET {TASKS}\n{bearer(str(n))}" for n in range(2000)])
        shapeless = edge.pipelined(*[f"GET {TASKS}\nAuthorization: {n}" for n in range(500)])
    assert statuses(shapely).count(502) > 200
    assert statuses(shapely).count(429) > 200
    assert statuses(shapeless).count(429) > 300


def test_logins_have_a_limit_of_their_own(folder: Path) -> None:
    """From one address eleven at once, then one in two seconds; whatever token they carry."""
    with upstream() as api, running_edge(folder, api.port) as edge:
        received = edge.pipelined(*[f"POST {LOGIN}\n{bearer(str(n))}" for n in range(15)])
        refused = edge.client.post(LOGIN)
        spelled_otherwise = edge.client.post("/api/v1/auth/%67uest")
        assert edge.get(TASKS).status_code == 200
    assert statuses(received) == [200] * 11 + [429] * 4
    assert refused.status_code == spelled_otherwise.status_code == 429
    assert refused.headers["Retry-After"] == "2"
    assert refused.json() == {"detail": "too many requests"}
    assert len(refused.headers["X-Request-ID"]) == 32
    assert len(api.requests) == 12


def test_the_apis_own_429_is_passed_on(folder: Path) -> None:
    """Its body and its time to wait are not replaced."""
    answer = Answer(b'{"detail":"own"}', 429, {"Retry-After": "60"})
    with upstream(lambda _: answer) as api, running_edge(folder, api.port) as edge:
        response = edge.get(TASKS)
    assert (response.json(), response.headers["Retry-After"]) == ({"detail": "own"}, "60")
    assert len(api.requests) == 1


def test_the_load_profile_has_no_limits(folder: Path) -> None:
    """One user, one address, as many requests and logins as they like."""
    with running_edge(folder, free_port(), options=LOAD) as edge:
        asked = [f"GET {TASKS}\n{bearer('anna')}", f"POST {LOGIN}"] * 500
        assert statuses(edge.pipelined(*asked)) == [502] * 1000
