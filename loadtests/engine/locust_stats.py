"""Locust's own statistics, fed in bulk once a second, so that its UI, CSV and HTML tell the truth at no cost per request.

Locust counts in a listener of its `request` event. That listener stays, for users that are not ours; what ours do is told to
the other listeners only, and only when there are any.
"""

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import gevent
from locust.env import Environment
from locust.event import EventHook
from locust.stats import StatsEntry, StatsError, bucket_response_time

from loadtests.engine.http.failures import Failure
from loadtests.measure.series import Series

INTERVAL_S = 1.0


class Batch:
    """Requests of one method and name that Locust has not heard of yet. Times in milliseconds, from the send."""

    __slots__ = ("bytes_received", "count", "max_ms", "min_ms", "sum_ms", "times")

    def __init__(self) -> None:
        self.count = self.bytes_received = 0
        self.sum_ms = self.max_ms = 0.0
        self.min_ms = float("inf")
        self.times: defaultdict[int, int] = defaultdict(int)
        """Count by Locust's rounded times."""

    def add(self, ms: float, received: int, count: int = 1) -> None:
        """Add `count` requests that took `ms`."""
        self.count += count
        self.bytes_received += received
        self.sum_ms += ms * count
        self.min_ms, self.max_ms = min(self.min_ms, ms), max(self.max_ms, ms)
        self.times[bucket_response_time(ms)] += count


class LocustStats:
    """Stands between our clients and one environment's `request` event and statistics."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._handlers: list[Callable[..., None]] = environment.events.request._handlers
        self._told: object = self
        """What the event that is fired for others is about: Locust's listener, the first of all, passes it over."""
        for index, handler in enumerate(self._handlers):
            if handler.__module__ == "locust.runners":
                self._handlers[index] = self._unless_ours(handler)
        self._locusts = sum(handler.__module__ == __name__ for handler in self._handlers)

    def _unless_ours(self, handler: Callable[..., None]) -> Callable[..., None]:
        def count(**event: Any) -> None:
            if event.get("response") is not self._told:
                handler(**event)

        return count

    @property
    def any(self) -> bool:
        """Whether anybody but Locust's statistics listens."""
        return len(self._handlers) > self._locusts

    def fire(self, **event: Any) -> None:
        """Tell the listeners of one request, but not the statistics."""
        before, self._told = self._told, event["response"]
        try:
            self._environment.events.request.fire(**event)  # type: ignore[no-untyped-call]
        finally:
            self._told = before

    def add_batch(self, method: str, name: str, batch: Batch) -> None:
        """Tell the statistics of requests that did not fail."""
        self._extend(method, name, batch, 0)

    def add_failure(self, method: str, name: str, ms: float, received: int, error: Exception) -> None:
        """Tell the statistics of one that did."""
        stats = self._environment.stats
        stats.log_request(method, name, ms, received)  # type: ignore[arg-type]  # Locust itself gives it fractions
        stats.log_error(method, name, error)

    def add_series(self, method: str, name: str, series: Series) -> None:
        """Tell the statistics of all requests of a series; failures appear by their kind."""
        batch = Batch()
        for value_us, count in series.service_time.values():
            batch.add(value_us / 1e3, 0, count)
        batch.bytes_received = series.bytes_received
        exact = series.service_time
        batch.sum_ms, batch.max_ms, batch.min_ms = exact.sum_us / 1e3, exact.max_us / 1e3, (exact.min_us or 0) / 1e3
        self._extend(method, name, batch, series.failed)
        errors = self._environment.stats.errors
        for kind, count in series.failures.items():
            error = Failure(kind)
            key = StatsError.create_key(method, name, error)
            errors.setdefault(key, StatsError(method, name, error)).occurrences += count

    def _extend(self, method: str, name: str, batch: Batch, failed: int) -> None:
        stats = self._environment.stats
        now = time.time()
        delta = StatsEntry(stats, name, method)
        delta.num_requests, delta.num_failures = batch.count, failed
        delta.total_response_time = batch.sum_ms  # type: ignore[assignment]  # Locust itself adds fractions
        delta.min_response_time, delta.max_response_time = batch.min_ms, batch.max_ms  # type: ignore[assignment]
        delta.total_content_length, delta.response_times = batch.bytes_received, batch.times
        delta.last_request_timestamp = now
        delta.num_reqs_per_sec[int(now)] = batch.count
        if failed:
            delta.num_fail_per_sec[int(now)] = failed
        for entry in (stats.entries[(name, method)], stats.total):
            delta.start_time = entry.start_time
            entry.extend(delta)


class Tally:
    """Where the requests of a plain locustfile are counted: nowhere but in Locust's statistics."""

    def __init__(self, stats: LocustStats) -> None:
        self._stats = stats
        self._batches: defaultdict[tuple[str, str], Batch] = defaultdict(Batch)
        self._failed: list[tuple[str, str, float, int, Exception]] = []

    def sent(self, planned: bool) -> None:
        """Nothing is counted before the answer."""

    def done(self, method: str, name: str, response_us: int, service_us: int, received: int, failed: Failure | None) -> None:
        """A request has ended. One that Locust itself cut off, at the end of the test, it does not count."""
        if failed is None:
            self._batches[(method, name)].add(service_us / 1e3, received)
        elif failed.kind != "stopped":
            self._failed.append((method, name, service_us / 1e3, received, failed.original))

    def flush(self) -> None:
        """Tell Locust everything."""
        batches, self._batches = self._batches, defaultdict(Batch)
        failures, self._failed = self._failed, []
        for (method, name), batch in batches.items():
            self._stats.add_batch(method, name, batch)
        for failure in failures:
            self._stats.add_failure(*failure)

    def forget(self) -> None:
        """Locust starts counting anew."""
        self._batches.clear()
        self._failed.clear()


def stats_of(environment: Environment) -> LocustStats:
    """The one that stands before an environment's event."""
    known: LocustStats | None = getattr(environment, "loadtest_stats", None)
    if known is None:
        known = environment.loadtest_stats = LocustStats(environment)  # type: ignore[attr-defined]  # it is meant to be hung things on
    return known


def start_tally(environment: Environment) -> Tally:
    """The one tally of an environment, flushed every second and whenever a test ends."""
    known: Tally | None = getattr(environment, "loadtest_tally", None)
    if known is not None:
        return known
    tally = Tally(stats_of(environment))
    environment.loadtest_tally = tally  # type: ignore[attr-defined]

    def flush_for_ever() -> None:
        while True:
            gevent.sleep(INTERVAL_S)
            tally.flush()

    gevent.spawn(flush_for_ever)
    _listen(environment.events.test_stop, tally.flush)
    if environment.reset_stats:
        _listen(environment.events.spawning_complete, tally.forget)
    return tally


def _listen(event: EventHook, action: Callable[[], None]) -> None:
    event.add_listener(lambda **_: action())  # type: ignore[no-untyped-call]
