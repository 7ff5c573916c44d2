"""nginx's process: its log, its end, who can run it, and what it refuses to start with."""

import os
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from app import edge as edge_module
from tests.edge_support import (
    TASKS,
    Answer,
    Request,
    answers,
    free_port,
    require_nginx,
    running_edge,
    upstream,
)
from tests.edge_support import folder as folder
from tests.support import BACKEND, eventually


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
    (end,) = re.findall(r" msec=(\d+\.\d{3}) .*id=look-for-me", line)
    assert abs(float(end) - time.time()) < 30
    assert f"upstream=127.0.0.1:{api.port} cache=- id=look-for-me" in line
    assert "secret" not in line


def test_the_log_may_lie_elsewhere(folder: Path, tmp_path: Path) -> None:
    """Where it outlives the folder; then there is none in the folder."""
    log = tmp_path / "a log; of (mine)" / "access.log"
    log.parent.mkdir()
    with (
        upstream() as api,
        running_edge(folder, api.port, options=("--access-log", str(log))) as edge,
    ):
        edge.get(TASKS, **{"X-Request-ID": "look-for-me"})
        eventually(lambda: "look-for-me" in log.read_text(), "the buffered log is written")
    assert (folder / "access.log").read_text() == ""


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
        ({"--allow": "10.0.0.0/8; allow all"}, "--allow '10.0.0.0/8; allow all' does not appear"),
        ({"--access-log": "access.log"}, "--access-log 'access.log': a whole path without"),
        ({"--access-log": '/a"; include x; "'}, "a whole path without quotes"),
        ({"--access-log": "/nowhere/access.log"}, "No such file or directory"),
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
