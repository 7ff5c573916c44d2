"""The plan and the time of every statement, in a database of a million tasks: `make bench-db`.

Makes a database of its own on DATABASE_URL's server, and drops it. Exit code 1 when a statement
reads a large table from end to end, sorts a list, takes too long or has no values here; 2 when the
server cannot be used.
"""

import argparse
import asyncio
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

import psycopg
from psycopg import Connection, sql
from sqlalchemy.engine import make_url

from app.core.database import LOOKUPS, Database
from app.settings import WorkerSettings, load_or_exit
from app.sketch.indexes import use_guide_indexes
from app.workers.celery_config import celery_app
from app.workers.relay import Relay
from benchmarks import cases, dataset, plans, render
from benchmarks.cases import World
from benchmarks.plans import Measured, Plan

_HERE = Path(__file__).parent
_TABLES = ("users", "tasks", "outbox", "idempotency_keys", "dead_letters", "activity_logs")


# One for each kind of process, set as that process sets its own.
Connections = Mapping[str, Connection[Any]]


def main() -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.database", description=__doc__)
    parser.add_argument(
        "--tasks",
        type=int,
        default=dataset.TASKS,
        help="default: %(default)s; with fewer, small tables are rightly read from end to end, and"
        " no results are written",
    )
    given = parser.parse_args()
    if given.tasks < dataset.MIN_TASKS:
        parser.error(f"--tasks must be at least {dataset.MIN_TASKS}")
    lines = cases.differences(cases.queries(), cases.VALUES)
    if not lines:
        try:
            result = run(load_or_exit(WorkerSettings), dataset.Shape(given.tasks))
        except psycopg.Error as error:
            print(f"cannot measure: {error}".splitlines()[0], file=sys.stderr)
            return 2
        print(render.table(result))
        if given.tasks >= dataset.TASKS:
            (_HERE / "results").mkdir(exist_ok=True)
            text = json.dumps(result, indent=1, ensure_ascii=False)
            (_HERE / "results" / "database.json").write_text(text + "\n")
            (_HERE / "README.md").write_text(render.page(result))
        lines = result["faults"]
    for line in lines:
        print(line, file=sys.stderr)
    return 1 if lines else 0


def run(settings: WorkerSettings, shape: dataset.Shape) -> dict[str, Any]:
    """Everything, in a new database; what is told of it.

    Raises:
        psycopg.Error: the server cannot be used, or refused a statement.
        subprocess.CalledProcessError: the migrations failed.
    """
    began_s = time.monotonic()
    with new_database(settings) as own, psycopg.connect(own.libpq_url, autocommit=True) as admin:
        _say(f"filling it with {shape.tasks:,} tasks of {shape.users:,} users")
        dataset.fill(admin, shape)
        filled_s = time.monotonic() - began_s
        facts = _sizes(admin)
        with connected(own) as connections:
            _say("measuring")
            measured = measure_all(connections, World(admin, shape))
            changed = {process: _changed(one) for process, one in connections.items()}
            _say("measuring the lists with the guide's indexes")
            # What was rolled back has left its traces, which would count against the guide.
            admin.execute("VACUUM ANALYZE tasks")
            asyncio.run(
                use_guide_indexes(Database(own.libpq_url, "agenthq-bench", 1, pooled=False))
            )
            measured = with_guide(connections, World(admin, shape), measured)
        version = admin.info.parameter_status("server_version")
    return {
        "measured": {
            "date": datetime.now(UTC).date().isoformat(),
            "minutes": round((time.monotonic() - began_s) / 60, 1),
            "filled_s": round(filled_s),
            **_machine(),
            "postgresql": version,
        },
        "tables": facts,
        "settings": changed,
        "executions": plans.EXECUTIONS,
        "statements": [one.to_json() for one in measured],
        "exceptions": [[*key, reason] for key, reason in plans.EXCEPTIONS.items()],
        "faults": [line for one in measured for line in plans.faults(one)],
    }


@contextmanager
def new_database(settings: WorkerSettings) -> Iterator[WorkerSettings]:
    """A migrated database beside the one of `settings`; yields settings for it, drops it after."""
    name = f"agenthq_bench_{os.getpid()}"
    url = make_url(settings.database_url).set(database=name)
    own = settings.model_copy(update={"database_url": url.render_as_string(hide_password=False)})
    with psycopg.connect(settings.libpq_url, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            subprocess.run(
                [sys.executable, "-m", "alembic", "upgrade", "head"],
                cwd=_HERE.parent,
                env={**os.environ, "DATABASE_URL": own.database_url},
                check=True,
            )
            yield own
        finally:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def connected(settings: WorkerSettings) -> Iterator[Connections]:
    """Connections such as API, worker and relay have."""
    url = settings.libpq_url
    asked = {
        "api": asyncio.run(_asked_by(Database(url, "agenthq-api", 1, pooled=False))),
        "worker": asyncio.run(
            _asked_by(Database(url, "agenthq-worker", 1, pooled=False, planner=LOOKUPS))
        ),
    }
    with (
        psycopg.connect(url, autocommit=True) as api,
        psycopg.connect(url, autocommit=True) as worker,
        Relay(settings, celery_app, Event()).connect() as (relay, _),
    ):
        connections = {"api": api, "worker": worker, "relay": relay}
        for process, connection in connections.items():
            # Or psycopg would prepare the EXPLAIN itself.
            connection.prepare_threshold = None
            for name, value in asked.get(process, {}).items():
                connection.execute("SELECT set_config(%s, %s, false)", [name, value])
        yield connections


def measure_all(connections: Connections, world: World) -> list[Measured]:
    """Every query with each of its sets of values."""
    return [
        Measured(query.name, case.about, plans.measure(connections[query.process], query, case))
        for query in cases.queries()
        for case in cases.VALUES[query.name](world)
    ]


def with_guide(connections: Connections, world: World, measured: list[Measured]) -> list[Measured]:
    """The same, and next to the plans of the lists those that the indexes of now give."""
    guide: dict[tuple[str, str], dict[str, Plan]] = {
        (query.name, case.about): plans.measure(connections[query.process], query, case)
        for query in cases.queries()
        if plans.is_list(query.name)
        for case in cases.VALUES[query.name](world)
    }
    return [
        Measured(one.query, one.about, one.plans, guide.get((one.query, one.about)))
        for one in measured
    ]


async def _asked_by(database: Database) -> dict[str, str]:
    """What the application's connections ask of the server."""
    async with database.connection() as connection:
        rows = await connection.fetch(_CHANGED)
        return {row["name"]: row["setting"] for row in rows}


def _changed(connection: Connection[Any]) -> dict[str, str]:
    """Settings that are not the server's own."""
    return dict(connection.execute(_CHANGED).fetchall())


_CHANGED = """
SELECT name, setting FROM pg_settings WHERE source IN ('client', 'session')
AND name NOT IN ('application_name', 'client_encoding') ORDER BY name
"""


def _sizes(connection: Connection[Any]) -> dict[str, dict[str, float]]:
    """Rows and megabytes of the tables, with and without indexes."""
    facts = {}
    for table in _TABLES:
        row = connection.execute(
            sql.SQL(
                """SELECT (SELECT count(*) FROM {0}), pg_total_relation_size({1}) / 1e6,
                    pg_relation_size({1}) / 1e6"""
            ).format(sql.Identifier(table), sql.Literal(table))
        ).fetchone() or (0, 0, 0)
        facts[table] = {
            "rows": row[0],
            "mb": round(float(row[1]), 1),
            "heap_mb": round(float(row[2]), 1),
        }
    return facts


def _machine() -> dict[str, str | int | None]:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.processor() or "unknown",
        "cores": os.cpu_count(),
        "kernel": platform.release(),
    }


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
