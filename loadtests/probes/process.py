"""CPU and memory of a service: the process that was started and all its children, added up."""

from collections.abc import Iterator

import psutil

from loadtests.probes.sample import Sample


class ProcessProbe:
    """Watches one service. `cpu` is a share of one core for the busiest of its processes, `memory` the largest resident set.

    Each process of a service is an instance of it, and the promises are made per instance.
    """

    def __init__(self, service: str, pid: int) -> None:
        self._service = service
        self._leader = psutil.Process(pid)
        self._known: dict[int, psutil.Process] = {}

    def read(self) -> Iterator[Sample]:
        """Both gauges; the CPU since the last round. Raises psutil.Error when the service is gone."""
        processes = [self._leader, *self._leader.children(recursive=True)]
        self._known = {process.pid: self._known.get(process.pid, process) for process in processes}
        cpu, memory = 0.0, 0
        for process in self._known.values():
            try:
                cpu = max(cpu, process.cpu_percent() / 100)
                memory = max(memory, process.memory_info().rss)
            except psutil.NoSuchProcess:
                continue  # a child that ended between the listing and the question
        yield Sample("cpu", self._service, cpu)
        yield Sample("memory", self._service, float(memory))

    def close(self) -> None:
        """Nothing to give back."""
