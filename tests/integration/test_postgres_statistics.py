"""PostgreSQL's own statistics, read while sessions do what they count."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from loadtests.orchestrate.processes import ProcessManager
from loadtests.orchestrate.servers import make_state_folder, start_postgres
from loadtests.orchestrate.watch import ProbeWatch
from loadtests.probes.postgres import PostgresProbe
from loadtests.probes.postgres_statistics import PostgresStatisticsProbe
from loadtests.probes.within import NoAnswer
from loadtests.store.folder import create_folder
from loadtests.store.records import read_lines
from tests.conftest import missing
from tests.probing import values


@pytest.fixture(scope="module")
def dsn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running PostgreSQL with a small table."""
    with ProcessManager(tmp_path_factory.mktemp("logs")) as processes:
        servers = start_postgres(processes, make_state_folder(processes), "wheels", "probed")
        with psycopg.connect(servers.dsn, autocommit=True) as connection:
            connection.execute("CREATE TABLE numbers AS SELECT n FROM generate_series(1, 200000) n")
        yield servers.dsn


@pytest.fixture
def probe(dsn: str) -> Iterator[PostgresStatisticsProbe]:
    """The probe, which has done its first round."""
    probe = PostgresStatisticsProbe(dsn)
    read(probe)
    yield probe
    probe.close()


def read(probe: PostgresStatisticsProbe) -> dict[str, float]:
    """One round."""
    return {sample.metric: sample.value for sample in probe.read()}


def eventually(probe: PostgresStatisticsProbe, holds: Callable[[dict[str, float]], bool]) -> dict[str, float]:
    """The first round for which it holds: sessions tell what they counted when they next have the time."""
    deadline = time.monotonic() + 30
    while not holds(found := read(probe)):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found


def test_the_probes_themselves_are_left_out(dsn: str, probe: PostgresStatisticsProbe) -> None:
    """Neither this probe's connection nor that of the scenario's own queries is the stack's, nor are their locks."""
    own = PostgresProbe(dsn, {"one": "SELECT 1"})
    assert values(own.read()) == {("one", None): 1.0}
    found = eventually(probe, lambda found: found["pg_connections"] == 0)
    assert found["pg_locks"] == found["pg_connections_active"] == found["pg_longest_transaction"] == 0
    own.close()


def test_sessions_and_locks(dsn: str, probe: PostgresStatisticsProbe) -> None:
    """Who holds a transaction open, who waits for it, and since when."""
    with psycopg.connect(dsn) as holder, psycopg.connect(dsn, autocommit=True) as other:
        holder.execute("LOCK TABLE numbers IN ACCESS EXCLUSIVE MODE")
        found = eventually(probe, lambda found: found["pg_longest_transaction"] > 0.3)
        assert (found["pg_connections"], found["pg_idle_in_transaction"], found["pg_lock_waits"]) == (2, 1, 0)
        assert found["pg_locks"] >= 1
        waiter = threading.Thread(target=other.execute, args=("SELECT count(*) FROM numbers",))
        waiter.start()
        waiting = eventually(probe, lambda found: found["pg_lock_waits"] == 1)
        assert waiting["pg_connections_active"] == 1
        holder.rollback()
        waiter.join()


def test_transactions_cache_and_temporary_files(dsn: str, probe: PostgresStatisticsProbe) -> None:
    """Commits and rollbacks by the second, the share of blocks that were in memory, the bytes that were not."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for _ in range(300):
            connection.execute("SELECT 1")
        with pytest.raises(psycopg.Error):
            connection.execute("SELECT 1 / 0")
        connection.execute("SET work_mem = '64kB'")
        connection.execute("SELECT n FROM numbers ORDER BY -n")
    told: dict[str, float] = {}

    def all_told(found: dict[str, float]) -> bool:
        told.update({name: value for name, value in found.items() if value})
        return {"pg_commits", "pg_rollbacks", "pg_temporary_bytes", "pg_cache_hit"} <= told.keys()

    eventually(probe, all_told)
    assert told["pg_temporary_bytes"] > 1_000_000
    assert 0 < told["pg_cache_hit"] <= 1


def test_a_frozen_server_is_a_gap(tmp_path: Path) -> None:
    """A server that takes the query and is silent holds up no probe for longer than its time; afterwards it is read again."""
    (tmp_path / "logs").mkdir()
    with ProcessManager(tmp_path / "logs") as processes:
        dsn = start_postgres(processes, make_state_folder(processes), "wheels", "probed").dsn
        probe = PostgresStatisticsProbe(dsn)
        read(probe)
        group = processes.named("postgres").process.pid
        backends = [group, *(child.pid for child in psutil.Process(group).children(recursive=True))]
        for pid in backends:
            os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(NoAnswer):
                read(probe)
            with pytest.raises(psycopg.OperationalError):
                read(probe)  # does not even let it connect
        finally:
            for pid in backends:
                os.kill(pid, signal.SIGCONT)
        assert "pg_connections" in read(probe)
        probe.close()


def test_server_without_the_extension_tells_no_statements(probe: PostgresStatisticsProbe) -> None:
    """Nothing at the end, and nothing amiss on the way."""
    assert list(probe.conclude()) == []


def test_slowest_statements_are_told_at_the_end(tmp_path: Path) -> None:
    """With pg_stat_statements: those of the run alone, without the probe's own, as an event of the run."""
    if not list(Path("/usr/lib/postgresql").glob("*/lib/pg_stat_statements.so")):
        missing("the machine's own PostgreSQL with pg_stat_statements", "apt-get install postgresql")
    (tmp_path / "logs").mkdir()
    with ProcessManager(tmp_path / "logs") as processes:
        dsn = start_postgres(processes, make_state_folder(processes), "system", "probed").dsn
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'")
            connection.execute("CREATE EXTENSION pg_stat_statements")
        unloaded = PostgresStatisticsProbe(dsn)
        assert "pg_connections" in read(unloaded)
        assert list(unloaded.conclude()) == [], "an extension that the server did not load is none"
        unloaded.close()
        server = processes.named("postgres")
        processes.end(server, server.stop_signal)
        processes.restart(server)
        processes.wait_ready(server, lambda: _answers(dsn), 30, "it answered")
        folder = create_folder(tmp_path / "out", "x")
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("SELECT 'before', pg_sleep(0.01)")
            watch = ProbeWatch(folder, {"postgres statistics": PostgresStatisticsProbe(dsn)})
            watch.start()
            deadline = time.monotonic() + 20
            while not list(read_lines(folder.file("probes.jsonl"))) and time.monotonic() < deadline:
                time.sleep(0.05)
            for number in range(3):
                connection.execute(f"SELECT 'of the run', pg_sleep(0.05), {number}".encode())
            watch.stop()
    (event,) = read_lines(folder.file("events.jsonl"))
    assert event["event"] == "statements"
    slowest = event["slowest"][0]
    assert slowest["statement"] == "SELECT $1, pg_sleep($2), $3"
    assert (slowest["calls"], slowest["rows"]) == (3, 3)
    assert 40 < slowest["mean_ms"] <= slowest["total_ms"]
    assert not [one for one in event["slowest"] if "loadtest-probe" in one["statement"] or one["statement"].count("$") == 2]


def _answers(dsn: str) -> bool:
    try:
        psycopg.connect(dsn, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
