"""Nothing that is secret gets out of the environment: not into files, reports, messages or command lines."""

import base64
import os
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import jwt
import psutil
import pytest

from loadtests import settings
from loadtests.sinks.influx_fake import FakeInflux, Handler
from loadtests.traffic.tokens import ALGORITHM
from tests.e2e.command import Command, Finished, free_port, run
from tests.e2e.conftest import HOSTED, Target
from tests.planted import files_of, forms, leaks

TOKEN, PASSWORD = "planted+tok/en=9d31", "planted p@ss/wörd+77"
OTHER_KEY = "planted-key-of-32-bytes-and-more-77"
MINTED = jwt.encode({}, OTHER_KEY, ALGORITHM).partition(".")[0]
"""How each token begins: its header."""
PROBES = """
deadline = "2s"

[probes]
redis = true
celery = ["celery"]
postgres_statistics = true
"""


@dataclass
class Seen:
    """What the processes of a command showed to everybody on the machine."""

    lines: set[str] = field(default_factory=set)
    listening: set[str] = field(default_factory=set)

    def look(self, command: Command) -> None:
        """At every process as it is now."""
        for process in command.processes():
            try:
                self.lines.add(" ".join(process.cmdline()))
                sockets = process.net_connections("inet")
            except psutil.Error:
                continue
            self.listening |= {one.laddr.ip for one in sockets if one.status == psutil.CONN_LISTEN}


def watched(command: Command, *others: Command) -> tuple[Finished, Seen]:
    """Its end, and what was seen of it and of others until then."""
    seen = Seen()
    while command.process.poll() is None:
        for one in (command, *others):
            seen.look(one)
        time.sleep(0.2)
    return command.finish(), seen


def with_password(url: str, password: str) -> str:
    """The address with another password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{parts.username or ''}:{quote(password, safe='')}@{parts.hostname}:{parts.port}"))


def start(target: Target, out: Path, influx: FakeInflux, env: Mapping[str, str]) -> Command:
    """A short run against the shared target that uses every secret it is given."""
    scenario = out.parent / "scenario.toml"
    scenario.write_text(Path(HOSTED).read_text() + PROBES)
    load = ("--users", "20", "--duration", "2s", "--host", target.host, "--influx", influx.url, "--metrics-port", "0")
    return run(str(scenario), *load, out=out, env={**target.env, settings.INFLUX_TOKEN: TOKEN, **env})


def remotely(target: Target, out: Path, key: str) -> tuple[Finished, list[tuple[str, bytes]]]:
    """A short run whose one worker joins with this key, and with secrets that are not its business: its end, and all texts."""
    dsn = with_password(target.env[settings.DSN], PASSWORD)
    env = {settings.JWT_SECRET: key, settings.INFLUX_TOKEN: TOKEN, settings.DSN: dsn, "LOADTEST_WORKER_NAME": "remote-1"}
    port = free_port()
    load = ("--users", "20", "--duration", "2s", "--host", target.host, "--workers", "0", "--remote-workers", "1")
    command = run(HOSTED, *load, "--master-port", str(port), out=out, env=target.env)
    join = ("worker", "--master", f"127.0.0.1:{port}")
    worker = Command(out, join, env).start()
    finished, seen = watched(command, worker)
    assert any("--worker" in line for line in seen.lines)
    joined = worker.finish()
    assert joined.code == 0, joined.output + joined.errors
    said = [("the worker's output", joined.output.encode()), ("the worker's errors", joined.errors.encode())]
    return finished, [*everything(finished, seen), *said, *files_of(worker.state, command.state)]


def everything(finished: Finished, seen: Seen) -> list[tuple[str, bytes]]:
    """All texts of a run."""
    said = [("its output", finished.output.encode()), ("its errors", finished.errors.encode())]
    return [*files_of(finished.out), *said, ("a command line", "\n".join(seen.lines).encode())]


def test_run_leaves_no_secret_anywhere(target: Target, out: Path) -> None:
    """Key, passwords and token of a good run are in no file, message or command line, nor in what the stack leaves.

    And nothing is served to others: whatever listens does so on loopback.
    """
    urls = {name: target.env[name] for name in (settings.DSN, settings.REDIS_URL, settings.BROKER_URL)}
    secrets = {name: unquote(urlsplit(url).password or "") for name, url in urls.items()}
    secrets |= {settings.JWT_SECRET: target.secret, settings.INFLUX_TOKEN: TOKEN}
    assert all(len(secret) > 12 for secret in secrets.values())
    with FakeInflux("v2.7.1") as influx:
        finished, seen = watched(start(target, out, influx, {}))
        assert any(TOKEN in " ".join(headers.values()) for headers in influx.headers), "the token was not used"
    assert finished.json("verdict.json")["verdict"] in ("pass", "fail")
    assert finished.json("ledger.json")["tasks"], "the database was not asked"
    assert any("locust" in line for line in seen.lines) and any("upload" in line for line in seen.lines)
    assert leaks(everything(finished, seen), secrets) == []
    assert seen.listening == {"127.0.0.1"}
    managed = [one for instances in target.stack.services.values() for one in instances]
    stack = [("the stack's command lines", " ".join(map(str, one.process.args)).encode()) for one in managed]  # type: ignore[arg-type]
    assert leaks([*files_of(managed[0].log.parent), *stack], secrets) == []


def test_files_with_secrets_of_the_stack(target: Target) -> None:
    """Their owner alone can read them, and nobody else can list the folder in which they are."""
    (redis,) = target.stack.services["redis"]
    config = Path(redis.process.args[1])  # type: ignore[index,arg-type]
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert stat.S_IMODE((config.parent / "postgres-password").stat().st_mode) == 0o400
    assert not stat.S_IMODE(config.parent.stat().st_mode) & (stat.S_IRWXG | stat.S_IRWXO) & ~(stat.S_IXGRP | stat.S_IXOTH)


def test_failures_tell_no_secret(target: Target, out: Path) -> None:
    """Passwords that are wrong, and a token that is refused and repeated by its server in three forms."""

    def repeat(handler: Handler, _: bytes) -> bool:
        sent = handler.headers.get("Authorization", "")
        known = base64.b64encode(TOKEN.encode()).decode()
        handler.answer(401, f'{{"code":"unauthorized","message":"{sent} {quote(TOKEN, safe="")} {known}"}}')
        return True

    names = (settings.DSN, settings.REDIS_URL, settings.BROKER_URL)
    wrong = {name: with_password(target.env[name], PASSWORD) for name in names}
    with FakeInflux("v2.7.1") as influx:
        influx.always = repeat
        finished, seen = watched(start(target, out, influx, wrong))
    texts = everything(finished, seen)
    assert b"authentication failed" in b"".join(text for _, text in texts), "the wrong password was not tried"
    assert "are not delivered" in finished.output and "***" in finished.output
    assert leaks(texts, {"the password": PASSWORD, settings.INFLUX_TOKEN: TOKEN, settings.JWT_SECRET: target.secret}) == []


def test_worker_from_elsewhere_tells_no_secret(target: Target, out: Path) -> None:
    """Neither its own key, with which it mints, nor what it has besides gets to the master, its folder or a terminal."""
    finished, texts = remotely(target, out, target.secret)
    assert finished.json("ledger.json")["balanced"] and finished.json("summary.json")["failures"] == 0
    secrets = {settings.JWT_SECRET: target.secret, settings.INFLUX_TOKEN: TOKEN, "the password": PASSWORD, "a token": MINTED}
    assert leaks(texts, secrets) == []


def test_worker_with_another_key_tells_no_secret(target: Target, out: Path) -> None:
    """The target refuses each of its tokens: the failures' texts hold neither key nor token."""
    finished, texts = remotely(target, out, OTHER_KEY)
    assert finished.json("summary.json")["failures"] > 0, finished.output
    secrets = {"its key": OTHER_KEY, settings.JWT_SECRET: target.secret, settings.INFLUX_TOKEN: TOKEN, "a token": MINTED}
    assert leaks(texts, secrets) == []


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        pytest.param(settings.JWT_SECRET, OTHER_KEY, id="another key"),
        pytest.param(settings.DSN, "postgresql://u:planted-1@planted-2@127.0.0.1:1/x", id="an @ in a password"),
        pytest.param(settings.DSN, "postgresql://u:planted-1/planted-2@127.0.0.1:1/x", id="a slash in a password"),
        pytest.param(settings.DSN, "postgresql//u:planted-1@127.0.0.1:1/x", id="no address"),
        pytest.param(settings.REDIS_URL, "redis://:planted-1/planted-2@127.0.0.1:1", id="a slash in another"),
        pytest.param(settings.INFLUX_URL, "http://u:planted-1/planted-2@127.0.0.1:1", id="a password in an address"),
        pytest.param("LOADTEST_HOST", "http://u:planted-1@127.0.0.1:1", id="and in the target's"),
    ],
)
def test_bad_input_is_not_repeated_when_it_may_hold_a_password(variable: str, value: str, target: Target, out: Path) -> None:
    """One line says which variable is wrong, and not what was in it."""
    scenario = out.parent / "scenario.toml"
    scenario.write_text(Path(HOSTED).read_text() + PROBES)
    env = {**target.env, "LOADTEST_HOST": target.host, variable: value}
    finished = run(str(scenario), out=out, env=env).finish()
    assert finished.code == 2, finished.output + finished.errors
    assert variable in finished.errors
    assert "planted" not in finished.output + finished.errors


def test_finder_finds(tmp_path: Path) -> None:
    """Each form of a secret, wherever it stands in a file."""
    for before in (b"", b"a", b"ab"):
        (tmp_path / "log").write_bytes(b"x" + base64.b64encode(before + TOKEN.encode() + b"-more") + b"y")
        assert leaks(files_of(tmp_path), {"token": TOKEN}) == [f"token in {tmp_path / 'log'}"]
    for form in forms(PASSWORD):
        (tmp_path / "log").write_bytes(b"..." + form + os.linesep.encode())
        assert leaks(files_of(tmp_path), {"password": PASSWORD}) == [f"password in {tmp_path / 'log'}"]
    (tmp_path / "log").write_bytes(b"nothing")
    assert leaks(files_of(tmp_path), {"token": TOKEN, "password": PASSWORD}) == []
