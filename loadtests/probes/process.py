"""CPU, memory and open files of services: of the processes that were started and all their children."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import psutil

from loadtests.probes.machine import MachineProbe
from loadtests.probes.sample import Gap, Sample

Leader = Callable[[], int]
"""Id of the process that was started, asked anew each round: it may have been restarted. Raises GoneError."""
Services = Mapping[str, Mapping[str, Leader]]
"""Each service's instances by name."""


class GoneError(Exception):
    """The process does not run now; the message says what became of it."""


class Use(NamedTuple):
    """What processes use: the most of any of them. None is what could not be seen."""

    cpu: float | None = None
    """Share of one core since the round before."""
    memory: float | None = None
    """Resident bytes."""
    file_descriptors: float | None = None

    def most(self, other: "Use") -> "Use":
        """The larger value of each."""
        return Use(*(max((one for one in pair if one is not None), default=None) for pair in zip(self, other, strict=True)))


class ProcessProbe:
    """`cpu` of the busiest process of each service, `memory` of the largest, `file_descriptors` of the one with the most.

    Each process of a service is an instance of it, and the promises are made per instance. A service that was started more than
    once has the same for each: `cpu(api)` and `cpu(api-1)`. One look at the process table serves all services. `machine` adds
    what the whole machine does, its other processes and this harness included.
    """

    def __init__(self, services: Services, machine: MachineProbe | None = None) -> None:
        self._services, self._machine = services, machine
        self._known: dict[int, psutil.Process] = {}
        self._cores = 0.0
        """Of all processes together, in the round that is under way."""

    def read(self) -> Iterator[Sample | Gap]:
        """The gauges of all services; a gap for an instance that is gone, which comes back when it is restarted.

        The CPU is that since the round before; a process that was not there then has none yet.
        """
        machine = [] if self._machine is None else list(self._machine.read())
        yield from machine
        self._cores = 0.0
        children = _children()
        known, self._known = self._known, {}
        for service, instances in self._services.items():
            whole = Use()
            for name, leader in instances.items():
                try:
                    use = self._use(_family(leader(), children), known)
                except (GoneError, psutil.NoSuchProcess) as error:
                    yield Gap(f"process {name}", str(error))
                    continue
                whole = whole.most(use)
                if len(instances) > 1:
                    yield from _samples(name, use)
            yield from _samples(service, whole)
        if machine:
            yield Sample("machine_stack", None, min(self._cores / (psutil.cpu_count() or 1), 1.0))

    def close(self) -> None:
        """Nothing to give back."""

    def _use(self, pids: Sequence[int], known: Mapping[int, psutil.Process]) -> Use:
        """What the processes use. Raises NoSuchProcess when the first of them is gone."""
        whole = Use()
        for pid in pids:
            try:
                process = known.get(pid)
                if process is None or not process.is_running():
                    process = psutil.Process(pid)
                # A first question has no answer: psutil has nothing to compare with and says 0.
                cpu = process.cpu_percent() / 100
                self._cores += cpu
                use = Use(cpu if process is known.get(pid) else None, float(process.memory_info().rss), _open_files(process))
            except psutil.NoSuchProcess:
                if pid == pids[0]:
                    raise
                continue  # a child that ended between the listing and the question
            self._known[pid] = process
            whole = whole.most(use)
        return whole


def _children() -> Mapping[int, list[int]]:
    """The ids of all processes by their parent's."""
    found: dict[int, list[int]] = {}
    for process in psutil.process_iter():
        try:
            found.setdefault(process.ppid(), []).append(process.pid)
        except psutil.NoSuchProcess:
            continue
    return found


def _family(pid: int, children: Mapping[int, list[int]]) -> Sequence[int]:
    """The process and all its descendants."""
    found = [pid]
    for one in found:  # it grows meanwhile
        found.extend(children.get(one, ()))
    return found


def _open_files(process: psutil.Process) -> float | None:
    """Open file descriptors; None when this user may not look."""
    try:
        # Linux 6.2 and later know the number; listing the thousands of sockets of a balancer would take milliseconds.
        return float(os.stat(f"/proc/{process.pid}/fd").st_size or process.num_fds())  # noqa: PTH116
    except (psutil.AccessDenied, PermissionError):
        return None
    except FileNotFoundError:
        raise psutil.NoSuchProcess(process.pid) from None


def _samples(selector: str, use: Use) -> Iterator[Sample]:
    for metric, value in use._asdict().items():
        if value is not None:
            yield Sample(metric, selector, value)
