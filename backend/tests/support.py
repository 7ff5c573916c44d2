"""What the tests share: a synchronous face of the application, and processes of the stack."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from fastapi import FastAPI

from app.core.state import AppState
from app.main import create_app
from app.settings import ApiSettings

BACKEND = Path(__file__).resolve().parent.parent
DEAD_PORT_URL = "redis://127.0.0.1:1/0"
WORKER_COMMAND = [
    "celery",
    "-A",
    "app.workers.celery_config:celery_app",
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

    def __init__(self, runner: asyncio.Runner, app: FastAPI) -> None:
        self._runner = runner
        self._app = app
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://api")

    @property
    def state(self) -> AppState:
        """The application's shared objects."""
        state: AppState = self._app.state.shared
        return state

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

    async def _send(
        self, method: str, path: str, token: str | None, arguments: dict[str, Any]
    ) -> httpx.Response:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
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
    app = create_app(settings)
    lifespan = app.router.lifespan_context(app)
    runner.run(_enter(lifespan))
    try:
        yield Api(runner, app)
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


def eventually(condition: Callable[[], bool], what: str, timeout_s: float = 15.0) -> None:
    """Wait until the condition holds.

    Raises:
        AssertionError: it does not hold in time; the message is `what`.
    """
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, f"not in {timeout_s} s: {what}"
        time.sleep(0.02)
