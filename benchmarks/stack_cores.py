"""What one core gives: lists and creates of one API process, and tasks from outbox to completed.

What is measured has core 0 to itself; PostgreSQL, Redis and whoever asks share core 1.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg

from benchmarks.machine import GENERATOR_CORE, SERVER_CORE
from benchmarks.stack_run import ROOT, answers_of
from loadtests import settings
from loadtests.orchestrate.definition import WITHOUT
from loadtests.orchestrate.embedded import EmbeddedStack, Stack
from loadtests.orchestrate.processes import ProcessManager

USERS = 100
WARM_S = 3
# Ahead of what the workers can do, in steps that a relay meets in earnest.
FILL_TASKS, FILL_EVERY_S = 2000, 0.2
MAX_OPEN_TASKS = 20_000
_SCENARIO = """
name = "one-core"

[auth]
mode = "mint"
subject = "agenthq:loadtest:{{user}}"

[load]
model = "closed"
users = {users}
duration = "{seconds}s"
think_time = ["0s", "0s"]
drain = "5s"

[[mix]]
journey = "{journey}"

[objectives]
response_p99 = "response_time.p99 < 1s"
"""
_FILL = """
WITH made AS (
    INSERT INTO tasks (id, user_id, prompt, output_type)
    SELECT gen_random_uuid(), u.id, 'Write a document.', 'docs'
    FROM (SELECT id FROM users LIMIT 100) u, generate_series(1, %(tasks)s / 100) RETURNING id
)
INSERT INTO outbox (task_id) SELECT id FROM made
"""
_OPEN = "SELECT count(*) FROM outbox"
_ENDED = "SELECT count(*), max(attempt) FROM tasks WHERE status = 'completed' AND completed_at >= %s AND completed_at < %s"


def one_process(journey: str, seconds: int) -> float:
    """Requests per second of one API process on one core; each create is durable before its answer."""
    with _stack({"API_INSTANCES": "1"}, ("api",)) as stack, tempfile.TemporaryDirectory(prefix="loadtest-bench-") as name:
        scenario = Path(name) / "one_core.toml"
        scenario.write_text(_SCENARIO.format(users=USERS, seconds=seconds + WARM_S, journey=journey))
        command = [sys.executable, "-m", "loadtests", "run", str(scenario), "--host", stack.host or "", "--out", name]
        subprocess.run(
            ["taskset", "-c", str(GENERATOR_CORE), *command],
            cwd=ROOT,
            env={**os.environ, **stack.secrets},
            check=False,
            stdout=subprocess.DEVNULL,
        )
        return answers_of(Path(name), WARM_S)


def no_op_tasks(seconds: int) -> float:
    """Tasks per second that one relay and one worker, on one core together, bring from the outbox to completed."""
    with _stack({"TASK_DURATION_MEAN_S": "0"}, ("relay", "worker")) as stack:
        with psycopg.connect(stack.secrets[settings.DSN], autocommit=True) as connection:
            begin = time.time() + WARM_S
            while time.time() < begin + seconds:
                row = connection.execute(_OPEN).fetchone()
                if row is None or row[0] < MAX_OPEN_TASKS:
                    connection.execute(_FILL, {"tasks": FILL_TASKS})
                else:
                    time.sleep(FILL_EVERY_S)
            span = [_moment(connection, begin), _moment(connection, begin + seconds)]
            ended, attempts = connection.execute(_ENDED, span).fetchone() or (0, 0)
        if attempts != 1:
            raise RuntimeError(f"a task took {attempts} attempts: what is counted is not what was done")
        return float(ended) / seconds


def _moment(connection: "psycopg.Connection[tuple[object, ...]]", epoch_s: float) -> object:
    row = connection.execute("SELECT to_timestamp(%s)", [epoch_s]).fetchone()
    return row[0] if row else None


@contextmanager
def _stack(chosen: Mapping[str, str], alone: Sequence[str]) -> Iterator[Stack]:
    """A stack without nginx, with the services of `alone` on a core of their own."""
    os.environ[WITHOUT] = "nginx"
    try:
        with tempfile.TemporaryDirectory(prefix="loadtest-bench-") as logs, ProcessManager(Path(logs)) as processes:
            stack = EmbeddedStack(processes, ROOT / "backend" / "stack.toml", "wheels", None).up(USERS, chosen)
            for process in psutil.Process().children(recursive=True):
                _pin(process.pid, GENERATOR_CORE)
            for name in alone:
                for managed in stack.services[name]:
                    leader = psutil.Process(managed.process.pid)
                    for process in (leader, *leader.children(recursive=True)):
                        _pin(process.pid, SERVER_CORE)
            yield stack
    finally:
        del os.environ[WITHOUT]


def _pin(pid: int, core: int) -> None:
    # All threads: those that are there already would stay where they are.
    subprocess.run(["taskset", "-a", "-c", "-p", str(core), str(pid)], check=False, capture_output=True)
