"""A stack with proxies in front of some parts: the others and the load reach them through these, the harness directly."""

import signal
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import redis

from loadtests import settings
from loadtests.orchestrate.embedded import EmbeddedStack
from loadtests.orchestrate.processes import ProcessManager
from loadtests.orchestrate.ways import people_of
from tests.e2e.command import ROOT
from tests.unit.texts import BASE, plan_of

STACK = """
python = "python"

[[services]]
name = "api"
instances = "2"
port = 8000
ready = "/"
command = ["$PYTHON", "-m", "http.server", "--bind", "127.0.0.1", "$PORT"]

[[services]]
name = "front"
port = 8000
ready = "/"
env = { BEHIND = "$API_ADDRESSES" }
command = ["$PYTHON", "-m", "http.server", "--bind", "127.0.0.1", "$PORT"]
"""


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[ProcessManager]:
    """Ends what the test started."""
    with ProcessManager(tmp_path) as made:
        yield made


def port_of(address: str) -> int:
    """Its port."""
    port = urlsplit(address).port
    assert port is not None
    return port


def test_services_see_the_proxies_and_the_harness_does_not(processes: ProcessManager) -> None:
    """Settings of the stack's services lead through the proxies; DSN and what the harness is told lead past them; both work."""
    made = EmbeddedStack(processes, ROOT / "backend" / "stack.toml", "wheels", None, {"postgres", "redis"})
    stack = made.up(1, {}, services=False)
    database, cache = stack.env["DATABASE_URL"].replace("+asyncpg", ""), stack.env["REDIS_URL"]
    dsn, told = stack.secrets[settings.DSN], stack.secrets[settings.REDIS_URL]
    assert port_of(database) == stack.fronts["postgres"][0].port != port_of(dsn)
    assert port_of(cache) == stack.fronts["redis"][0].port != port_of(told)
    for address in (database, dsn):
        with psycopg.connect(address) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    for address in (cache, told):
        with redis.Redis.from_url(address) as client:
            assert client.ping()


def test_the_load_goes_through_the_target_s_proxy(processes: ProcessManager, tmp_path: Path) -> None:
    """The target has one, by its own name too; each instance behind it has one when it was asked for; probes look past them."""
    (tmp_path / "python").symlink_to(sys.executable)
    definition = tmp_path / "stack.toml"
    definition.write_text(STACK)
    stack = EmbeddedStack(processes, definition, "wheels", None, {"target", "api"}).up(1, {})
    assert stack.host is not None
    (front,) = stack.fronts["target"]
    assert stack.fronts["front"] == (front,)
    assert port_of(stack.host) == front.port != port_of(stack.addresses["front"][0])
    assert stack.direct == stack.addresses["front"][0]
    behind = [one.port for one in stack.fronts["api"]]
    environment = Path(f"/proc/{stack.services['front'][0].process.pid}/environ").read_bytes().decode().split("\0")
    assert f"BEHIND=127.0.0.1:{behind[0]},127.0.0.1:{behind[1]}" in environment
    assert not set(behind) & {port_of(address) for address in stack.addresses["api"]}
    for address in (stack.host, *stack.addresses["api"], *(f"http://127.0.0.1:{port}" for port in behind)):
        with urllib.request.urlopen(address, timeout=10) as response:
            assert response.status == 200


def test_without_faults_nothing_stands_in_front(processes: ProcessManager, tmp_path: Path) -> None:
    """No proxy is started that nobody asked for."""
    (tmp_path / "python").symlink_to(sys.executable)
    definition = tmp_path / "stack.toml"
    definition.write_text(STACK)
    stack = EmbeddedStack(processes, definition, "wheels", None).up(1, {})
    assert not stack.fronts and stack.addresses["front"] == (stack.host,)
    assert not list(tmp_path.glob("proxy*.log"))


def test_who_asks_for_tasks_goes_past_the_target_s_proxy(processes: ProcessManager, tmp_path: Path) -> None:
    """A fault in front of the target is the load's alone."""
    (tmp_path / "python").symlink_to(sys.executable)
    (tmp_path / "tasks.json").write_text("{}")
    definition = tmp_path / "stack.toml"
    definition.write_text(STACK)
    stack = EmbeddedStack(processes, definition, "wheels", None, {"target"}).up(1, {})
    processes.end(processes.named("proxy-front"), signal.SIGKILL)
    with closing(people_of(plan_of(tmp_path, BASE).scenario, stack, 1)) as people:
        assert people.get(1, "/tasks.json").data == {}
