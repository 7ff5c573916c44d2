"""nginx before the API: balancing, retries, limits, and what it passes on. Each test runs nginx."""

import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app import edge as edge_module
from tests.edge_support import (
    Answer,
    Request,
    answers,
    free_port,
    require_nginx,
    running_edge,
    statuses,
    upstream,
)
from tests.support import BACKEND, eventually

TASKS = "/api/v1/tasks"
LOGIN = "/api/v1/auth/guest"
LOAD = ("--rate-limit", "off")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A place for nginx's prefix; pytest's own folders are closed to workers of another account."""
    with tempfile.TemporaryDirectory(prefix="edge-") as name:
        Path(name).chmod(0o755)
        yield Path(name) / "edge"


def bearer(user: str) -> str:
    """An Authorization header that is shaped like a token of that user."""
    return f"Authorization: Bearer head.body.the-signature-of-{user}"


# --- Balancing and retries.


def test_requests_are_spread_over_the_instances(folder: Path) -> None:
    """Instances with nothing to do get equal shares."""
    with upstream() as one, upstream() as two, running_edge(folder, one.port, two.port) as edge:
        for _ in range(20):
            assert edge.get(TASKS).status_code == 200
    assert (len(one.requests), len(two.requests)) == (10, 10)


def test_a_busy_instance_gets_less(folder: Path) -> None:
    """While one instance is at work on a request, new ones go to the other."""
    release = threading.Event()

    def hold(_: Request) -> Answer:
        release.wait(10)
        return Answer()

    with upstream() as one, upstream() as two, running_edge(folder, one.port, two.port) as edge:
        one.answer = two.answer = hold
        first = threading.Thread(target=edge.get, args=(TASKS,))
        first.start()
        eventually(lambda: bool(one.requests or two.requests), "the first request came through")
        busy, idle = (one, two) if one.requests else (two, one)
        idle.answer = lambda _: Answer()
        for _ in range(10):
            assert edge.get(TASKS).status_code == 200
        release.set()
        first.join()
    assert (len(busy.requests), len(idle.requests)) == (1, 10)


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_an_instance_that_is_gone_is_not_noticed(folder: Path, method: str) -> None:
    """Requests of any method that it refuses to connect for go to another, once each."""
    with upstream() as alive, running_edge(folder, free_port(), alive.port) as edge:
        for _ in range(10):
            assert edge.client.request(method, TASKS).status_code == 200
    assert [request.method for request in alive.requests] == [method] * 10


def test_an_instance_that_ends_at_work_is_not_noticed_by_readers(folder: Path) -> None:
    """A GET that was cut off is asked again elsewhere; after three the instance has a pause."""
    with (
        upstream(lambda _: None) as dying,
        upstream() as alive,
        running_edge(folder, dying.port, alive.port) as edge,
    ):
        for _ in range(20):
            assert edge.get(TASKS).status_code == 200
    assert len(dying.requests) == 3
    assert len(alive.requests) == 20


def test_a_post_that_was_sent_is_never_repeated(folder: Path) -> None:
    """If the instance ends before it answers, the client hears 502, and no other one is asked."""
    with (
        upstream(lambda _: None) as one,
        upstream(lambda _: None) as two,
        running_edge(folder, one.port, two.port) as edge,
    ):
        assert edge.client.post(TASKS, json={"prompt": "once"}).status_code == 502
    assert len(one.requests) + len(two.requests) == 1


@pytest.mark.parametrize("status", [500, 503])
def test_an_error_of_an_instance_is_an_answer(folder: Path, status: int) -> None:
    """It reaches the client as it is; the others are not burdened with it."""

    def fail(_: Request) -> Answer:
        return Answer(b'{"detail":"away"}', status, {"Retry-After": "1"})

    with (
        upstream(fail) as one,
        upstream(fail) as two,
        running_edge(folder, one.port, two.port) as edge,
    ):
        response = edge.get(TASKS)
    assert response.status_code == status
    assert response.headers["Retry-After"] == "1"
    assert len(one.requests) + len(two.requests) == 1


def test_connections_to_the_instances_are_kept(folder: Path) -> None:
    """Many requests share one connection."""
    with upstream() as api, running_edge(folder, api.port, options=LOAD) as edge:
        for _ in range(50):
            assert edge.get(TASKS).status_code == 200
    assert len(api.requests) == 50
    assert api.connections == 1


def test_a_restarted_instance_costs_no_post(folder: Path) -> None:
    """Kept connections that the instance has ended are not used again."""
    with upstream() as api, running_edge(folder, api.port) as edge:
        assert edge.client.post(TASKS).status_code == 200
        api.say_goodbye()
        assert edge.client.post(TASKS).status_code == 200
    assert api.connections == 2


# --- What is passed on.


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


# --- Limits.


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


# --- The process.


def test_the_log_tells_what_became_of_a_request(folder: Path) -> None:
    """Status, times, who was asked, the id; no token. nginx itself has nothing to complain of."""
    with upstream() as api, running_edge(folder, api.port) as edge:
        edge.get(TASKS, **{"X-Request-ID": "look-for-me", "Authorization": "Bearer secret"})
        log = folder / "access.log"
        eventually(lambda: "look-for-me" in log.read_text(), "the buffered log is written")
    assert folder.with_suffix(".log").read_text() == ""
    line = log.read_text()
    assert f'"GET {TASKS} HTTP/1.1" 200 bytes=2 request_time=0.' in line
    assert "upstream_time=0.0" in line
    assert f"upstream=127.0.0.1:{api.port} cache=- id=look-for-me" in line
    assert "secret" not in line


def test_sigterm_ends_nginx_at_once(folder: Path) -> None:
    """Workers too, with clients connected and a request under way; its port and socket are free."""
    release = threading.Event()

    def hold(_: Request) -> Answer:
        release.wait(10)
        return Answer()

    with upstream(hold) as api, running_edge(folder, api.port) as edge:
        with socket.create_connection(("127.0.0.1", edge.port)) as connection:
            connection.sendall(f"GET {TASKS} HTTP/1.1\r\nHost: edge\r\n\r\n".encode())
            eventually(lambda: bool(api.requests), "the request is under way")
            started_s = time.monotonic()
            edge.process.terminate()
            assert connection.recv(1) == b""
        assert edge.process.wait(5) == 0
        assert time.monotonic() - started_s < 2
        socket.create_server(("127.0.0.1", edge.port)).close()
        release.set()
    assert not (folder / "origin.sock").exists()


def test_a_killed_nginx_does_not_hinder_the_next(folder: Path) -> None:
    """The socket that it leaves behind is taken away."""
    folder.mkdir()
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(folder / "origin.sock"))
    with upstream() as api, running_edge(folder, api.port) as edge:
        assert edge.get("/static/index.html").status_code == 200


@pytest.mark.skipif(os.geteuid() != 0, reason="all tests run as an ordinary user here")
def test_an_ordinary_user_can_run_it(folder: Path) -> None:
    """Root is not needed."""
    require_nginx()
    folder.mkdir()
    os.chown(folder, 65534, 65534)
    port = free_port()
    # The interpreter may lie in root's home, so all that it needs is loaded before.
    program = (
        "import encodings.idna, os, sys; from app.edge import main;"
        " os.setgroups([]); os.setgid(65534); os.setuid(65534); sys.exit(main())"
    )
    with upstream() as api, folder.with_suffix(".log").open("wb") as log:
        arguments = ["--listen", str(port), "--folder", str(folder), "--run"]
        arguments += ["--upstream", f"127.0.0.1:{api.port}"]
        command = [sys.executable, "-c", program, *arguments]
        with subprocess.Popen(command, cwd=BACKEND, stderr=log) as child:
            base_url = f"http://127.0.0.1:{port}"
            try:
                with httpx.Client(base_url=base_url, trust_env=False) as client:
                    eventually(lambda: answers(client), "nginx answers")
                    assert client.get(TASKS).status_code == 200
                    assert client.get("/static/index.html").status_code == 200
            finally:
                child.terminate()
        assert child.returncode == 0
    assert folder.with_suffix(".log").read_text() == ""


def run_edge(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `app.edge` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "app.edge", *arguments],
        cwd=BACKEND,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_without_run_the_folder_is_made_and_checked(folder: Path) -> None:
    """A container can start nginx later."""
    require_nginx()
    given = ("--upstream", "localhost:1,[::1]:2", "--upstream", "127.0.0.1:3")
    done = run_edge("--listen", "0.0.0.0:80", *given, "--folder", str(folder))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (folder / "nginx.conf").read_bytes() == edge_module.CONF.read_bytes()
    assert (folder / "listen.conf").read_text().startswith("listen 0.0.0.0:80 ")
    servers = re.findall(r"server (\S+) ", (folder / "upstream.conf").read_text())
    assert servers == ["localhost:1", "[::1]:2", "127.0.0.1:3"]


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"--upstream": None}, "at least one --upstream is needed"),
        ({"--upstream": "127.0.0.1"}, "'127.0.0.1' is no address"),
        ({"--upstream": "127.0.0.1:1,"}, "'' is no address"),
        ({"--upstream": "8001"}, "'8001' is no address, HOST:PORT is expected"),
        ({"--upstream": "a:1; include x"}, "'a:1; include x' is no address"),
        ({"--upstream": "no-such-host.invalid:1"}, "host not found in upstream"),
        ({"--listen": None}, "--listen"),
        ({"--listen": "0"}, "'0' is no address, [ADDRESS:]PORT is expected"),
        ({"--listen": "65536"}, "'65536' is no address"),
        ({"--conf": "/nowhere/nginx.conf"}, "/nowhere/nginx.conf: No such file or directory"),
        ({"--static": "/nowhere"}, "/nowhere: no index.html"),
        ({"--folder": "/dev/null/edge"}, "/dev/null/edge: Not a directory"),
        ({"--rate-limit": "some"}, "--rate-limit"),
    ],
)
def test_bad_input_is_one_line(
    folder: Path, changed: dict[str, str | None], complaint: str
) -> None:
    """On stderr, with exit code 2."""
    require_nginx()
    good = {"--listen": "1", "--upstream": "127.0.0.1:1", "--folder": str(folder)}
    given = {name: value for name, value in {**good, **changed}.items() if value is not None}
    done = run_edge(*(part for pair in given.items() for part in pair))
    assert (done.returncode, done.stdout) == (2, "")
    assert complaint in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_broken_configuration_is_nginxs_complaint(folder: Path) -> None:
    """With the file and the line."""
    require_nginx()
    folder.parent.joinpath("bad.conf").write_text("events {}\nnonsense on;\n")
    good = ("--listen", "1", "--upstream", "127.0.0.1:1", "--folder", str(folder))
    done = run_edge(*good, "--conf", str(folder.parent / "bad.conf"))
    assert done.returncode == 2
    assert f'unknown directive "nonsense" in {folder}/nginx.conf:2' in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_port_in_use_is_refused(folder: Path) -> None:
    """Even if its owner is another nginx, with which the kernel would let it share."""
    with upstream() as api, running_edge(folder.parent / "first", api.port) as first:
        good = ("--listen", str(first.port), "--upstream", f"127.0.0.1:{api.port}")
        done = run_edge(*good, "--folder", str(folder), "--run")
    assert done.returncode == 2
    expected = f"cannot listen on 127.0.0.1:{first.port}: Address already in use\n"
    assert done.stderr == f"python -m app.edge: {expected}"


def test_a_machine_without_nginx_is_told_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    """In one line, before anything is written."""
    monkeypatch.setattr("app.edge.shutil.which", lambda *_, **__: None)
    good = ["--listen", "1", "--upstream", "127.0.0.1:1", "--folder", str(folder)]
    monkeypatch.setattr(sys, "argv", ["edge", *good])
    assert edge_module.main() == 2
    told = "python -m app.edge: nginx is not installed; apt-get install nginx-light\n"
    assert capsys.readouterr().err == told
    assert not folder.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's workers have its own account")
def test_root_is_told_of_a_folder_that_workers_cannot_enter(folder: Path) -> None:
    """Instead of a 403 for each file later."""
    require_nginx()
    folder.parent.chmod(0o700)
    done = run_edge("--listen", "1", "--upstream", "127.0.0.1:1", "--folder", str(folder))
    assert done.returncode == 2
    assert f"nobody cannot get there, {folder.parent} is closed" in done.stderr
