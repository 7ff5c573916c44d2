"""CPU and memory of a service: of the processes that were started and all their children."""

from collections.abc import Iterator, Sequence

import psutil

from loadtests.probes.sample import Sample


class ProcessProbe:
    """Watches one service. `cpu` is a share of one core for the busiest of its processes, `memory` the largest resident set.

    Each process of a service is an instance of it, and the promises are made per instance.
    """

    def __init__(self, service: str, pids: Sequence[int]) -> None:
        """`pids` are the processes that were started; their children belong to the service too."""
        self._service = service
        self._leaders = [psutil.Process(pid) for pid in pids]
        self._known: dict[int, psutil.Process] = {}

    def read(self) -> Iterator[Sample]:
        """Both gauges; the CPU since the last round. Raises psutil.Error when an instance is gone."""
        processes = [one for leader in self._leaders for one in (leader, *leader.children(recursive=True))]
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
