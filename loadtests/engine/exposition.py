"""What Prometheus scrapes: running sums of the sealed windows, in its text format.

Memory grows with the request names and kinds of failure, not with the run. The names are listed in docs/metrics.md.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
    SummaryMetricFamily,
)

from loadtests.measure.histogram import Histogram
from loadtests.measure.series import Series
from loadtests.measure.snapshot import Counts, Gauges
from loadtests.measure.traffic import BOUNDS_MS
from loadtests.measure.window import Window

TURNS = ("scheduled", "started", "finished", "dropped")
LATENESS_QUANTILES = (0.5, 0.99, 1.0)
_BOUNDS_US = [bound * 1000 for bound in BOUNDS_MS]
_LE = [str(bound / 1000) for bound in BOUNDS_MS]


class Buckets:
    """What Prometheus calls a histogram: counts below fixed bounds, and a sum."""

    def __init__(self) -> None:
        self.count = self.sum_us = 0
        self.at_most = [0] * len(BOUNDS_MS)

    def add(self, histogram: Histogram) -> None:
        """Add a histogram's values."""
        self.count += histogram.count
        self.sum_us += histogram.sum_us
        self.at_most = [mine + more for mine, more in zip(self.at_most, histogram.at_most(_BOUNDS_US), strict=True)]

    def samples(self) -> list[tuple[str, float]]:
        """Bounds in seconds with their cumulative counts."""
        return [*zip(_LE, self.at_most, strict=True), ("+Inf", self.count)]


class Sums:
    """The requests of one name since the start."""

    def __init__(self) -> None:
        self.ok = self.bytes_received = 0
        self.failures: Counter[str] = Counter()
        self.response_time, self.service_time = Buckets(), Buckets()

    def add(self, series: Series) -> None:
        """Add a window's series."""
        self.ok += series.ok
        self.bytes_received += series.bytes_received
        self.failures.update(series.failures)
        self.response_time.add(series.response_time)
        self.service_time.add(series.service_time)


class Exposition:
    """The run so far, as a collector of prometheus_client. Before a run it has nothing to say."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(self)
        self._run: dict[str, str] = {}
        self._clear()

    def _clear(self) -> None:
        self._counts = Counts()
        self._sums: dict[str, Sums] = {}
        self._workers: dict[int, Gauges] = {}
        self._lateness = Histogram()
        """Of the last window."""
        self._lateness_count = self._lateness_sum_us = 0

    def begin(self, run_id: str, scenario: str) -> None:
        """A run begins; nothing of an earlier one is left."""
        self._run = {"run_id": run_id, "scenario": scenario}
        self._clear()

    def add(self, window: Window) -> None:
        """Take a sealed window."""
        self._counts.add(window.counts)
        for name, series in window.series.items():
            self._sums.setdefault(name, Sums()).add(series)
        self._workers, self._lateness = dict(window.workers), window.lateness
        self._lateness_count += window.lateness.count
        self._lateness_sum_us += window.lateness.sum_us

    def text(self) -> bytes:
        """Everything in Prometheus's text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Every metric family, for prometheus_client."""
        if self._run:
            yield InfoMetricFamily("loadtest_run", "The run that the other metrics are about", value=self._run)
            yield from self._traffic()
            yield from self._times()
            yield from self._generator()

    def _traffic(self) -> Iterator[Metric]:
        sums, turns, counts = self._sums.items(), self._counts, []
        for name, one in sums:
            counts += [((name, "ok"), one.ok), ((name, "failed"), one.failures.total())]
        yield _counter("loadtest_requests", "Finished requests", ("name", "outcome"), counts)
        kinds = [((name, kind), count) for name, one in sums for kind, count in one.failures.items()]
        yield _counter("loadtest_failures", "Failed requests by the kind of their failure", ("name", "kind"), kinds)
        received = [((name,), one.bytes_received) for name, one in sums]
        yield _counter("loadtest_bytes_received", "Bytes of answers", ("name",), received)
        states = [((state,), getattr(turns, state)) for state in TURNS]
        yield _counter("loadtest_turns", "Turns by what became of them", ("state",), states)
        yield _counter("loadtest_connections", "Connections that were opened", (), [((), turns.connections)])

    def _times(self) -> Iterator[Metric]:
        meaning = "From the moment a request was due to its last byte"
        response = HistogramMetricFamily("loadtest_response_time_seconds", meaning, labels=["name"])
        meaning = "From a request's send to its last byte"
        service = HistogramMetricFamily("loadtest_service_time_seconds", meaning, labels=["name"])
        for name, one in self._sums.items():
            response.add_metric([name], one.response_time.samples(), one.response_time.sum_us / 1e6)
            service.add_metric([name], one.service_time.samples(), one.service_time.sum_us / 1e6)
        yield from (response, service)

    def _generator(self) -> Iterator[Metric]:
        gauges = self._workers.values()
        yield GaugeMetricFamily("loadtest_users", "Users at work", sum(one.users for one in gauges))
        yield GaugeMetricFamily("loadtest_in_flight", "Requests without an answer yet", sum(one.in_flight for one in gauges))
        yield GaugeMetricFamily("loadtest_sockets", "Open connections", sum(one.sockets for one in gauges))
        yield self._of_workers("cpu_cores", "Cores that the worker used in the last second", lambda one: one.cpu)
        yield self._of_workers("resident_memory_bytes", "Resident memory of the worker", lambda one: one.rss_bytes)
        lag = "Longest time that the worker's event loop overslept in the last second"
        yield self._of_workers("loop_lag_seconds", lag, lambda one: one.loop_lag_us / 1e6)
        yield self._late()

    def _of_workers(self, name: str, documentation: str, value: Callable[[Gauges], float]) -> Metric:
        family = GaugeMetricFamily(f"loadtest_worker_{name}", documentation, labels=["worker"])
        for worker, gauges in sorted(self._workers.items()):
            family.add_metric([str(worker)], value(gauges))
        return family

    def _late(self) -> Metric:
        """Count and sum since the start; quantiles of the last window, and none when it had no turns."""
        documentation = "How late the generator began turns; quantiles of the last second"
        count, sum_s = self._lateness_count, self._lateness_sum_us / 1e6
        family = SummaryMetricFamily("loadtest_lateness_seconds", documentation, count_value=count, sum_value=sum_s)
        for q in LATENESS_QUANTILES if self._lateness.count else ():
            family.add_sample(family.name, {"quantile": str(q)}, self._lateness.quantile(q) / 1e6)
        return family


def _counter(name: str, documentation: str, labels: Sequence[str], samples: Iterable[tuple[Sequence[str], float]]) -> Metric:
    family = CounterMetricFamily(name, documentation, labels=labels)
    for values, count in samples:
        family.add_metric(values, count)
    return family
