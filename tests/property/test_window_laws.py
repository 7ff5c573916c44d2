"""Laws of windows: whatever the order in which reports arrive, the same seconds come out, and nothing is lost."""

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from loadtests.engine.http.failures import Failure
from loadtests.engine.recorder import Recorder
from loadtests.measure.series import Series
from loadtests.measure.snapshot import Accepted, Counts, Gauges, Snapshot
from loadtests.measure.window import Window, WindowMerger


@dataclass(frozen=True)
class Reports:
    """What each worker reports, in its own order, and two orders in which the master may get it."""

    by_worker: list[list[Snapshot]]
    orders: tuple[list[int], list[int]]
    """Workers, one entry a report."""

    def arrive(self, order: list[int]) -> list[Snapshot]:
        """The reports in this order."""
        queues = [iter(reports) for reports in self.by_worker]
        return [next(queues[worker]) for worker in order]


def snapshot(worker: int, number: int, window: int, values: list[int]) -> Snapshot:
    """A report with a request of each value."""
    counts = Counts(scheduled=len(values), started=len(values), finished=len(values), sent=len(values))
    made = Snapshot(worker, number, window, counts, Gauges(users=worker + 1, in_flight=number))
    for value in values:
        made.series.setdefault("ab"[value % 2], Series()).record(value, value // 2, 1, "timeout" if value % 5 == 0 else None)
        made.lateness.record(value)
    return made


@st.composite
def reports(draw: st.DrawFn) -> Reports:
    """One to four workers with rising seconds, some of them left out, in two random interleavings."""
    by_worker: list[list[Snapshot]] = []
    for worker in range(draw(st.integers(1, 4))):
        seconds = sorted(draw(st.sets(st.integers(0, 7), min_size=1, max_size=6)))
        contents = [draw(st.lists(st.integers(0, 10_000), max_size=4)) for _ in seconds]
        pairs = enumerate(zip(seconds, contents, strict=True))
        by_worker.append([snapshot(worker, number, second, values) for number, (second, values) in pairs])
    tickets = [worker for worker, own in enumerate(by_worker) for _ in own]
    return Reports(by_worker, (draw(st.permutations(tickets)), draw(st.permutations(tickets))))


def merge(given_reports: Reports, order: list[int]) -> list[Window]:
    """Every window that comes out, in order of its coming."""
    merger = WindowMerger(len(given_reports.by_worker))
    windows: list[Window] = []
    for one in given_reports.arrive(order):
        windows += merger.add(one)
    return windows + merger.close()


@settings(max_examples=60)
@given(reports())
def test_order_of_arrival_does_not_matter(all_reports: Reports) -> None:
    """Two interleavings of the same reports give the same windows, in the order of their seconds."""
    one, other = (merge(all_reports, order) for order in all_reports.orders)
    assert [window.to_json() for window in one] == [window.to_json() for window in other]
    numbers = [window.number for window in one]
    assert numbers == sorted(set(numbers))


@settings(max_examples=60)
@given(reports())
def test_nothing_is_lost_on_the_way(all_reports: Reports) -> None:
    """Counts, lateness and series of all windows add up to those of all reports."""
    windows = merge(all_reports, all_reports.orders[0])
    snapshots = [one for own in all_reports.by_worker for one in own]
    assert sum(window.counts.sent for window in windows) == sum(one.counts.sent for one in snapshots)
    assert sum(window.lateness.sum_us for window in windows) == sum(one.lateness.sum_us for one in snapshots)
    for name in ("a", "b"):
        expected, found = Series(), Series()
        for one in snapshots:
            expected.merge(one.series.get(name, Series()))
        for window in windows:
            found.merge(window.series.get(name, Series()))
        assert found.to_json() == expected.to_json()


@settings(max_examples=60)
@given(reports())
def test_window_is_sealed_when_all_have_reported_it_and_not_before(all_reports: Reports) -> None:
    """After each report, exactly the seconds that every worker has reached are out."""
    merger, reached = WindowMerger(len(all_reports.by_worker)), dict.fromkeys(range(len(all_reports.by_worker)), -1)
    sealed: set[int] = set()
    arrived: set[int] = set()
    for one in all_reports.arrive(all_reports.orders[0]):
        sealed |= {window.number for window in merger.add(one)}
        arrived.add(one.window)
        reached[one.worker] = one.window
        assert sealed == {second for second in arrived if second <= min(reached.values())}


@settings(max_examples=60)
@given(reports(), st.data())
def test_lost_worker_costs_no_window(all_reports: Reports, data: st.DataObject) -> None:
    """When workers are forgotten at any moment, what had arrived still comes out once, in order."""
    workers = len(all_reports.by_worker)
    order = all_reports.orders[0]
    lost, moment = data.draw(st.integers(0, workers - 1)), data.draw(st.integers(0, len(order)))
    merger = WindowMerger(workers)
    windows: list[Window] = []
    accepted = 0
    for step, one in enumerate(all_reports.arrive(order)):
        if step == moment:
            windows += merger.forget(lost)
        if step < moment or one.worker != lost:
            windows += merger.add(one)
            accepted += one.counts.sent
    windows += merger.close()
    numbers = [window.number for window in windows]
    assert numbers == sorted(set(numbers))
    assert sum(window.counts.sent for window in windows) == accepted


@settings(max_examples=40)
@given(reports())
def test_windows_survive_their_file(all_reports: Reports) -> None:
    """A window read back is the window that was written."""
    for window in merge(all_reports, all_reports.orders[0]):
        assert Window.from_json(window.to_json()).to_json() == window.to_json()


ACTIONS = st.lists(st.sampled_from(["ok", "failed", "auth", "late", "accept", "sent", "take"]), max_size=40)


@settings(max_examples=60)
@given(ACTIONS)
def test_recorder_totals_equal_its_snapshots(actions: list[str]) -> None:
    """Whatever happens between snapshots, the totals of the end are the sum of what was told."""
    recorder, told = Recorder(0), []
    for step, action in enumerate([*actions, "take"]):
        match action:
            case "ok" | "failed" | "auth":
                recorder.counts.scheduled += action != "auth"
                recorder.sent(planned=action != "auth")
                recorder.done("GET", action, step, step, 1, Failure("reset") if action == "failed" else None)
            case "late":
                recorder.late(step)
            case "accept":
                recorder.accepted(Accepted(str(step), 0, step, step))
            case "sent":
                recorder.sent(True)
            case _:
                told.append(Snapshot.from_json(recorder.take(step, Gauges())))
    summed = Counts()
    for one in told:
        summed.add(one.counts)
    assert summed == recorder.total_counts
    assert [one.number for one in told] == list(range(recorder.snapshots))
    assert sum(series.ok for one in told for series in one.series.values()) == recorder.total_ok
    assert sum(series.failed for one in told for series in one.series.values()) == recorder.total_failures.total()
    assert sum(len(one.accepted) for one in told) == recorder.total_accepted == actions.count("accept")
    assert sum(one.lateness.count for one in told) == actions.count("late")
    assert recorder.in_flight == actions.count("sent") == summed.sent - recorder.total_ok - recorder.total_failures.total()
