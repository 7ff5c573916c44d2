"""The columns of `report.html`, against the raw samples and against the windows themselves."""

import math
from collections.abc import Iterable
from pathlib import Path

import pytest

from loadtests.measure.histogram import Histogram
from loadtests.measure.series import Series
from loadtests.measure.window import Window
from loadtests.report import series
from loadtests.report.series import EDGES_US, bin_edges, binned, columns, points_of, spectrum, thinned
from loadtests.store.records import append_lines
from loadtests.store.windows import WindowWriter, read_windows
from tests.unit.rich_run import probe_line, rich_run, rich_text
from tests.unit.runs import TEXT, Sample, SyntheticRun, add_counts, complete, planned_samples
from tests.unit.texts import changed


def histogram_of(values_us: Iterable[int]) -> Histogram:
    """One histogram of these values."""
    made = Histogram()
    for value in values_us:
        made.record(value)
    return made


def windows_of(run: SyntheticRun) -> list[Window]:
    """The run's windows as they stand in its file."""
    return list(read_windows(run.folder.file("windows.jsonl")))


def rewrite(run: SyntheticRun, windows: Iterable[Window]) -> None:
    """The run's file with these windows alone."""
    run.folder.file("windows.jsonl").unlink()
    writer = WindowWriter(run.folder.file("windows.jsonl"))
    writer.append(*windows)
    writer.close()


def between(samples: Iterable[Sample], first: int, last: int) -> list[Sample]:
    """Samples that ended in these seconds."""
    return [sample for sample in samples if first <= sample.second < last]


def test_columns_are_what_the_samples_say(tmp_path: Path) -> None:
    """Every second's rates, percentiles and failures are those of the samples that ended in it."""
    run = SyntheticRun.create(tmp_path)
    complete(run, planned_samples(run.plan, fail_every=5))
    data = columns(run.evidence(), run.verdict())
    found = data["columns"]
    assert data["step_s"] == 1
    assert data["t"] == list(range(len(windows_of(run))))
    for second in data["t"]:
        samples = between(run.samples, second, second + 1)
        failed = [sample for sample in samples if sample.failure]
        assert found["achieved"][second] == len(samples) - len(failed)
        # From 0/s to 12/s in two seconds, and nothing once it is over.
        assert found["offered"][second] == {0: 3.0, 1: 9.0, 10: 0.0}.get(second, 12.0)
        assert data["failures"]["timeout"][second] == len(failed)
        for name, q in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
            expected = histogram_of(sample.response_us for sample in samples).quantile(q) / 1e3
            assert found[f"response_{name}"][second] == expected
        assert found["service_p99"][second] == histogram_of(sample.service_us for sample in samples).quantile(0.99) / 1e3
        assert sum(data["heat"]["counts"][second]) == len(samples)
        assert (found["users"][second], found["lateness_p99"][second]) == (6, 0.1)


def test_offered_is_the_plan_and_not_what_users_dropped(tmp_path: Path) -> None:
    """Users that wait for the target until the load is over drop what they missed in one second, which offers nothing."""
    run = SyntheticRun.create(tmp_path)
    add_counts(run, 0, scheduled=500, dropped=500, waiting=500)
    data = columns(complete(run).evidence(), run.verdict())
    assert data["planned"] and max(data["columns"]["offered"]) == 12.0
    thinking = changed("rate_per_user = 2.0", 'model = "closed"\nthink_time = ["1s", "2s"]', TEXT)
    (tmp_path / "closed").mkdir()
    closed = SyntheticRun.create(tmp_path / "closed", changed("rate >= 90% of 12/s", "rate >= 1/s", thinking))
    closed.start()
    closed.play(run.samples)
    found = columns(closed.evidence(), closed.verdict())
    assert not found["planned"]
    assert found["columns"]["offered"][5] == len(between(run.samples, 5, 6))


@pytest.mark.parametrize("step_s", [2, 3, 7, 100])
def test_merged_points_are_exact(tmp_path: Path, step_s: int) -> None:
    """A point of several seconds has the percentiles of all their requests in one histogram, and rates per second."""
    run = SyntheticRun.create(tmp_path)
    complete(run, planned_samples(run.plan, fail_every=5))
    windows = windows_of(run)
    points = list(points_of(windows, step_s))
    assert [index for index, _ in points] == list(range(math.ceil(len(windows) / step_s)))
    for index, point in points:
        samples = between(run.samples, index * step_s, (index + 1) * step_s)
        row = point.row()
        expected = histogram_of(sample.response_us for sample in samples).quantiles(0.5, 0.95, 0.99)
        assert [row[f"response_{name}"] for name in ("p50", "p95", "p99")] == [value / 1e3 for value in expected]
        ok = sum(sample.failure is None for sample in samples)
        assert row["achieved"] == pytest.approx(ok / point.windows, abs=0.001)
        assert point.total.requests == len(samples)


def test_long_run_has_few_points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more points than MOST_POINTS, the last of which may be shorter, and nothing is lost in them."""
    monkeypatch.setattr(series, "MOST_POINTS", 8)
    run = SyntheticRun.create(tmp_path, changed('duration = "10s"', 'duration = "31s"', TEXT))
    complete(run)
    data = columns(run.evidence(), run.verdict())
    assert data["step_s"] == 4
    assert data["t"] == [0, 4, 8, 12, 16, 20, 24, 28]
    assert sum(sum(counts) for counts in data["heat"]["counts"]) == len(run.samples)
    last = between(run.samples, 28, 32)
    seconds = len([window for window in windows_of(run) if window.number >= 28])
    assert data["columns"]["achieved"][-1] == pytest.approx(len(last) / seconds, abs=0.001)


def test_second_without_window_is_a_gap(tmp_path: Path) -> None:
    """What was not recorded is null in every column, and its neighbours keep their places."""
    run = complete(SyntheticRun.create(tmp_path))
    before = columns(run.evidence(), run.verdict())
    rewrite(run, [window for window in windows_of(run) if window.number != 4])
    after = columns(run.evidence(), run.verdict())
    assert after["t"] == before["t"]
    for name, column in after["columns"].items():
        assert column[4] is None, name
        assert column[:4] + column[5:] == before["columns"][name][:4] + before["columns"][name][5:]
    assert after["heat"]["counts"][4] is None


def test_second_without_requests_has_a_rate_and_no_latency(tmp_path: Path) -> None:
    """Zero requests are a rate of zero; their latency is not zero but unknown."""
    run = SyntheticRun.create(tmp_path)
    complete(run, [sample for sample in planned_samples(run.plan) if sample.second not in (5, 6)])
    found = columns(run.evidence(), run.verdict())["columns"]
    assert (found["achieved"][5], found["response_p99"][5], found["lateness_p99"][5]) == (0, None, None)


def test_run_without_windows_has_nothing_to_draw(tmp_path: Path) -> None:
    """A load that never began gives empty columns and no error."""
    run = SyntheticRun.create(tmp_path)
    data = columns(run.evidence(), run.verdict())
    assert data["columns"] == data["failures"] == {}
    assert data["spectrum"] == {"x": [], "response": [], "service": []}
    assert data["heat"]["edges_ms"] == data["probes"] == data["events"] == []
    assert data["until_s"] == 10


def test_authentication_is_not_in_the_mix(tmp_path: Path) -> None:
    """A slow login is in no column of the mix."""
    run = SyntheticRun.create(tmp_path)
    complete(run, [*planned_samples(run.plan), Sample(0, 4.0, "auth_refresh", 900_000, 900_000, planned=False)])
    data = columns(run.evidence(), run.verdict())
    assert max(data["spectrum"]["response"]) < 900
    assert max(value for value in data["columns"]["response_p99"] if value is not None) < 900


def test_spectrum_is_the_histograms_own(tmp_path: Path) -> None:
    """At x = 1 / (1 - q) stands the q-quantile; 90 % and 99 % are among them, and the slowest request ends the curve."""
    run = complete(SyntheticRun.create(tmp_path, changed("users = 6", "users = 60", TEXT)))
    total = run.evidence().total
    data = spectrum(total)
    for x, response, service in zip(data["x"][:-1], data["response"], data["service"], strict=False):
        q = 1 - 1 / x
        assert response == pytest.approx(total.response_time.quantile(q) / 1e3, rel=0.002)
        assert service == pytest.approx(total.service_time.quantile(q) / 1e3, rel=0.002)
    assert data["response"][data["x"].index(10)] == total.response_time.quantile(0.9) / 1e3
    assert data["response"][data["x"].index(100)] == total.response_time.quantile(0.99) / 1e3
    assert (data["x"][-1], data["response"][-1]) == (total.requests, total.response_time.max_us / 1e3)
    assert data["response"] == sorted(data["response"])


def test_spectrum_of_one_request() -> None:
    """A single request is a curve of one point."""
    one = Series()
    one.record(5_000, 4_000)
    assert spectrum(one) == {"x": [1], "response": [5.0], "service": [4.0]}


@pytest.mark.parametrize(
    "values",
    [[5], [0], [1, 1], [1_000], [1_000, 1_000_000], [3, 999, 1_000, 1_001, 52_000], [2_000_000_000, 7_200_000_000]],
)
def test_bins_hold_every_value(values: list[int]) -> None:
    """Edges enclose all values, even those above an hour; each value is counted once, where `at_most` has it."""
    histogram = histogram_of(values)
    edges = bin_edges(histogram)
    counts = binned(histogram, edges)
    assert len(edges) == len(counts) + 1 >= 2
    assert sum(counts) == len(values)
    assert edges[0] < max(values) or max(values) <= EDGES_US[1]
    for at, edge in enumerate(edges[1:-1], start=1):
        assert sum(counts[:at]) == histogram.at_most([edge])[0]


def test_many_kinds_of_failure_share_a_column(tmp_path: Path) -> None:
    """The most frequent kinds have columns of their own; what the others add up to is not lost."""
    run = SyntheticRun.create(tmp_path)
    kinds = [f"kind{number}" for number in range(12) for _ in range(20 - number)]
    samples = [Sample(0, at / 100, "list_tasks", 1_000, 900, kind) for at, kind in enumerate(kinds)]
    complete(run, samples)
    failures = columns(run.evidence(), run.verdict())["failures"]
    assert len(failures) == series.MOST_KINDS + 1
    assert next(iter(failures)) == "kind0"
    assert list(failures)[-1] == f"{len(set(kinds)) - series.MOST_KINDS} other kinds"
    assert sum(value or 0 for column in failures.values() for value in column) == len(samples)


def test_probes_have_their_own_times_and_gaps(tmp_path: Path) -> None:
    """A missing round is a null between its neighbours; the objective's limit stands beside the metric it speaks of."""
    run = rich_run(tmp_path)
    cpu, connections, *_ = columns(run.evidence(), run.verdict())["probes"]
    assert (connections["name"], connections["unit"]) == ("db_connections", "count")
    assert connections["t"] == [0.1, 1.1, 2.1, 3.1, 4.1, 5.1, 6.1, 7.1, 8.1, 9.1]
    assert connections["v"] == [10, 11, 12, 13, 14, None, 16, 17, 18, 19]
    (limit,) = connections["limits"]
    assert (limit["value"], limit["status"], limit["observed"], limit["asked"]) == (100, "pass", "max 19", "< 100")
    assert (cpu["name"], cpu["unit"], cpu["limits"][0]["text"]) == ("cpu(api)", "ratio", "mean < 70 %")


@pytest.mark.parametrize(("statistic", "value"), [("max", 9.0), ("min", 1.0), ("mean", 4.0)])
def test_thinned_samples_are_reduced_as_the_objective_has_it(statistic: str, value: float) -> None:
    """Of ten seconds in one point the largest is kept, unless the objective speaks of the smallest or the mean."""
    samples = [(0.0, 1.0), (3.0, 2.0), (9.9, 9.0), (10.0, 5.0), (30.0, 7.0)]
    assert thinned(samples, 10, statistic) == {"t": [5.0, 15.0, 25.0, 35.0], "v": [value, 5.0, None, 7.0]}


def test_samples_outside_the_run_are_not_drawn(tmp_path: Path) -> None:
    """What a probe saw before the start, or long after the end, has no place on the axis of time."""
    run = complete(SyntheticRun.create(tmp_path, rich_text("")))
    lines = [probe_line(second, ("db_connections", None, 1.0)) for second in (-2.0, 3.0, 500.0)]
    append_lines(run.folder.file("probes.jsonl"), lines)
    (probe,) = columns(run.evidence(), run.verdict())["probes"]
    assert (probe["t"], probe["v"]) == ([3.0], [1.0])
