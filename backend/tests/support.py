"""What the tests share: a synchronous face of the application, and processes of the stack."""

import asyncio
import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import httpx
from fastapi import FastAPI
from prometheus_client import REGISTRY
from starlette.types import ASGIApp

from app.core.security import TokenType
from app.core.state import AppState
from app.main import create_api, wrap
from app.settings import ApiSettings
from tests.asgi import Answer, ask

BACKEND = Path(__file__).resolve().parent.parent
T = TypeVar("T")
_given: set[int] = set()
DEAD_PORT_URL = "redis://127.0.0.1:1/0"
WORKER_COMMAND = [
    "celery",
    "-A",
    "app.workers.app:celery_app",
    "worker",
    "--pool=threads",
    "--without-gossip",
    "--without-mingle",
    "--without-heartbeat",
]


@dataclass(frozen=True)
class Person:
    """A guest who has logged in."""

    id: UUID
    access: str
    refresh: str


class Api:
    """The application in this process, called as a client would, one event loop for all."""

    def __init__(self, runner: asyncio.Runner, app: ASGIApp, routes: FastAPI) -> None:
        self._runner = runner
        self.app, self.routes = app, routes
        self.state: AppState = routes.state.shared
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://api")

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run something on the application's event loop."""
        return self._runner.run(coroutine)

    def ask(self, method: str, target: str, token: str | None = None, **more: Any) -> Answer:
        """One request, nothing added to it; `more` as for `tests.asgi.ask`."""
        return self.run(ask(self.app, method, target, token, **more))

    def token(self, user_id: UUID, version: int = 0) -> str:
        """An access token, as the application makes them."""
        return self.state.tokens.mint(user_id, TokenType.ACCESS, version)

    def call(
        self, method: str, path: str, token: str | None = None, **arguments: Any
    ) -> httpx.Response:
        """Send one request."""
        return self.together([(method, path, token, arguments)])[0]

    def together(
        self, calls: list[tuple[str, str, str | None, dict[str, Any]]]
    ) -> list[httpx.Response]:
        """Send all requests at the same time; answers in the order of the calls."""

        async def send() -> list[httpx.Response]:
            return await asyncio.gather(*(self._send(*call) for call in calls))

        return self._runner.run(send())

    async def send(
        self, method: str, path: str, person: Person, **arguments: Any
    ) -> httpx.Response:
        """Send one request, on the application's event loop."""
        return await self._send(method, path, person.access, arguments)

    async def _send(
        self, method: str, path: str, token: str | None, arguments: dict[str, Any]
    ) -> httpx.Response:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        headers |= arguments.pop("headers", {})
        return await self._client.request(method, path, headers=headers, **arguments)

    def login(self, device_id: str) -> Person:
        """Log the device's guest in."""
        response = self.call(
            "POST", "/api/v1/auth/guest", json={"device_id": device_id, "name": "Guest"}
        )
        assert response.status_code == 200, response.text
        body = response.json()
        return Person(UUID(body["user"]["id"]), body["access_token"], body["refresh_token"])

    def create_task(self, person: Person, prompt: str = "write") -> UUID:
        """Create a task and return its id."""
        response = self.call(
            "POST", "/api/v1/tasks", person.access, json={"prompt": prompt, "output_type": "docs"}
        )
        assert response.status_code == 201, response.text
        return UUID(response.json()["id"])

    def status_of(self, person: Person, task_id: UUID) -> str:
        """Read the task's status."""
        return str(self.call("GET", f"/api/v1/tasks/{task_id}", person.access).json()["status"])


@contextmanager
def running_api(runner: asyncio.Runner, settings: ApiSettings) -> Iterator[Api]:
    """Start an application in this process, and stop it."""
    routes = create_api(settings)
    app = wrap(routes, settings)
    lifespan = routes.router.lifespan_context(routes)
    runner.run(_enter(lifespan))
    try:
        yield Api(runner, app, routes)
    finally:
        runner.run(_leave(lifespan))


async def _enter(lifespan: Any) -> None:
    await lifespan.__aenter__()


async def _leave(lifespan: Any) -> None:
    await lifespan.__aexit__(None, None, None)


@contextmanager
def process(
    arguments: list[str], log: Path, **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `python -m ARGUMENTS` in backend/, its output in `log`; ends it afterwards."""
    with log.open("wb") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=BACKEND,
            env={**os.environ, **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield child
    finally:
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def free_port() -> int:
    """A port that nobody uses; another one each time, or a proxy could be its own upstream.

    Below those that outgoing connections get, one of which could have it before its server does.
    """
    for port in random.sample(range(20_000, 32_768), 1_000):
        if port not in _given:
            with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
                _given.add(port)
                return port
    raise OSError("no port is free")


@contextmanager
def served(log: Path, workers: int = 1, **environment: str) -> Iterator[str]:
    """The API as it is served in earnest, one port for all its processes; yields the URL."""
    port = free_port()
    command = ["granian", "--interface", "asgi", "--factory", "app.main:create_app"]
    flags = ["--port", str(port), "--workers", str(workers), "--log-config", "granian-log.json"]
    with process([*command, *flags], log, **environment):
        url = f"http://127.0.0.1:{port}"
        eventually(lambda: _is_healthy(url), "the API is healthy")
        yield url


def _is_healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz").status_code == 200
    except httpx.TransportError:
        return False


async def until(condition: Callable[[], bool], what: str, timeout_s: float = 15.0) -> None:
    """As `eventually`, on an event loop that goes on meanwhile."""
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + timeout_s
    while not condition():
        assert loop.time() < deadline_s, f"not in {timeout_s} s: {what}"
        await asyncio.sleep(0.005)


def eventually(condition: Callable[[], bool], what: str, timeout_s: float = 15.0) -> None:
    """Wait until the condition holds.

    Raises:
        AssertionError: it does not hold in time; the message is `what`.
    """
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, f"not in {timeout_s} s: {what}"
        time.sleep(0.02)


def metric(name: str, **labels: str) -> float:
    """A metric of this process as it is now; 0 if it was never used."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


def statements(name: str) -> float:
    """How many statements of that name were sent to PostgreSQL."""
    return metric("agenthq_db_statements_total", query=name)
