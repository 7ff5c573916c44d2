"""`make bench-ledger`: memory and time of a million accepted tasks, from the workers' files over PostgreSQL to the books.

Each step runs in a process of its own, whose largest resident memory is its own: `remember` is what a worker does, a second's
tasks at a time; `follow` asks a real PostgreSQL by the query of scenarios/phase5.toml; `judge` reads what was found. Of the
accepted tasks 1 % are not in the database and 10 are there that nobody accepted: the books must say so exactly. The same is
done with a hundredth of the tasks, for what counts is how memory grows. Writes results/ledger.json; exit code 1 when more than
MOST_MB are needed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from benchmarks.generator import note
from benchmarks.machine import describe
from loadtests.measure.snapshot import Accepted
from loadtests.orchestrate.follow import follow_tasks
from loadtests.orchestrate.follow_sql import SqlWay
from loadtests.report.tasks import TaskEvidence
from loadtests.scenario.system import Tasks
from loadtests.store.accepted import AcceptedWriter, count_accepted
from loadtests.store.folder import RunFolder, create_folder
from loadtests.store.records import read_lines

RESULT = Path(__file__).parent / "results" / "ledger.json"
PHASE5 = Path(__file__).parents[1] / "scenarios" / "phase5.toml"
DATABASE = "DATABASE_URL"
MOST_MB = 300
DROPPED_SHARE, FOREIGN = 100, 10
"""One of so many accepted tasks is not in the database; so many are there that nobody accepted."""
RATE = 2500
"""Tasks that are accepted in a second, by all workers: a quarter of 10,000 requests."""
USERS, WORKERS = 10_000, 2
START = 1_800_000_000.0
TABLE = """
DROP TABLE IF EXISTS tasks;
CREATE TABLE tasks (
    id uuid PRIMARY KEY, user_id uuid NOT NULL, title text NOT NULL, status text NOT NULL,
    created_at timestamptz NOT NULL, started_at timestamptz, completed_at timestamptz);
INSERT INTO tasks
    SELECT gen_random_uuid(), gen_random_uuid(), 'Write the report ' || n, 'completed',
        due, due + interval '0.2 s', due + interval '0.6 s'
    FROM (SELECT n, to_timestamp({start} + n / {rate}::float8) AS due FROM generate_series(1, {rows}) AS n) AS numbered;
ANALYZE tasks;
"""


def main() -> int:
    """Measure both sizes, write, print."""
    parser = argparse.ArgumentParser(prog="make bench-ledger", description=__doc__)
    parser.add_argument("--tasks", type=int, default=1_000_000)
    parser.add_argument("--step", choices=list(STEPS), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        found = STEPS[options.step](RunFolder(options.folder), options.tasks)
        print(json.dumps({**found, "peak_mb": round(_peak_mb(), 1)}))
        return 0
    sizes = [options.tasks // 100, options.tasks]
    few, many = (measure(size) for size in sizes)
    growth = {step: round(many[step]["peak_mb"] / few[step]["peak_mb"], 2) for step in STEPS}
    result = {
        "measured": {**describe(), "date": datetime.now(UTC).date().isoformat()},
        "tasks": {str(size): steps for size, steps in zip(sizes, (few, many), strict=True)},
        "memory_of_a_hundred_times_the_tasks": growth,
        "promised": {"peak_mb": MOST_MB},
        "kept": all(many[step]["peak_mb"] <= MOST_MB for step in STEPS),
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
    return 0 if result["kept"] else 1


def measure(size: int) -> dict[str, dict[str, Any]]:
    """All steps with so many accepted tasks. Raises RuntimeError when one fails, or when the books are wrong."""
    with tempfile.TemporaryDirectory(prefix="loadtest-bench-") as name:
        folder = create_folder(Path(name), "ledger")
        dropped = size // DROPPED_SHARE
        with psycopg.connect(_dsn(), autocommit=True) as connection:
            connection.execute(TABLE.format(start=START, rate=RATE, rows=size - dropped + FOREIGN).encode())
        found = {step: _run(step, folder, size) for step in STEPS}
        with psycopg.connect(_dsn(), autocommit=True) as connection:
            connection.execute("DROP TABLE tasks")
        books = found["judge"].pop("books")
        expected = {"accepted": size, "completed": size - dropped, "lost": dropped, "foreign": FOREIGN}
        if {name: books[name] for name in expected} != expected:
            raise RuntimeError(f"the books of {size:,} tasks say {books}, not {expected}")
        return found


def _run(step: str, folder: RunFolder, size: int) -> dict[str, Any]:
    began = time.monotonic()
    command = [sys.executable, "-m", "benchmarks.ledger", "--step", step, "--folder", str(folder.path), "--tasks", str(size)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{step}: {done.stderr}")
    found: dict[str, Any] = {"seconds": round(time.monotonic() - began, 2), **json.loads(done.stdout)}
    note(f"{step}: {found}")
    return found


def remember(folder: RunFolder, size: int) -> dict[str, Any]:
    """Write down a run's accepted tasks as its workers do."""
    writers = [AcceptedWriter(folder, str(worker)) for worker in range(WORKERS)]
    tasks = _accepted(size)
    for turn, batch in enumerate(iter(lambda: list(islice(tasks, RATE // WORKERS)), [])):
        writers[turn % WORKERS].append(batch)
    for writer in writers:
        writer.close()
    return {"bytes": sum(path.stat().st_size for path in folder.accepted.iterdir())}


def _accepted(size: int) -> Iterator[Accepted]:
    """One of DROPPED_SHARE has an id that the database does not have, and FOREIGN of the database's are left over."""
    with psycopg.connect(_dsn()) as connection, connection.cursor(name="ids") as cursor:
        cursor.itersize = RATE
        cursor.execute("SELECT id::text FROM tasks")
        for number in range(size):
            due_s = number / RATE
            task = str(UUID(int=number)) if number % DROPPED_SHARE == 0 else next(cursor)[0]
            yield Accepted(task, number % USERS, due_s, due_s + 0.005, "create_task")


def follow(folder: RunFolder) -> dict[str, Any]:
    """Ask the database until the deadline, as after a load."""
    text = tomllib.loads(PHASE5.read_text())["tasks"]
    asked = {key: text[key] for key in ("query", "rows", "ids")}
    tasks = Tasks.model_validate({**asked, "deadline": "1s"})
    follow_tasks(folder, tasks, SqlWay(_dsn(), tasks, own=True))
    return {}


def judge(folder: RunFolder) -> dict[str, Any]:
    """Books and distributions of the record, as the verdict makes them."""
    events = list(read_lines(folder.file("events.jsonl")))
    evidence = TaskEvidence.of(folder, events, START, count_accepted(folder), lambda _: 0)
    if evidence is None:
        raise RuntimeError("nobody followed the tasks")
    books = {name: count for name, count in evidence.ledger.to_json().items() if name != "names"}
    return {"books": books}


STEPS: dict[str, Callable[[RunFolder, int], dict[str, Any]]] = {
    "remember": remember,
    "follow": lambda folder, _: follow(folder),
    "judge": lambda folder, _: judge(folder),
}


def _dsn() -> str:
    return os.environ[DATABASE].replace("+asyncpg", "")  # the address as SQLAlchemy wants it


def _peak_mb() -> float:
    """Of this process; ru_maxrss would have that of the one that started it."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024 / 1e6


if __name__ == "__main__":
    raise SystemExit(main())
