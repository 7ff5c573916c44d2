"""Series and snapshots: counters and histograms that travel and merge."""

import json

import pytest

from loadtests.measure.series import MAX_KINDS, Series, merge_all
from loadtests.measure.snapshot import Accepted, Counts, Gauges, Snapshot


def mixed() -> Series:
    """Three answers and two failures of different kinds."""
    series = Series()
    series.record(1000, 900, 10)
    series.record(2000, 1900, 20)
    series.record(3000, 2900, 30)
    series.record(500_000, 400_000, 0, "timeout")
    series.record(4000, 3900, 40, "status 500")
    return series


def test_series_counts_each_request_once() -> None:
    """Ok + failed = requests; bytes add up; failed requests are in both histograms, for a person waited for them too."""
    series = mixed()
    assert (series.requests, series.ok, series.failed, series.bytes_received) == (5, 3, 2, 100)
    assert series.failures == {"timeout": 1, "status 500": 1}
    assert (series.response_time.count, series.response_time.max_us) == (5, 500_000)
    assert (series.service_time.count, series.service_time.max_us) == (5, 400_000)


def test_response_and_service_time_are_apart() -> None:
    """The two histograms never hold each other's values."""
    series = Series()
    series.record(7000, 3000)
    assert series.response_time.sum_us == 7000
    assert series.service_time.sum_us == 3000


def test_kinds_of_failure_are_capped() -> None:
    """A target that invents a new error for every request cannot fill the memory: later kinds are `other`, none is lost."""
    series = Series()
    for number in range(MAX_KINDS + 10):
        series.record(1, 1, 0, f"kind {number}")
    series.record(1, 1, 0, "kind 0")
    assert series.failures["other"] == 10
    assert series.failures["kind 0"] == 2
    assert f"kind {MAX_KINDS}" not in series.failures
    assert series.failed == MAX_KINDS + 11


def test_series_round_trip() -> None:
    """What is written is read back exactly, through real JSON."""
    data = json.loads(json.dumps(mixed().to_json()))
    again = Series.from_json(data)
    assert again.to_json() == mixed().to_json()
    assert again.response_time.quantile(0.5) == mixed().response_time.quantile(0.5)


def test_series_merge_adds_everything() -> None:
    """Counters, bytes, kinds and both histograms add up; the merged one is left as it was."""
    one, other = mixed(), mixed()
    one.merge(other)
    assert (one.ok, one.failed, one.bytes_received) == (6, 4, 200)
    assert one.failures == {"timeout": 2, "status 500": 2}
    assert one.response_time.sum_us == 2 * other.response_time.sum_us == 2 * 510_000
    assert other.to_json() == mixed().to_json()


def test_series_clear() -> None:
    """A cleared series holds nothing and takes new requests."""
    series = mixed()
    series.clear()
    assert series.to_json() == Series().to_json()
    series.record(5, 5)
    assert (series.requests, series.response_time.max_us) == (1, 5)


def test_merge_all_keeps_the_targets_own_objects() -> None:
    """Merging by name never shares a series between two windows."""
    parts, whole = {"a": mixed()}, {"b": mixed()}
    merge_all(parts, whole)
    merge_all(parts, whole)
    assert sorted(whole) == ["a", "b"]
    assert whole["a"].requests == 10
    assert parts["a"].requests == 5
    assert whole["a"] is not parts["a"]


def test_counts_add_field_by_field() -> None:
    """Every counter adds up."""
    names = list(Counts().to_json())
    counts = Counts(**{name: number for number, name in enumerate(names, 1)})
    counts.add(Counts(**{name: number * 10 for number, name in enumerate(names, 1)}))
    assert counts.to_json() == {name: number * 11 for number, name in enumerate(names, 1)}


def filled_snapshot() -> Snapshot:
    """A snapshot with something in every field."""
    snapshot = Snapshot(
        worker=2,
        number=7,
        window=5,
        counts=Counts(scheduled=6, started=5, finished=4, dropped=1, sent=5, unplanned=1, connections=2, journey_errors=1),
        gauges=Gauges(users=9, in_flight=1, cpu=0.25, loop_lag_us=300, sockets=8, rss_bytes=10**8),
        series={"a": mixed(), "idle": Series()},
        accepted=[Accepted("id-1", 3, 4.25, 4.5)],
    )
    snapshot.lateness.record(120)
    return snapshot


def test_snapshot_round_trip() -> None:
    """A worker's message is read back exactly, through real JSON."""
    message = json.loads(json.dumps(filled_snapshot().to_json()))
    again = Snapshot.from_json(message)
    assert again.to_json() == filled_snapshot().to_json()
    assert again.accepted == [Accepted("id-1", 3, 4.25, 4.5)]
    assert again.gauges == Gauges(users=9, in_flight=1, cpu=0.25, loop_lag_us=300, sockets=8, rss_bytes=10**8)
    assert again.lateness.max_us == 120


def test_snapshot_leaves_idle_series_out() -> None:
    """A series without requests takes no room in the message."""
    assert list(filled_snapshot().to_json()["series"]) == ["a"]


@pytest.mark.parametrize("field", ["worker", "number", "window", "counts", "series", "lateness", "accepted", "gauges"])
def test_snapshot_without_a_field_is_refused(field: str) -> None:
    """A message that lacks something raises and is not read as zero."""
    message = filled_snapshot().to_json()
    del message[field]
    with pytest.raises(KeyError, match=field):
        Snapshot.from_json(message)
