"""Probes of a real PostgreSQL by a scenario's own queries."""

import json
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest

from loadtests.orchestrate.watch import Probe, ProbeWatch
from loadtests.probes.postgres import PostgresProbe
from loadtests.probes.process import ProcessProbe
from loadtests.probes.sample import Gap, Sample
from loadtests.store.folder import RunFolder, create_folder
from loadtests.store.records import read_lines
from tests.probing import values


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """An empty run."""
    return create_folder(tmp_path, "x")


def _insert(dsn: str, rows: list[tuple[str, str | None, float | None]]) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("TRUNCATE jobs")
        cursor.executemany("INSERT INTO jobs VALUES (%s, %s, %s)", rows)


def test_probes_write_samples_and_gaps(database: tuple[str, int], folder: RunFolder) -> None:
    """Each round is one line; a probe that fails is a gap with its reason, and the others go on."""
    dsn, pid = database
    _insert(dsn, [("a", "processing", None), ("b", "completed", 1.0)])
    probes: dict[str, Probe] = {
        "good": PostgresProbe(dsn, {"in_progress": "SELECT count(*) FROM jobs WHERE status = 'processing'"}),
        "bad": PostgresProbe(dsn, {"nonsense": "SELECT nonsense"}),
        "process": ProcessProbe({"postgres": {"postgres": lambda: pid}}),
    }
    watch = ProbeWatch(folder, probes)
    watch.start()
    deadline = time.monotonic() + 20
    while len(list(read_lines(folder.file("probes.jsonl")))) < 9 and time.monotonic() < deadline:
        time.sleep(0.05)
    watch.stop()
    records = list(read_lines(folder.file("probes.jsonl")))
    good = [one for one in records if any(sample[0] == "in_progress" for sample in one["samples"])]
    process = [one for one in records if any(sample[0] == "memory" for sample in one["samples"])]
    bad = [one for one in records if one["gaps"]]
    assert len(good) + len(process) + len(bad) == len(records)
    assert min(len(good), len(process), len(bad)) >= 3
    assert all(one["samples"] == [["in_progress", None, 1.0]] for one in good)
    assert all(sample[1] == "postgres" and sample[2] >= 0 for one in process for sample in one["samples"])
    assert all(list(one["gaps"]) == ["postgres nonsense"] for one in bad)
    assert all('column "nonsense" does not exist' in one["gaps"]["postgres nonsense"] for one in bad)
    gaps = [later["time"] - earlier["time"] for earlier, later in pairwise(good)]
    assert all(0.5 < gap < 3 for gap in gaps), json.dumps(gaps)


def test_query_that_fails_is_a_gap_of_its_own(database: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """With its name and reason, on the same connection; those after it are asked."""
    monkeypatch.setattr("loadtests.probes.postgres.TIMEOUT_S", 1)
    dsn, _ = database
    queries = {
        "first": "SELECT 1",
        "wrong": "SELECT nonsense",
        "none": "SELECT 1 WHERE false",
        "text": "SELECT 'many'",
        "slow": "SELECT pg_sleep(60)",
        "no_rows": "CREATE TEMPORARY TABLE of_the_probe ()",
        "last": "SELECT pg_backend_pid()",
    }
    with closing(PostgresProbe(dsn, queries)) as probe:
        facts = list(probe.read())
        again = list(probe.read())
    found, gaps = values(facts), {fact.what: fact.reason for fact in facts if isinstance(fact, Gap)}
    assert set(found) == {("first", None), ("last", None)}
    assert list(gaps) == ["postgres wrong", "postgres text", "postgres slow", "postgres no_rows"]
    assert gaps["postgres wrong"].startswith('UndefinedColumn: column "nonsense" does not exist')
    assert gaps["postgres slow"].startswith("QueryCanceled")
    assert values(again)["last", None] == found["last", None], "the connection is the same"


def test_frozen_probe_stops_no_other(database: tuple[str, int], folder: RunFolder) -> None:
    """A probe whose server is frozen hangs alone: the others go on, and the end of the run does not wait for it for long."""

    class Frozen:
        def read(self) -> Iterator[Sample]:
            time.sleep(60)
            yield Sample("never", None, 0)

        def close(self) -> None:
            """Nothing to close."""

    watch = ProbeWatch(folder, {"frozen": Frozen(), "process": ProcessProbe({"postgres": {"postgres": lambda: database[1]}})})
    watch.start()
    time.sleep(2.5)
    before = time.monotonic()
    watch.stop()
    assert time.monotonic() - before < 8
    assert len(list(read_lines(folder.file("probes.jsonl")))) >= 2


def test_probe_connects_again_after_a_loss(database: tuple[str, int]) -> None:
    """A probe whose connection was cut fails once and works again in the next round."""
    dsn, _ = database
    probe = PostgresProbe(dsn, {"one": "SELECT 1"})
    assert values(probe.read()) == {("one", None): 1.0}
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'loadtest-probe'")
    with pytest.raises(psycopg.Error):
        list(probe.read())
    assert values(probe.read()) == {("one", None): 1.0}
    probe.close()
