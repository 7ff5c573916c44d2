"""The file that defines a stack: which servers it needs, what prepares them, what runs."""

import os
import shutil
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from loadtests.errors import InputError

MAX_INSTANCES = 64
MAX_HALF = 8
"""More instances of the default size would not fit into the budget of database connections."""
WITHOUT = "STACK_WITHOUT"
# Where Debian keeps servers, which the path of an ordinary user leaves out.
SYSTEM_PATHS = "/usr/local/sbin:/usr/sbin:/sbin"


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ServersTable(_Table):
    """Which servers the stack needs."""

    postgres: str | None = None
    """Name of its database."""
    redis: bool = False

    @property
    def names(self) -> list[str]:
        """What they are called among the stack's services, in the order in which they are started."""
        return [*(["postgres"] if self.postgres is not None else []), *(["redis"] if self.redis else [])]


class Step(_Table):
    """A command that is run to its end before the services start."""

    name: str
    command: tuple[str, ...]


class Service(_Table):
    """A command that runs as long as the stack does."""

    name: str
    command: tuple[str, ...]
    env: dict[str, str] = Field(default_factory=dict)
    """Settings of this service alone; $INSTANCE and $PORT are those of the process."""
    instances: str = "1"
    """How many of it run, each with a port of its own; NAME_ADDRESSES has all of them, with commas between."""
    program: str | None = None
    """What the machine must have installed; without it the service is left out, and `without` says what changes."""
    port: int | None = None
    """Port it likes to listen on; $PORT is that or a free one. The last service with a port is the target."""
    ready: str = "file"
    """`/path`: ready when this answers 200; `file`: ready when the file named by READY_FILE exists."""


@dataclass(frozen=True)
class Part:
    """A server or service as it will be started."""

    instances: int
    listens: bool


class Definition(_Table):
    """A stack's definition file."""

    python: str
    servers: ServersTable = ServersTable()
    fixed: dict[str, str] = Field(default_factory=dict)
    defaults: dict[str, str] = Field(default_factory=dict)
    told: dict[str, str] = Field(default_factory=dict)
    """What the harness is told of the stack, as variables of its environment: where its Redis and its broker are."""
    without: dict[str, dict[str, str]] = Field(default_factory=dict)
    """Settings that take the place of others when a program is not installed."""
    prepare: tuple[Step, ...] = ()
    services: tuple[Service, ...] = ()

    @property
    def missing(self) -> list[str]:
        """Programs that services could use and the machine does not have, or that are to be left out (STACK_WITHOUT)."""
        wanted = [service.program for service in self.services if service.program is not None]
        unwanted = os.environ.get(WITHOUT, "").split(",")
        return [program for program in wanted if program in unwanted or find_program(program) is None]

    def available(self) -> tuple[Service, ...]:
        """The services that can run on this machine."""
        missing = self.missing
        return tuple(service for service in self.services if service.program not in missing)

    def chosen(self, tunables: Mapping[str, str], fill: Callable[[str], str]) -> dict[str, str]:
        """The settings that may be chosen: the caller's environment, the scenario's `tunables`, the defaults, in this order."""
        defaults = {**self.defaults, **tunables}
        found = {name: fill(os.environ.get(name, value)) for name, value in defaults.items()}
        for program in self.missing:
            instead = self.without.get(program, {})
            found.update({name: Template(value).safe_substitute(found) for name, value in instead.items()})
        return found

    def parts(self, tunables: Mapping[str, str]) -> dict[str, Part]:
        """What is going to be started, by name. Raises InputError for a number of instances that is none."""
        known = {"HALF_THE_CORES": half_the_cores()}
        known |= self.chosen(tunables, lambda text: Template(text).safe_substitute(known))
        found = {name: Part(1, listens=True) for name in self.servers.names}
        for service in self.available():
            count = instances(service, Template(service.instances).safe_substitute(known))
            found[service.name] = Part(count, listens=service.port is not None)
        return found


def half_the_cores() -> str:
    """$HALF_THE_CORES of this machine."""
    return str(min(MAX_HALF, max(1, len(os.sched_getaffinity(0)) // 2)))


def instances(service: Service, text: str) -> int:
    """The number of its instances. Raises InputError when the text is none."""
    if not text.isdecimal() or not 1 <= int(text) <= MAX_INSTANCES:
        raise InputError(f"{service.instances.lstrip('$')}={text}: a number from 1 to {MAX_INSTANCES} is needed")
    return int(text)


def find_program(name: str) -> str | None:
    """Where the program is, also if only root's path has it."""
    return shutil.which(name) or shutil.which(name, path=SYSTEM_PATHS)


def read_definition(path: Path) -> Definition:
    """The definition of a stack. Raises InputError with what is wrong."""
    try:
        return Definition.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise InputError(f"{path}: {error}") from error
