"""Windows made by hand, for tests of what is shown and served while a run goes on."""

from loadtests.measure.series import Series
from loadtests.measure.snapshot import Counts, Gauges
from loadtests.measure.window import Window


def series(ok: int = 0, response_ms: float = 10, failures: dict[str, int] | None = None, service_ms: float = 5) -> Series:
    """So many requests, all of the same times."""
    made = Series()
    for kind in [None] * ok + [kind for kind, count in (failures or {}).items() for _ in range(count)]:
        made.record(round(response_ms * 1000), round(service_ms * 1000), 100, kind)
    return made


def window(number: int, by_name: dict[str, Series] | None = None, workers: int = 1, users: int = 10) -> Window:
    """A second in which a turn was scheduled for each request; every worker has `users`."""
    made = Window(number, series={"list_tasks": series(10)} if by_name is None else by_name)
    count = made.total().requests
    made.counts = Counts(scheduled=count, started=count, finished=count, sent=count, connections=1)
    for value_us in range(count):
        made.lateness.record(100 + value_us)
    gauges = Gauges(users=users, in_flight=1, cpu=0.25, loop_lag_us=1500, sockets=users, rss_bytes=80_000_000)
    made.workers = dict.fromkeys(range(workers), gauges)
    return made
