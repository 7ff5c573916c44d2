"""Parts of the stack fail under load: every accepted task still ends, and its end is written once."""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from loadtests import settings
from loadtests.orchestrate.definition import find_program
from loadtests.orchestrate.embedded import EmbeddedStack, Stack
from loadtests.orchestrate.processes import ProcessManager
from loadtests.store.accepted import read_accepted
from loadtests.store.folder import RunFolder
from tests.conftest import missing
from tests.e2e.command import ROOT, Finished, run
from tests.e2e.conftest import HOSTED

# Longer by hand: FAULT_SECONDS=10 FAULT_LOAD_SECONDS=30 FAULT_USERS=200.
FAULT_S = float(os.environ.get("FAULT_SECONDS", "3"))
LOAD_S = int(os.environ.get("FAULT_LOAD_SECONDS", "11"))
USERS = int(os.environ.get("FAULT_USERS", "60"))
BEGIN_S = 3
ENDED_WITHIN_S = 40.0

# Each end that is written to a task leaves a row: a second one would be a second effect.
AUDIT = """
CREATE TABLE effects (task_id uuid NOT NULL);
CREATE FUNCTION note_effect() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.status IN ('completed', 'failed') THEN INSERT INTO effects VALUES (NEW.id); END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER note_effect AFTER UPDATE ON tasks FOR EACH ROW EXECUTE FUNCTION note_effect();
"""


@dataclass(frozen=True)
class Running:
    """A stack whose parts can be made to fail."""

    processes: ProcessManager
    stack: Stack

    def send(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a part's whole process group."""
        os.killpg(self.processes.named(name).process.pid, number)

    def restart(self, name: str, how: signal.Signals, pause_s: float) -> None:
        """End a part and start it again."""
        part = self.processes.named(name)
        self.processes.end(part, how)
        time.sleep(pause_s)
        self.processes.restart(part)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Ask the database."""
        with psycopg.connect(self.stack.secrets[settings.DSN], autocommit=True) as connection:
            return connection.execute(statement.encode()).fetchall()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Two API instances behind nginx, a worker, a relay."""
    if find_program("nginx") is None:
        missing("faults of the stack, with nginx in front", "apt-get install nginx-light")
    with ProcessManager(tmp_path_factory.mktemp("logs")) as processes:
        tunables = {"TASK_LEASE_S": "3", "TASK_DURATION_MEAN_S": "0.3", "API_INSTANCES": "2"}
        stack = EmbeddedStack(processes, ROOT / "backend" / "stack.toml", "wheels", None).up(USERS, tunables)
        with psycopg.connect(stack.secrets[settings.DSN], autocommit=True) as connection:
            connection.execute(AUDIT)
        yield Running(processes, stack)


def worker_killed(running: Running) -> None:
    """Kill -9 in the middle of its tasks; started again."""
    running.restart("worker", signal.SIGKILL, 1.0)


def redis_restarted(running: Running) -> None:
    """Kill -9, and started again with nothing of what it knew: queue and cache are lost."""
    running.restart("redis", signal.SIGKILL, 1.0)


def redis_frozen(running: Running) -> None:
    """It accepts connections and does not answer."""
    running.send("redis", signal.SIGSTOP)
    time.sleep(FAULT_S)
    running.send("redis", signal.SIGCONT)


def postgres_restarted(running: Running) -> None:
    """A fast shutdown, which cuts every connection, and a start."""
    running.restart("postgres", signal.SIGINT, 0.5)


def api_killed(running: Running) -> None:
    """Kill -9 of one of two instances; started again at the end."""
    running.restart("api-1", signal.SIGKILL, FAULT_S)


FAULTS = (worker_killed, redis_restarted, redis_frozen, postgres_restarted, api_killed)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_no_task_is_lost_or_done_twice(running: Running, fault: Callable[[Running], None], tmp_path: Path) -> None:
    """Every 201's task is there and ends; no end is written twice; what the client saw is told (-s shows it)."""
    before = {row[0] for row in running.query("SELECT id::text FROM tasks")}
    finished = _under_load(running, fault, tmp_path)
    accepted = {record["id"] for record in read_accepted(RunFolder(finished.folder))}
    _wait_for_the_end(running)
    found = {task: status for task, status in running.query("SELECT id::text, status FROM tasks") if task not in before}
    counts = Counter(found.values())
    effects = Counter(row[0] for row in running.query("SELECT task_id::text FROM effects"))
    _tell(fault, finished, accepted, found, counts)
    assert accepted, "no task was accepted: nothing was tested"
    assert accepted <= found.keys(), f"{len(accepted - found.keys())} accepted tasks are not there"
    assert counts.total() == counts["completed"] + counts["failed"]
    assert max(effects.values()) == 1
    assert set(effects) >= accepted
    assert finished.json("ledger.json")["balanced"] or len(found) > len(accepted)


def _under_load(running: Running, fault: Callable[[Running], None], out: Path) -> Finished:
    host = running.stack.host or ""
    command = run(
        HOSTED,
        *("--users", str(USERS), "--duration", f"{LOAD_S}s", "--host", host),
        out=out / "results",
        env=dict(running.stack.secrets),
    )
    command.wait_for_window(BEGIN_S)
    failing = threading.Thread(target=fault, args=(running,))
    failing.start()
    finished = command.finish(LOAD_S + FAULT_S + 90)
    failing.join()
    assert finished.code in (0, 1, 3), finished.output + finished.errors
    return finished


def _wait_for_the_end(running: Running) -> None:
    deadline = time.monotonic() + ENDED_WITHIN_S
    open_tasks = "SELECT count(*) FROM tasks WHERE status IN ('pending', 'processing')"
    while running.query(open_tasks)[0][0] and time.monotonic() < deadline:
        time.sleep(0.2)


def _tell(
    fault: Callable[[Running], None], finished: Finished, accepted: set[str], found: dict[str, str], counts: Counter[str]
) -> None:
    summary = finished.json("summary.json")
    failures = finished.json("ledger.json").get("failures", {})
    p99 = summary["total"]["response_time_ms"]["p99"]
    print(
        f"\n{fault.__name__}: {summary['requests']} requests, {summary['failures']} failed {failures or ''}, p99 {p99:.0f} ms; "
        f"{len(accepted)} accepted, {len(found)} stored, {dict(counts)}, {len(found) - len(accepted)} stored without a 201"
    )
