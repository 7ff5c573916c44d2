"""CPU, memory and open files of services that run elsewhere, as each process tells them of itself to Prometheus."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import urllib3

from loadtests.measure.counters import increase
from loadtests.probes.prometheus import TIMEOUT_S, ScrapeError, fetch, lines
from loadtests.probes.sample import Gap, Sample

CPU = "process_cpu_seconds_total"
GAUGES = {"memory": "process_resident_memory_bytes", "file_descriptors": "process_open_fds"}
"""Names that Prometheus's clients give them in every language."""


class ExposedProbe:
    """`cpu` of the busiest instance of each service, `memory` of the largest, `file_descriptors` of the one with the most.

    A service of several instances has the same for each: `cpu(api)` and `cpu(api-1)`. An instance is one process.
    """

    def __init__(self, services: Mapping[str, Sequence[str]], clock: Callable[[], float] = time.monotonic) -> None:
        """`services` has the addresses of the metrics of each service's instances."""
        self._services, self._clock = services, clock
        self._pool = urllib3.PoolManager(retries=False)
        self._before: dict[str, tuple[float, float]] = {}
        """By address: when it was asked, and its CPU seconds then."""

    def read(self) -> Iterator[Sample | Gap]:
        """The gauges of all services; a gap for an instance that does not answer or tells nothing of its process.

        The CPU is that since the round before; an instance that was not asked then has none yet.
        """
        deadline = time.monotonic() + TIMEOUT_S
        for service, urls in self._services.items():
            most: dict[str, float] = {}
            for number, url in enumerate(urls, 1):
                name = service if len(urls) == 1 else f"{service}-{number}"
                try:
                    use = self._use(url, fetch(self._pool, url, deadline))
                except ScrapeError as error:
                    yield Gap(f"process {name}", str(error))
                    continue
                for metric, value in use.items():
                    most[metric] = max(value, most.get(metric, value))
                    if len(urls) > 1:
                        yield Sample(metric, name, value)
            yield from (Sample(metric, service, value) for metric, value in most.items())

    def close(self) -> None:
        """Give the connections back."""
        self._pool.clear()

    def _use(self, url: str, text: str) -> dict[str, float]:
        """What the process uses. Raises ScrapeError when the text does not say."""
        found = {metric: value for metric, name in GAUGES.items() if (value := _value(text, name)) is not None}
        seconds, now = _value(text, CPU), self._clock()
        if seconds is None:
            raise ScrapeError(f"{CPU}: is not among its metrics")
        if (before := self._before.get(url)) is not None and now > before[0]:
            found["cpu"] = increase((before[1], seconds)) / (now - before[0])
        self._before[url] = now, seconds
        return found


def _value(text: str, metric: str) -> float | None:
    return next((float(line.value) for line in lines(text, metric) if math.isfinite(line.value)), None)
