"""The recorder: snapshots since the last one, totals apart from them."""

import json

from loadtests.engine import messages
from loadtests.engine.http.failures import Failure
from loadtests.engine.recorder import Recorder
from loadtests.measure.snapshot import Accepted, Counts, Gauges, Snapshot


def request(recorder: Recorder, name: str = "a", failure: str | None = None, planned: bool = True) -> None:
    """One request, from send to answer."""
    recorder.sent(planned=planned)
    recorder.done("GET", name, 2000, 1500, 10, Failure(failure) if failure else None)


def take(recorder: Recorder, window: int) -> Snapshot:
    """A snapshot as the master gets it."""
    return Snapshot.from_json(json.loads(json.dumps(recorder.take(window, Gauges(users=1)))))


def test_snapshots_are_numbered_without_gaps() -> None:
    """Numbers count up from 0, whatever the windows."""
    recorder = Recorder(4)
    taken = [take(recorder, window) for window in (0, 1, 5)]
    assert [(one.worker, one.number, one.window) for one in taken] == [(4, 0, 0), (4, 1, 1), (4, 2, 5)]
    assert recorder.snapshots == 3


def test_each_snapshot_holds_only_what_is_new() -> None:
    """After a snapshot the recorder starts anew: nothing is told twice, nothing is forgotten."""
    recorder = Recorder(0)
    request(recorder)
    recorder.late(40)
    recorder.accepted(Accepted("t-1", 0, 0.5, 0.6))
    first = take(recorder, 0)
    request(recorder, failure="timeout")
    second, third = take(recorder, 1), take(recorder, 2)
    assert first.series["a"].to_json() != second.series["a"].to_json()
    assert (first.series["a"].ok, first.series["a"].failed) == (1, 0)
    assert (second.series["a"].ok, second.series["a"].failed) == (0, 1)
    assert (first.lateness.count, second.lateness.count) == (1, 0)
    assert (len(first.accepted), len(second.accepted)) == (1, 0)
    assert third.series == {}
    assert third.counts == Counts()


def test_a_message_does_not_change_after_it_was_taken() -> None:
    """A snapshot may be repeated long after: what is recorded meanwhile does not get into it."""
    recorder = Recorder(0)
    request(recorder)
    message = recorder.take(0, Gauges())
    kept = json.dumps(message)
    for _ in range(5):
        request(recorder, failure="status 500")
        recorder.late(9)
        recorder.accepted(Accepted("t", 0, 1.0, 1.0))
        recorder.counts.scheduled += 1
    recorder.take(1, Gauges())
    assert json.dumps(message) == kept


def test_totals_are_those_of_all_snapshots_taken() -> None:
    """The totals of the final report equal the sum of the snapshots."""
    recorder = Recorder(0)
    taken = []
    for window in range(5):
        for _ in range(window):
            recorder.counts.scheduled += 1
            recorder.counts.started += 1
            request(recorder, failure="timeout" if window == 3 else None)
            recorder.counts.finished += 1
        request(recorder, "auth_refresh", planned=False)
        recorder.accepted(Accepted(f"t-{window}", 0, 0.0, 0.0))
        taken.append(take(recorder, window))
    summed = Counts()
    for one in taken:
        summed.add(one.counts)
    assert recorder.total_counts == summed == Counts(scheduled=10, started=10, finished=10, sent=15, unplanned=5)
    assert recorder.total_ok == sum(series.ok for one in taken for series in one.series.values()) == 12
    assert recorder.total_failures.total() == sum(series.failed for one in taken for series in one.series.values()) == 3
    assert recorder.total_accepted == sum(len(one.accepted) for one in taken) == 5


def test_in_flight_is_sent_and_not_done() -> None:
    """Requests between send and answer are in flight, over snapshots."""
    recorder = Recorder(0)
    recorder.sent(True)
    recorder.sent(planned=False)
    take(recorder, 0)
    assert recorder.in_flight == 2
    recorder.done("GET", "a", 1, 1, 0, None)
    assert recorder.in_flight == 1


def test_messages_have_names_of_their_own() -> None:
    """No two messages share a name, and none can be mistaken for one of Locust's."""
    names = [value for key, value in vars(messages).items() if key.isupper()]
    assert len(names) == len(set(names)) >= 8
    assert all(name.startswith("loadtest_") for name in names)
