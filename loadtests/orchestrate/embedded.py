"""The stack under test as processes of this machine, from its definition file: no Docker, no root."""

import os
import secrets
import tomllib
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from loadtests import settings
from loadtests.errors import InputError
from loadtests.orchestrate.processes import Managed, ProcessManager, port_is_free
from loadtests.orchestrate.servers import Source, make_state_folder, start_postgres, start_redis

READY_WITHIN_S = 60.0


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ServersTable(_Table):
    """Which servers the stack needs."""

    postgres: str | None = None
    """Name of its database."""
    redis: bool = False


class Step(_Table):
    """A command that is run to its end before the services start."""

    name: str
    command: tuple[str, ...]


class Service(_Table):
    """A command that runs as long as the stack does."""

    name: str
    command: tuple[str, ...]
    env: dict[str, str] = Field(default_factory=dict)
    """Settings of this service alone."""
    port: int | None = None
    """Port it likes to listen on; $PORT is that or a free one. The first service with a port is the target."""
    ready: str = "file"
    """`/path`: ready when this answers 200; `file`: ready when the file named by READY_FILE exists."""


class Definition(_Table):
    """A stack's definition file."""

    python: str
    servers: ServersTable = ServersTable()
    fixed: dict[str, str] = Field(default_factory=dict)
    defaults: dict[str, str] = Field(default_factory=dict)
    prepare: tuple[Step, ...] = ()
    services: tuple[Service, ...] = ()


@dataclass(frozen=True)
class Stack:
    """A running stack."""

    host: str | None
    secrets: Mapping[str, str]
    """What the harness and its workers must know: signing key and DSN, as environment variables."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """The settings that may be chosen, as they are; no secret is among them."""
    env: Mapping[str, str] = field(default_factory=dict)
    """The whole environment of the stack's own processes."""
    services: Mapping[str, Managed] = field(default_factory=dict)


def read_definition(path: Path) -> Definition:
    """The definition of a stack. Raises InputError with what is wrong."""
    try:
        return Definition.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise InputError(f"{path}: {error}") from error


class EmbeddedStack:
    """Brings one stack up under a process manager, which also ends it."""

    def __init__(self, processes: ProcessManager, definition: Path, source: Source, api_port: int | None) -> None:
        self._processes, self._source, self._api_port = processes, source, api_port
        self._folder = definition.parent.resolve()
        self._definition = read_definition(definition)
        self._values: dict[str, str] = {}
        self._chosen: dict[str, str] = {}
        self._dsn: str | None = None
        if api_port is not None and not port_is_free(api_port):
            processes.ports.choose(api_port, required=True)  # says so, before anything is started

    @property
    def parts(self) -> list[str]:
        """Names of what `up` starts, in order."""
        wanted = self._definition.servers
        servers = [*(["postgres"] if wanted.postgres is not None else []), *(["redis"] if wanted.redis else [])]
        return [*servers, *(service.name for service in self._definition.services)]

    def up(self, users: int, tunables: Mapping[str, str], services: bool = True) -> Stack:
        """Start servers, prepare them, start services; returns when all are ready.

        `services=False` stops after the servers. Raises NotReadyError with the log of what failed, InputError for what the
        caller can mend.
        """
        state = make_state_folder(self._processes)
        python = self._folder / self._definition.python
        if not python.exists():
            raise InputError(f"{python}: the stack's environment is missing (run: make setup)")
        secret = secrets.token_urlsafe(48)
        self._values = {"PYTHON": str(python), "STATE": str(state), "USERS": str(users), "JWT_SECRET": secret}
        self._start_servers(state)
        env = self._environment(tunables)
        (state / "prometheus").mkdir()
        running: dict[str, Managed] = {}
        host = None
        if services:
            for step in self._definition.prepare:
                self._processes.run(step.name, self._filled(step.command), env=env, cwd=self._folder)
            started = [self._start(service, env, state) for service in self._definition.services]
            for service, managed, port in started:
                running[service.name] = self._ready(service, managed, port, env, state)
            ports = [port for _, _, port in started if port is not None]
            host = f"http://127.0.0.1:{ports[0]}" if ports else None
        known = {settings.JWT_SECRET: secret, settings.DSN: self._dsn or ""}
        return Stack(host, known, self._chosen, env, running)

    def _start_servers(self, state: Path) -> None:
        wanted = self._definition.servers
        if wanted.postgres is not None:
            postgres = start_postgres(self._processes, state, self._source, wanted.postgres)
            self._values.update(postgres.env)
            self._dsn = postgres.dsn
        if wanted.redis:
            self._values.update(start_redis(self._processes, state, self._source).env)

    def _environment(self, tunables: Mapping[str, str]) -> dict[str, str]:
        """The caller's environment, under the scenario's and the definition's settings; what is fixed wins over all."""
        defaults = {**self._definition.defaults, **tunables}
        self._chosen = {name: os.environ.get(name, value) for name, value in defaults.items()}
        self._values.update(self._chosen)
        fixed = {name: self._fill(value) for name, value in self._definition.fixed.items()}
        return {**os.environ, **self._chosen, **fixed}

    def _fill(self, text: str, **more: str) -> str:
        try:
            return Template(text).substitute(self._values, **more)
        except (KeyError, ValueError) as error:
            raise InputError(f"{self._folder}: {text!r}: unknown setting {error}") from error

    def _filled(self, command: tuple[str, ...], **more: str) -> list[str]:
        return [self._fill(part, **more) for part in command]

    def _start(self, service: Service, env: Mapping[str, str], state: Path) -> tuple[Service, Managed, int | None]:
        port = None
        if service.port is not None:
            wanted = self._api_port or service.port
            port = self._processes.ports.choose(wanted, required=self._api_port is not None)
        own = {**env, **{name: self._fill(value) for name, value in service.env.items()}}
        own = {**own, "READY_FILE": str(state / f"{service.name}.ready")}
        command = self._filled(service.command, **({"PORT": str(port)} if port else {}))
        return service, self._processes.start(service.name, command, env=own, cwd=self._folder), port

    def _ready(self, service: Service, managed: Managed, port: int | None, env: Mapping[str, str], state: Path) -> Managed:
        if port is None:
            file = state / f"{service.name}.ready"
            self._processes.wait_ready(managed, file.exists, READY_WITHIN_S, "it said that it was ready")
            return managed
        url = f"http://127.0.0.1:{port}{service.ready}"
        self._processes.wait_ready(managed, lambda: answers(url), READY_WITHIN_S, f"{service.ready} answered 200")
        return managed


def answers(url: str) -> bool:
    """Whether a GET of the address gives a status below 400."""
    with suppress(urllib.error.URLError, OSError), urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310  # our own
        return bool(response.status < 400)
    return False
