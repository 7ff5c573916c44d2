"""The API is stateless: however many instances stand behind nginx, the same requests get the same answers."""

import json
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest

from loadtests.orchestrate.definition import find_program
from loadtests.orchestrate.embedded import EmbeddedStack, Stack
from loadtests.orchestrate.processes import ProcessManager
from tests.conftest import missing
from tests.e2e.command import ROOT

TASKS = "/api/v1/tasks"
# What differs from run to run, whoever answers.
OWN = {
    "id",
    "user_id",
    "celery_task_id",
    "created_at",
    "started_at",
    "completed_at",
    "next_cursor",
    "access_token",
    "refresh_token",
    "email",
}


class Client:
    """One person, who remembers what was answered."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._token = ""
        self.told: list[tuple[str, int, Any]] = []

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """The answer's JSON (None without a body); what can be compared of it is noted."""
        data = None if body is None else json.dumps(body).encode()
        head = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json", **headers}
        request = urllib.request.Request(self._host + path, data, head, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                status, found = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, found = error.code, error.read()
        known = json.loads(found) if found else None
        self.told.append((method, status, _shared(known)))
        return known

    def log_in(self) -> None:
        """As a guest."""
        self._token = self.ask("POST", "/api/v1/auth/guest", {"device_id": "stateless-1", "name": "Stateless"})["access_token"]

    def forget(self) -> None:
        """Log out on this side only."""
        self._token = ""


def _shared(value: Any) -> Any:
    """The value without what no two runs have in common."""
    if isinstance(value, dict):
        return {key: _shared(one) for key, one in value.items() if key not in OWN}
    return [_shared(one) for one in value] if isinstance(value, list) else value


def play(host: str) -> list[tuple[str, int, Any]]:
    """A person's requests, each of which may meet another instance; every list follows a write."""
    client = Client(host)
    client.log_in()
    ids = []
    for number in range(12):
        ids.append(client.ask("POST", TASKS, {"prompt": f"Document {number}", "output_type": "docs"})["id"])
        page = client.ask("GET", f"{TASKS}?page_size=1")
        assert page["tasks"][0]["id"] == ids[-1], "a list misses the task that was just accepted"
        del client.told[-1]  # whether a worker has begun it is a matter of luck
    _wait_until_begun(client)
    for path in ("?page=1&page_size=5", "?page=3&page_size=5", "?status=processing", f"/{ids[3]}", "?page=0", "/none"):
        client.ask("GET", TASKS + path)
    cursor = client.ask("GET", f"{TASKS}?page_size=7")["next_cursor"]
    client.ask("GET", f"{TASKS}?page_size=7&cursor={cursor}")
    for task in (ids[0], ids[0], "00000000-0000-0000-0000-000000000000"):
        client.ask("DELETE", f"{TASKS}/{task}")
    client.ask("GET", f"{TASKS}?status=cancelled")
    for prompt in ("Once", "Once", "Twice"):
        client.ask("POST", TASKS, {"prompt": prompt, "output_type": "docs"}, **{"Idempotency-Key": "stateless-key"})
        _wait_until_begun(client)  # the task that is told again is then no longer pending
    client.ask("POST", TASKS, {"prompt": "", "output_type": "docs"})
    client.ask("GET", "/api/v1/auth/me")
    client.ask("POST", "/api/v1/auth/logout")
    client.ask("GET", TASKS)  # the token no longer counts, whoever remembered it
    client.forget()
    client.ask("GET", TASKS)
    return client.told


def _wait_until_begun(client: Client) -> None:
    noted = len(client.told)
    deadline = time.monotonic() + 15
    while client.ask("GET", f"{TASKS}?status=pending")["total"]:
        assert time.monotonic() < deadline, "the worker has not begun every task"
        time.sleep(0.1)
    del client.told[noted:]


def instances_asked(stack: Stack) -> int:
    """Instances of the API that nginx has a connection to."""
    ports = [_server_ports(managed.process.pid) for managed in stack.services["api"]]
    return sum(bool(one) for one in ports)


def _server_ports(pid: int) -> set[int]:
    leader = psutil.Process(pid)
    sockets = [one for process in (leader, *leader.children(recursive=True)) for one in process.net_connections("tcp")]
    listening = {one.laddr.port for one in sockets if one.status == psutil.CONN_LISTEN}
    return {one.laddr.port for one in sockets if one.status == psutil.CONN_ESTABLISHED} & listening


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, int, Any]]:
    """What one instance answers."""
    return _answers(1, tmp_path_factory.mktemp("one"))


def _answers(instances: int, logs: Path) -> list[tuple[str, int, Any]]:
    if find_program("nginx") is None:
        missing("several instances of the API behind nginx", "apt-get install nginx-light")
    with ProcessManager(logs) as processes:
        # Exponential: of so long a mean hardly any task ends within the test, as of 100 s one in five runs has one.
        chosen = {"API_INSTANCES": str(instances), "TASK_DURATION_MEAN_S": "1000000"}
        stack = EmbeddedStack(processes, ROOT / "backend" / "stack.toml", "wheels", None).up(1, chosen)
        told = play(stack.host or "")
        assert instances_asked(stack) == instances
        # Each knows its number, so that one alone can be told to fail.
        environments = [psutil.Process(managed.process.pid).environ() for managed in stack.services["api"]]
        assert [one["API_INSTANCE_NUMBER"] for one in environments] == [str(number + 1) for number in range(instances)]
    return told


@pytest.mark.parametrize("instances", [2, 4])
def test_any_number_of_instances_answers_the_same(instances: int, alone: list[tuple[str, int, Any]], tmp_path: Path) -> None:
    """Lists after writes, pages, cursors, cancellations, keys, refusals and a logout are as one instance has them."""
    assert _answers(instances, tmp_path) == alone
