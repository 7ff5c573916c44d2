"""Real PostgreSQL and Valkey or Redis, from the wheels and from the machine."""

import os
import shutil
from pathlib import Path

import psycopg
import pytest
import redis

from loadtests.orchestrate.processes import ProcessManager
from loadtests.orchestrate.servers import Source, make_state_folder, start_postgres, start_redis
from tests.conftest import missing


def _require(source: Source) -> None:
    if source == "system" and not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        missing("the machine's own PostgreSQL (SERVERS=system)", "apt-get install postgresql")
    if source == "system" and not (shutil.which("redis-server") or shutil.which("valkey-server")):
        missing("the machine's own Redis (SERVERS=system)", "apt-get install redis-server")


@pytest.mark.parametrize("source", ["wheels", "system"])
def test_servers_start_answer_and_vanish(source: Source, tmp_path: Path) -> None:
    """Both servers answer with their passwords and to nobody without; afterwards no process and no file is left."""
    _require(source)
    with ProcessManager(tmp_path) as processes:
        state = make_state_folder(processes)
        postgres = start_postgres(processes, state, source, "some_db")
        with psycopg.connect(postgres.dsn) as connection:
            assert connection.execute("SELECT current_database()").fetchone() == ("some_db",)
            assert connection.execute("SHOW server_encoding").fetchone() == ("UTF8",)
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(postgres.dsn.replace(postgres.env["POSTGRES_PASSWORD"], "wrong"))
        keys = start_redis(processes, state, source)
        with redis.Redis.from_url(keys.dsn) as client:
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        with redis.Redis(port=int(keys.env["REDIS_PORT"])) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        assert oct(state.stat().st_mode & 0o077) in ("0o0", "0o11")
    assert not state.exists()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(postgres.dsn)


def test_two_stacks_on_one_machine(tmp_path: Path) -> None:
    """A second run finds other ports, even while the first has only chosen its own."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with ProcessManager(tmp_path / "a") as one, ProcessManager(tmp_path / "b") as two:
        chosen = one.ports.choose(54399)
        assert two.ports.choose(54399) != chosen
        first = start_redis(one, make_state_folder(one), "wheels")
        second = start_redis(two, make_state_folder(two), "wheels")
        assert first.env["REDIS_PORT"] != second.env["REDIS_PORT"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root cannot run PostgreSQL as itself")
def test_postgres_as_root_runs_as_nobody(tmp_path: Path) -> None:
    """Started by root, PostgreSQL runs as nobody, and no folder of root's is opened for others."""
    before = Path.home().stat().st_mode
    with ProcessManager(tmp_path) as processes:
        state = make_state_folder(processes)
        start_postgres(processes, state, "wheels", "agenthq")
        assert (state / "postgres").owner() == "nobody"
    assert Path.home().stat().st_mode == before
