"""The stack under test as processes of this machine, from its definition file: no Docker, no root."""

import os
import secrets
import urllib.error
import urllib.request
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

from loadtests import settings
from loadtests.errors import InputError
from loadtests.orchestrate.definition import Service, half_the_cores, instances, read_definition
from loadtests.orchestrate.ports import port_is_free
from loadtests.orchestrate.processes import Managed, ProcessManager
from loadtests.orchestrate.proxy import Front
from loadtests.orchestrate.servers import Source, make_state_folder, start_postgres, start_redis

READY_WITHIN_S = 60.0
TARGET = "target"
"""What the load is sent to, whatever it is called."""


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
    services: Mapping[str, tuple[Managed, ...]] = field(default_factory=dict)
    """The instances of each service, and the servers by their names."""
    addresses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Base addresses of the instances of each service that listens."""
    fronts: Mapping[str, tuple[Front, ...]] = field(default_factory=dict)
    """The proxies before the instances of a part, where some were asked for; those of the target also as `target`."""
    shared: bool = True
    """Any instance of a service tells the metrics of all of them."""
    direct: str | None = None
    """The host past the proxy that may stand in front of it; None for one that the run did not start."""


@dataclass(frozen=True)
class _Instance:
    """One started process of a service."""

    service: Service
    managed: Managed
    port: int | None
    seen_port: int | None
    """Where others find it: its own port, or that of the proxy in front of it."""
    ready_file: Path


class EmbeddedStack:
    """Brings one stack up under a process manager, which also ends it."""

    def __init__(
        self,
        processes: ProcessManager,
        definition: Path,
        source: Source,
        api_port: int | None,
        fronted: Collection[str] = (),
    ) -> None:
        """`fronted` names parts that the others, and the load, shall reach through a proxy."""
        self._processes, self._source, self._api_port = processes, source, api_port
        self._folder = definition.parent.resolve()
        self._definition = read_definition(definition)
        self._services = self._definition.available()
        with_ports = [service for service in self._services if service.port is not None]
        self._target = with_ports[-1] if with_ports else None
        self._fronted = set(fronted)
        if self._target is not None and TARGET in self._fronted:
            self._fronted.add(self._target.name)
        self._fronts: dict[str, tuple[Front, ...]] = {}
        self._values: dict[str, str] = {}
        self._direct: dict[str, str] = {}
        self._chosen: dict[str, str] = {}
        self._dsn: str | None = None
        if api_port is not None and not port_is_free(api_port):
            processes.ports.choose(api_port, required=True)  # says so, before anything is started

    @property
    def parts(self) -> list[str]:
        """Names of what `up` starts, in order."""
        return [*self._definition.servers.names, *(service.name for service in self._services)]

    @property
    def missing(self) -> list[str]:
        """Programs that the stack would use and the machine does not have."""
        return self._definition.missing

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
        self._values["HALF_THE_CORES"] = half_the_cores()
        self._start_servers(state)
        env = self._environment(tunables)
        (state / "prometheus").mkdir()
        running: list[_Instance] = []
        if services:
            for step in self._definition.prepare:
                self._processes.run(step.name, self._filled(step.command), env=env, cwd=self._folder)
            os.sync()  # what the preparation wrote is not to be written during the load
            for service in self._services:
                running += self._start(service, env, state)
            for instance in running:
                self._wait(instance)
        hosts = [f"http://127.0.0.1:{instance.seen_port}" for instance in running if instance.service is self._target]
        told = {name: self._fill(value, **self._direct) for name, value in self._definition.told.items()}
        known = {settings.JWT_SECRET: secret, settings.DSN: self._dsn or "", **told}
        by_name = {name: (self._processes.named(name),) for name in self._definition.servers.names}
        addresses: dict[str, tuple[str, ...]] = {}
        for one in running:
            name = one.service.name
            by_name[name] = (*by_name.get(name, ()), one.managed)
            if one.port is not None:
                addresses[name] = (*addresses.get(name, ()), f"http://127.0.0.1:{one.port}")
        if self._target is not None and self._target.name in self._fronts:
            self._fronts[TARGET] = self._fronts[self._target.name]
        direct = addresses[self._target.name][0] if hosts and self._target is not None else None
        return Stack(hosts[0] if hosts else None, known, self._chosen, env, by_name, addresses, self._fronts, direct=direct)

    def _start_servers(self, state: Path) -> None:
        wanted = self._definition.servers
        if wanted.postgres is not None:
            postgres = start_postgres(self._processes, state, self._source, wanted.postgres)
            self._values.update(postgres.env)
            self._dsn = postgres.dsn
        if wanted.redis:
            self._values.update(start_redis(self._processes, state, self._source).env)
        for server in self._definition.servers.names:
            name = f"{server.upper()}_PORT"
            self._direct[name] = self._values[name]
            self._values[name] = str(self._front(server, server, int(self._values[name]), state))

    def _front(self, part: str, name: str, port: int, state: Path) -> int:
        """Where the others find an instance of a part: its port, or that of a proxy when one was asked for."""
        if part not in self._fronted:
            return port
        front = Front(self._processes, f"proxy-{name}", port, state)
        self._fronts[part] = (*self._fronts.get(part, ()), front)
        return front.port

    def _environment(self, tunables: Mapping[str, str]) -> dict[str, str]:
        """The caller's environment, under the scenario's and the definition's settings; what is fixed wins over all."""
        self._chosen = self._definition.chosen(tunables, self._fill)
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

    def _start(self, service: Service, env: Mapping[str, str], state: Path) -> list[_Instance]:
        """Start all instances of a service, and let those after it know their addresses."""
        count = instances(service, self._fill(service.instances))
        started = []
        for number in range(1, count + 1):
            name = f"{service.name}-{number}" if count > 1 else service.name
            port = self._port(service, number, count)
            known = {"INSTANCE": str(number), **({"PORT": str(port)} if port else {})}
            own = {**env, **{key: self._fill(value, **known) for key, value in service.env.items()}}
            ready_file = state / f"{name}.ready"
            command = self._filled(service.command, **known)
            managed = self._processes.start(name, command, env={**own, "READY_FILE": str(ready_file)}, cwd=self._folder)
            seen = None if port is None else self._front(service.name, name, port, state)
            started.append(_Instance(service, managed, port, seen, ready_file))
        addresses = ",".join(f"127.0.0.1:{instance.seen_port}" for instance in started)
        self._values[f"{service.name.upper()}_ADDRESSES"] = addresses
        return started

    def _port(self, service: Service, number: int, count: int) -> int | None:
        """The port for one instance; the target's is the one that was asked for."""
        if service.port is None:
            return None
        if service is not self._target:
            return self._processes.ports.choose(service.port + number)
        if count > 1:
            raise InputError(f"{service.instances.lstrip('$')}={count}: nothing stands in front of so many")
        return self._processes.ports.choose(self._api_port or service.port, required=self._api_port is not None)

    def _wait(self, instance: _Instance) -> None:
        service, managed = instance.service, instance.managed
        if service.ready == "file":
            self._processes.wait_ready(managed, instance.ready_file.exists, READY_WITHIN_S, "it said that it was ready")
            return
        url = f"http://127.0.0.1:{instance.port}{service.ready}"
        self._processes.wait_ready(managed, lambda: answers(url), READY_WITHIN_S, f"{service.ready} answered 200")


def answers(url: str) -> bool:
    """Whether a GET of the address gives a status below 400."""
    with suppress(urllib.error.URLError, OSError), urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310  # our own
        return bool(response.status < 400)
    return False
