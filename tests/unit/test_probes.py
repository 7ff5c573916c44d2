"""What probes make of what servers say: rates, ages, sums of series."""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from loadtests.probes.celery import Ages, published
from loadtests.probes.postgres_statistics import Statement, grown
from loadtests.probes.postgres_statistics import samples as postgres_samples
from loadtests.probes.process import Use
from loadtests.probes.prometheus import ScrapeError, Selected, Values, lines
from loadtests.probes.rates import Rounds
from loadtests.probes.redis import samples as redis_samples
from loadtests.probes.sample import Sample
from loadtests.scenario.system import Selection


def clock(*moments: float) -> Callable[[], float]:
    """A clock that shows these moments, one after the other."""
    return iter(moments).__next__


def by_name(samples: Any) -> dict[str, float]:
    """Values by metric."""
    return {sample.metric: sample.value for sample in samples if isinstance(sample, Sample)}


def test_a_rate_is_the_growth_over_the_time() -> None:
    """A first round has none; a counter that fell was started anew, from 0; a new one is unknown once."""
    rounds = Rounds(clock(0.0, 10.0, 12.0, 16.0))
    assert rounds.step({"a": 100.0}).per_second("a") is None
    second = rounds.step({"a": 110.0, "b": 5.0})
    assert (second.per_second("a"), second.per_second("b")) == (5.0, None)
    third = rounds.step({"a": 8.0, "b": 9.0})
    assert (third.per_second("a"), third.per_second("b")) == (2.0, 1.0)


def test_no_time_is_no_rate() -> None:
    """Two rounds at the same moment say nothing."""
    rounds = Rounds(clock(0.0, 1.0, 1.0))
    rounds.step({"a": 1.0})
    assert rounds.step({"a": 2.0}).per_second("a") is None


@pytest.mark.parametrize(("hits", "misses", "share"), [(3.0, 1.0, 0.75), (0.0, 4.0, 0.0), (0.0, 0.0, None)])
def test_a_share_needs_something_to_share(hits: float, misses: float, share: float | None) -> None:
    """Of nothing there is no share, neither 0 nor 1; and none without a round before."""
    rounds = Rounds(clock(0.0, 1.0, 2.0))
    assert rounds.step({"hits": 10.0, "misses": 10.0}).share("hits", "misses") is None
    assert rounds.step({"hits": 10.0 + hits, "misses": 10.0 + misses}).share("hits", "misses") == share


INFO = {
    "keyspace_hits": 100,
    "keyspace_misses": 20,
    "total_commands_processed": 1000,
    "evicted_keys": 0,
    "used_memory": 5_000_000,
    "connected_clients": 4,
    "blocked_clients": 1,
}


def test_redis_metrics() -> None:
    """Gauges at once, without the probe's own connection; rates and the hit ratio from the second round on."""
    rounds = Rounds(clock(0.0, 1.0, 3.0))
    gauges = {"redis_memory": 5e6, "redis_clients": 3.0, "redis_blocked_clients": 1.0}
    assert by_name(redis_samples(INFO, rounds)) == gauges
    later = {**INFO, "keyspace_hits": 106, "keyspace_misses": 22, "total_commands_processed": 1100, "evicted_keys": 4}
    rates = {"redis_hits": 3.0, "redis_misses": 1.0, "redis_commands": 50.0, "redis_evictions": 2.0, "redis_hit_ratio": 0.75}
    assert by_name(redis_samples(later, rounds)) == {**gauges, **rates}


def message(**properties: object) -> bytes:
    """A message as kombu lays it into a list."""
    return json.dumps({"body": "W10=", "headers": {}, "properties": properties}).encode()


@pytest.mark.parametrize(
    ("raw", "moment"),
    [
        (message(timestamp=1_700_000_000), 1_700_000_000.0),
        (message(timestamp=1_700_000_000.5), 1_700_000_000.5),
        (message(), None),
        (message(timestamp=None), None),
        (message(timestamp="yesterday"), None),
        (message(timestamp=True), None),
        (b"[1]", None),
        (b'{"properties": 7}', None),
        (b"\x80pickled", None),
    ],
)
def test_when_a_message_was_published(raw: bytes, moment: float | None) -> None:
    """AMQP's timestamp, if there is one; a list may hold anything."""
    assert published(raw) == moment


def test_age_by_the_publisher() -> None:
    """A timestamp tells the age at first sight; one from a clock that goes before ours is no negative age."""
    ages = Ages()
    assert ages.of("q", message(timestamp=100), 130.0) == 30.0
    assert ages.of("q", message(timestamp=140), 131.0) == 0.0


def test_age_by_watching() -> None:
    """Without a timestamp the age is a lower bound, counted anew for each message; lists do not disturb each other."""
    ages, one, other = Ages(), message(n=1), message(n=2)
    assert [ages.of("q", one, now) for now in (10.0, 11.0, 15.0)] == [0.0, 1.0, 5.0]
    assert ages.of("p", one, 16.0) == 0.0
    assert [ages.of("q", other, now) for now in (17.0, 18.0)] == [0.0, 1.0]
    assert [ages.of("q", None, 19.0), ages.of("q", other, 20.0)] == [0.0, 0.0]


def test_postgres_metrics() -> None:
    """Gauges at once; rates, temporary bytes and the cache's hits from the second round on."""
    rounds = Rounds(clock(0.0, 1.0, 3.0))
    gauges = (8, 3, 1, 2.5, 0, 17)
    first = by_name(postgres_samples((*gauges, 100, 5, 0, 0, 1000, 10), rounds))
    assert first == {
        "pg_connections": 8.0,
        "pg_connections_active": 3.0,
        "pg_idle_in_transaction": 1.0,
        "pg_longest_transaction": 2.5,
        "pg_lock_waits": 0.0,
        "pg_locks": 17.0,
    }
    second = by_name(postgres_samples((*gauges, 300, 7, 1, 4096, 1099, 11), rounds))
    assert second == {
        **first,
        "pg_commits": 100.0,
        "pg_rollbacks": 1.0,
        "pg_deadlocks": 0.5,
        "pg_temporary_bytes": 4096.0,
        "pg_cache_hit": 0.99,
    }


def test_slowest_statements_are_those_of_the_run() -> None:
    """What was counted before does not matter, nor what was not called; statistics that were reset begin at 0."""
    before = {1: Statement("a", 10, 900.0, 10), 2: Statement("b", 5, 50.0, 5), 3: Statement("c", 9, 900.0, 9)}
    after = {
        1: Statement("a", 12, 901.0, 12),
        2: Statement("b", 5, 50.0, 5),
        3: Statement("c", 2, 7.0, 2),
        4: Statement("d", 1, 3.0, 0),
    }
    assert grown(before, after) == [Statement("c", 2, 7.0, 2), Statement("d", 1, 3.0, 0), Statement("a", 2, 1.0, 2)]


def test_what_is_not_known_is_not_zero() -> None:
    """The most of several processes leaves out what could not be seen of one of them."""
    assert Use(None, 5.0, None).most(Use(0.25, 3.0, None)) == Use(0.25, 5.0, None)


TEXT = """\
# HELP http_requests_total HTTP requests.
# TYPE http_requests_total counter
http_requests_total{endpoint="/tasks",method="GET",status="200"} 30.0
http_requests_total{endpoint="/tasks",method="POST",status="201"} 9.0
http_requests_total{endpoint="/tasks/{id}",method="GET",status="200"} 4.0
# TYPE http_requests_total_bytes gauge
http_requests_total_bytes 77.0
# TYPE queue_depth gauge
queue_depth 12.0
# TYPE broken gauge
broken NaN
# TYPE seconds histogram
seconds_bucket{le="0.1",path="a"} 1.0
seconds_bucket{le="+Inf",path="a"} 2.0
seconds_bucket{le="0.1",path="b"} 10.0
seconds_bucket{le="+Inf",path="b"} 30.0
seconds_count{path="a"} 2.0
seconds_sum{path="a"} 9.0
"""


def chosen(metric: str, kind: str = "gauge", **labels: str) -> Selected:
    """A selection."""
    return Selected(Selection.model_validate({"metric": metric, "kind": kind, "labels": labels}))


@pytest.mark.parametrize(
    ("selected", "values"),
    [
        (chosen("http_requests_total"), {math.inf: 43.0}),
        (chosen("http_requests_total", method="GET"), {math.inf: 34.0}),
        (chosen("http_requests_total", method="GET", endpoint="/tasks"), {math.inf: 30.0}),
        (chosen("http_requests_total", method="G.*|POST", endpoint="/tasks"), {math.inf: 39.0}),
        (chosen("http_requests_total", absent=""), {math.inf: 43.0}),
        (chosen("http_requests_total", method="DELETE"), {}),
        (chosen("http_requests"), {}),
        (chosen("queue_depth"), {math.inf: 12.0}),
        (chosen("broken"), {}),
        (chosen("seconds", "histogram"), {0.1: 11.0, math.inf: 32.0}),
        (chosen("seconds", "histogram", path="a"), {0.1: 1.0, math.inf: 2.0}),
    ],
)
def test_selections(selected: Selected, values: Values) -> None:
    """The sum of the series with that very name whose labels match as a whole; nothing when there is none, or no number."""
    assert selected.values(TEXT) == values


def test_text_that_is_none() -> None:
    """A line that cannot be read is an error that names the metric, not a wrong value."""
    with pytest.raises(ScrapeError, match="queue_depth"):
        list(lines("queue_depth twelve\n", "queue_depth"))


def counter(value: float) -> str:
    """A scrape with one counter."""
    return f"# TYPE c_total counter\nc_total {value}\n"


def added(selected: Selected, texts: Mapping[str, str]) -> tuple[float, float | None]:
    """The counter, and its growth since the round before."""
    found = selected.add(texts)
    assert found is not None
    now, grown = found
    return now[math.inf], None if grown is None else grown[math.inf]


def test_counters_of_several_instances_are_added() -> None:
    """One that is started anew goes on from where it was: the sum falls never, and grows by what was really done."""
    selected = chosen("c_total", "counter")
    assert added(selected, {"one": counter(10), "two": counter(100)}) == (110.0, None)
    assert added(selected, {"one": counter(15), "two": counter(101)}) == (116.0, 6.0)
    assert added(selected, {"one": counter(3), "two": counter(103)}) == (121.0, 5.0)


def test_an_absent_series_is_unknown() -> None:
    """Not 0: a name that was misspelt must not look like nothing to do. When it comes, it grew from 0."""
    selected = chosen("c_total", "counter")
    assert selected.add({"one": "d_total 7\n"}) is None
    assert added(selected, {"one": counter(10)}) == (10.0, 10.0)
    assert selected.add({"one": "d_total 7\n"}) is None
    assert added(selected, {"one": counter(12)}) == (12.0, 2.0)


def test_buckets_grow_by_round() -> None:
    """Of each bucket what came since the round before."""
    selected = chosen("seconds", "histogram", path="a")
    assert selected.add({"": TEXT}) == ({0.1: 1.0, math.inf: 2.0}, None)
    later = TEXT.replace('le="+Inf",path="a"} 2.0', 'le="+Inf",path="a"} 7.0')
    assert selected.add({"": later}) == ({0.1: 1.0, math.inf: 7.0}, {0.1: 0.0, math.inf: 5.0})
