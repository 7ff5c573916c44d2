"""Who a worker is and where: said when it joins, so that a record of many machines can be read by people."""

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import Any

from loadtests.store.build import this_build


def worker_name() -> str:
    """What this worker calls itself."""
    return os.environ.get("LOADTEST_WORKER_NAME") or f"{socket.gethostname()}:{os.getpid()}"


def introduction(master_host: str, master_port: int) -> dict[str, Any]:
    """What a worker says of itself at the master's door: name, machine, its address as the master sees it, and its build."""
    address = _address_towards(master_host, master_port)
    return {"name": worker_name(), "machine": socket.gethostname(), "address": address, "build": this_build()}


def _address_towards(host: str, port: int) -> str:
    """The address that this machine has on the way to another, or nothing where there is no way. No packet is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            asked.connect((host, port))
        except OSError:
            return ""
        return str(asked.getsockname()[0])


@dataclass(frozen=True)
class Whereabouts:
    """What a worker said when it joined."""

    name: str
    machine: str = ""
    address: str = ""

    @property
    def elsewhere(self) -> bool:
        """Whether it is on another machine than this process. Containers are machines."""
        return bool(self.machine) and self.machine != socket.gethostname()

    @property
    def place(self) -> str:
        """Machine and address in words: `loader-2 (10.0.0.7)`."""
        return f"{self.machine} ({self.address})" if self.address else self.machine


def unique_names(workers: Sequence[Whereabouts]) -> list[str]:
    """A name for each worker. Two of one name are told apart by their machines; those of this machine keep theirs.

    What is the same after that gets a number.
    """
    names: list[str] = []
    for index, worker in enumerate(workers):
        shared = any(other.name == worker.name for place, other in enumerate(workers) if place != index)
        name = f"{worker.name}@{worker.machine}" if shared and worker.elsewhere else worker.name
        numbered = (f"{name}#{number}" for number in count(2))
        names.append(next(one for one in chain([name], numbered) if one not in names))
    return names
