"""nginx before the API: what it passes on. Each test runs nginx."""

from pathlib import Path

import httpx
import pytest

from tests.edge_support import TASKS, Answer, Request, running_edge, upstream
from tests.edge_support import folder as folder


def test_the_api_sees_the_request_as_the_client_sent_it(folder: Path) -> None:
    """Path, query, body, token, keys and conditions arrive unchanged."""
    headers = {
        "Authorization": "Bearer a.b.c",
        "Idempotency-Key": "key-1",
        "If-None-Match": '"tag"',
        "Cookie": "a=b",
    }
    with upstream() as api, running_edge(folder, api.port) as edge:
        edge.client.post(f"{TASKS}?page=2&x=%2F", content=b"[1]", headers=headers)
    (seen,) = api.requests
    assert (seen.method, seen.path, seen.body) == ("POST", f"{TASKS}?page=2&x=%2F", b"[1]")
    assert {name: seen.headers[name] for name in headers} == headers
    assert seen.headers["Connection"] is None


def test_the_clients_address_is_what_nginx_saw(folder: Path) -> None:
    """A client cannot invent where it comes from."""
    invented = {"X-Forwarded-For": "203.0.113.9", "X-Real-IP": "203.0.113.9"}
    with upstream() as api, running_edge(folder, api.port) as edge:
        edge.get(TASKS, **invented)
    seen = api.requests[0].headers
    assert seen.get_all("X-Forwarded-For") == ["127.0.0.1"]
    assert seen.get_all("X-Real-IP") == ["127.0.0.1"]


def test_each_request_has_an_id(folder: Path) -> None:
    """API, client and log see the same one: the client's, unless it is no decent id."""
    with upstream() as api, running_edge(folder, api.port) as edge:
        own = edge.get(TASKS).headers["X-Request-ID"]
        given = edge.get(TASKS, **{"X-Request-ID": "given-id-1"}).headers["X-Request-ID"]
        bad = edge.get(TASKS, **{"X-Request-ID": 'x" y'}).headers["X-Request-ID"]
    assert given == "given-id-1"
    assert len(own) == len(bad) == 32
    assert [request.headers["X-Request-ID"] for request in api.requests] == [own, given, bad]


def test_answers_of_the_api_are_never_cached(folder: Path) -> None:
    """Even if they allow it, each request reaches the API, and no cache speaks in the answer."""
    answer = Answer(headers={"Cache-Control": "public, max-age=60", "ETag": '"1"'})
    with upstream(lambda _: answer) as api, running_edge(folder, api.port) as edge:
        responses = [edge.get(TASKS), edge.get(TASKS)]
    assert len(api.requests) == 2
    assert all("X-Cache-Status" not in response.headers for response in responses)
    assert responses[0].headers["Cache-Control"] == "public, max-age=60"


def test_conditional_requests_and_head_reach_the_api(folder: Path) -> None:
    """304 comes back as 304 with its ETag; HEAD stays HEAD and tells the length."""

    def answer(request: Request) -> Answer:
        same = request.headers.get("If-None-Match") == '"1"'
        return Answer(b"[1, 2]", 304 if same else 200, {"ETag": '"1"'})

    with upstream(answer) as api, running_edge(folder, api.port) as edge:
        unchanged = edge.get(TASKS, **{"If-None-Match": '"1"'})
        head = edge.client.head(TASKS, headers={"Accept-Encoding": "identity"})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert unchanged.headers["ETag"] == '"1"'
    assert (head.status_code, head.headers["Content-Length"]) == (200, "6")
    assert [request.method for request in api.requests] == ["GET", "HEAD"]


@pytest.mark.parametrize(("size", "compressed"), [(999, False), (1000, True)])
def test_json_is_compressed_from_1000_bytes(folder: Path, size: int, compressed: bool) -> None:
    """For clients that want it; the ETag becomes a weak one, which the API accepts back."""
    answer = Answer(b"1" * size, headers={"ETag": '"1"'})
    with upstream(lambda _: answer) as api, running_edge(folder, api.port) as edge:
        wanted = edge.get(TASKS, **{"Accept-Encoding": "gzip"})
        plain = edge.get(TASKS)
    assert wanted.content == plain.content == answer.body
    assert wanted.headers.get("Content-Encoding") == ("gzip" if compressed else None)
    assert wanted.headers["ETag"] == ('W/"1"' if compressed else '"1"')
    assert "Content-Encoding" not in plain.headers
    assert api.requests


def test_a_huge_body_is_refused(folder: Path) -> None:
    """The API never sees it."""
    with upstream() as api, running_edge(folder, api.port) as edge:
        assert edge.client.post(TASKS, content=b"x" * 131_072).status_code == 200
        assert edge.client.post(TASKS, content=b"x" * 131_073).status_code == 413
    assert len(api.requests) == 1


def test_operations_are_for_networks_that_are_named(folder: Path) -> None:
    """Beside this machine, and for no other."""
    with (
        upstream() as api,
        running_edge(folder, api.port, options=("--allow", "127.0.0.2/31")) as edge,
    ):
        for address, status in (("127.0.0.1", 200), ("127.0.0.3", 200), ("127.0.0.4", 403)):
            transport = httpx.HTTPTransport(local_address=address)
            with httpx.Client(base_url=edge.client.base_url, transport=transport) as client:
                assert client.get("/healthz").status_code == status


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/metrics", "/openapi.json", "/%6detrics"])
def test_operations_are_for_this_machine(folder: Path, path: str) -> None:
    """127.0.0.1 may ask; another address, here 127.0.0.2, may ask for the API only."""
    with upstream() as api, running_edge(folder, api.port) as edge:
        assert edge.get(path).status_code == 200
        transport = httpx.HTTPTransport(local_address="127.0.0.2")
        with httpx.Client(base_url=edge.client.base_url, transport=transport) as outside:
            assert outside.get(path).status_code == 403
            assert outside.get(TASKS).status_code == 200
    assert [request.path for request in api.requests] == [path, TASKS]
    assert api.requests[1].headers["X-Real-IP"] == "127.0.0.2"
