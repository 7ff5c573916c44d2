"""Windows and their sealing: no report may come too late to be in its second."""

import pytest

from loadtests.measure.series import Series
from loadtests.measure.snapshot import Counts, Gauges, Snapshot
from loadtests.measure.window import Window, WindowMerger


def snapshot(worker: int, window: int, requests: int = 1, users: int = 3, name: str = "a") -> Snapshot:
    """A worker's second with some requests of one name, each of 1,000 us."""
    made = Snapshot(worker, window, window, counts=Counts(scheduled=requests, sent=requests), gauges=Gauges(users=users))
    if requests:
        made.series[name] = Series()
    for _ in range(requests):
        made.series[name].record(1000, 1000)
        made.lateness.record(50)
    return made


def numbers(windows: list[Window]) -> list[int]:
    """The seconds of some windows."""
    return [window.number for window in windows]


def test_window_is_sealed_when_every_worker_has_reported_it() -> None:
    """The slowest worker decides; what it seals comes in order."""
    merger = WindowMerger(2)
    assert merger.add(snapshot(0, 0)) == []
    assert merger.add(snapshot(0, 1)) == []
    assert numbers(merger.add(snapshot(1, 0))) == [0]
    assert merger.add(snapshot(0, 2)) == []
    assert numbers(merger.add(snapshot(1, 2))) == [1, 2]


def test_sealed_window_holds_all_workers() -> None:
    """Counts, series, lateness and users are those of all workers together."""
    merger = WindowMerger(2)
    merger.add(snapshot(0, 0, requests=2))
    (window,) = merger.add(snapshot(1, 0, requests=5, users=4))
    assert window.counts == Counts(scheduled=7, sent=7)
    assert window.series["a"].ok == 7
    assert window.lateness.count == 7
    assert window.users == 7
    assert sorted(window.workers) == [0, 1]


def test_second_that_no_worker_reported_is_no_window() -> None:
    """Workers that slept through a second put it into the next; nothing is invented for the gap."""
    merger = WindowMerger(1)
    assert numbers(merger.add(snapshot(0, 0))) == [0]
    assert numbers(merger.add(snapshot(0, 4))) == [4]


def test_one_worker_seals_at_once() -> None:
    """Alone, every report is a window."""
    merger = WindowMerger(1)
    assert [numbers(merger.add(snapshot(0, second))) for second in range(3)] == [[0], [1], [2]]


def test_forgotten_worker_holds_nothing_back() -> None:
    """Once a worker is lost, what the others have passed is sealed with what the lost one had reported."""
    merger = WindowMerger(3)
    for second in range(4):
        merger.add(snapshot(0, second))
    for second in range(3):
        merger.add(snapshot(1, second))
    merger.add(snapshot(2, 0, requests=10))
    sealed = merger.forget(2)
    assert numbers(sealed) == [1, 2]
    assert merger.forget(2) == []
    assert numbers(merger.add(snapshot(1, 3))) == [3]


def test_forgetting_the_last_worker_closes() -> None:
    """When nobody is left to wait for, everything is sealed."""
    merger = WindowMerger(2)
    merger.add(snapshot(0, 0))
    merger.add(snapshot(0, 1))
    assert numbers(merger.forget(1)) == [0, 1]
    merger = WindowMerger(2)
    merger.add(snapshot(0, 0))
    assert merger.forget(0) == []
    assert numbers(merger.forget(1)) == [0]


def test_close_seals_what_is_open() -> None:
    """At the end nothing stays behind, and closing again gives nothing."""
    merger = WindowMerger(2)
    for second in (0, 1, 5):
        merger.add(snapshot(0, second))
    assert numbers(merger.close()) == [0, 1, 5]
    assert merger.close() == []


def test_late_snapshot_is_refused() -> None:
    """A worker whose seconds run backwards into a sealed window is an error and is not added silently."""
    merger = WindowMerger(1)
    merger.add(snapshot(0, 3))
    with pytest.raises(ValueError, match="window 2 is sealed already; worker 0"):
        merger.add(snapshot(0, 2))
    with pytest.raises(ValueError, match="sealed already"):
        merger.add(snapshot(0, 3))


def test_late_snapshot_of_a_lost_worker_is_refused() -> None:
    """A lost worker that comes back cannot change what was sealed without it, but may add to what is open."""
    merger = WindowMerger(2)
    merger.add(snapshot(0, 0))
    merger.forget(1)
    with pytest.raises(ValueError, match="worker 1"):
        merger.add(snapshot(1, 0))
    assert merger.add(snapshot(1, 1)) == []
    (window,) = merger.add(snapshot(0, 1))
    assert window.counts.sent == 2


def test_window_round_trip() -> None:
    """A line of the file is read back exactly."""
    window = Window(9)
    window.add(snapshot(1, 9, requests=3, users=5))
    window.add(snapshot(0, 9, requests=2, name="b"))
    again = Window.from_json(window.to_json())
    assert again.to_json() == window.to_json()
    assert again.users == 8
    assert list(again.workers) == [0, 1]


def test_total_leaves_one_series_out() -> None:
    """The total of a window is all series in one, but for those that are named."""
    window = Window(0)
    window.add(snapshot(0, 0, requests=3, name="a"))
    window.add(snapshot(1, 0, requests=2, name="auth_refresh"))
    assert window.total().requests == 5
    assert window.total(without=("auth_login", "auth_refresh")).requests == 3
    assert window.series["a"].requests == 3
