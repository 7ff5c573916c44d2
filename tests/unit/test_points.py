"""Points say what the files say, under tags and times that the files alone decide."""

from pathlib import Path

import pytest

from loadtests.measure.traffic import BOUNDS_MS
from loadtests.sinks.points import PointMaker
from loadtests.store.records import read_json, read_lines
from loadtests.store.windows import read_windows
from tests.metrics_contract import contract
from tests.unit.lines import Point, parse
from tests.unit.runs import EPOCH, SyntheticRun, complete, planned_samples

MAKER = PointMaker("run-1", "synthetic", EPOCH)


@pytest.fixture
def run(tmp_path: Path) -> SyntheticRun:
    """A complete run of two workers, a tenth of whose requests failed."""
    made = SyntheticRun.create(tmp_path)
    return complete(made, planned_samples(made.plan, fail_every=10))


def points_of(run: SyntheticRun) -> list[Point]:
    """All points of its windows."""
    windows = read_windows(run.folder.file("windows.jsonl"))
    return [parse(point.to_line_protocol()) for window in windows for point in MAKER.window(window)]


def test_requests_of_workers_add_up_to_the_run(run: SyntheticRun) -> None:
    """Requests, failures by kind and bytes, over all workers and seconds."""
    requests = [point for point in points_of(run) if point.measurement == "loadtest_requests"]
    failed = [sample for sample in run.samples if sample.failure]
    assert {point.tags["worker"] for point in requests} == {"0", "1"}
    assert sum(point.fields["ok"] for point in requests) == len(run.samples) - len(failed)
    assert sum(point.fields["failed"] for point in requests) == len(failed)
    assert sum(point.fields["le_inf"] for point in requests) == len(run.samples)
    assert sum(point.fields["response_sum_us"] for point in requests) == sum(one.response_us for one in run.samples)
    kinds = [point for point in points_of(run) if point.measurement == "loadtest_failures"]
    assert {point.tags["kind"] for point in kinds} == {"timeout"}
    assert sum(point.fields["count"] for point in kinds) == len(failed)


def test_buckets_are_cumulative_and_agree_with_percentiles(run: SyntheticRun) -> None:
    """A share of 95 % at most a bound is the same as a p95 at most that bound."""
    totals = run.evidence().total.response_time
    requests = [point for point in points_of(run) if point.measurement == "loadtest_requests"]
    found = [sum(point.fields[f"le_{bound}ms"] for point in requests) for bound in BOUNDS_MS]
    assert found == sorted(found)
    for bound, count in zip(BOUNDS_MS, found, strict=True):
        assert (count >= 0.95 * totals.count) == (totals.quantile(0.95) <= bound * 1000)


def test_percentiles_are_those_of_the_merged_histogram(run: SyntheticRun) -> None:
    """For each name and for the whole mix."""
    latency = {(one.time, one.tags["name"]): one for one in points_of(run) if one.measurement == "loadtest_latency"}
    for window in read_windows(run.folder.file("windows.jsonl")):
        whole = window.total()
        if whole.requests:
            point = latency[round(EPOCH + window.number) * 10**9, "*"]
            assert point.fields["response_p95_ms"] == whole.response_time.quantile(0.95) / 1e3
            assert point.fields["service_max_ms"] == whole.service_time.max_us / 1e3
            assert point.fields["count"] == whole.requests
            assert point.fields["elapsed_s"] == window.number


def test_no_two_points_of_a_run_are_the_same(run: SyntheticRun) -> None:
    """Measurement, tags and time tell all of them apart, so that none overwrites another."""
    points = points_of(run)
    for number, record in enumerate(read_lines(run.folder.file("events.jsonl"))):
        points += [parse(point.to_line_protocol()) for point in MAKER.event(record, number)]
    keys = {(point.measurement, tuple(sorted(point.tags.items())), point.time) for point in points}
    assert len(keys) == len(points)


def test_the_run_as_a_whole(run: SyntheticRun) -> None:
    """The summary is that of the files; objectives carry limit and observed value; missed ones are events."""
    write_all(run)
    files = (read_json(run.folder.file(name)) for name in ("verdict.json", "summary.json", "manifest.json"))
    verdict, summary, manifest = files
    points = [parse(point.to_line_protocol()) for point in MAKER.verdict(verdict, summary, manifest)]
    (whole,) = [point for point in points if point.measurement == "loadtest_summary"]
    assert whole.fields["verdict"] == verdict["verdict"]
    assert whole.fields["requests"] == summary["requests"] and whole.fields["rate"] == summary["rate"]
    assert whole.fields["response_p95_ms"] == summary["total"]["response_time_ms"]["p95"]
    objectives = {one.tags["objective"]: one for one in points if one.measurement == "loadtest_objective"}
    for result in [*verdict["objectives"], *verdict["health"]]:
        assert objectives[result["name"]].fields["observed"] == result["observed"]
        assert objectives[result["name"]].fields["passed"] == int(result["status"] == "pass")
    missed = {one["name"] for one in verdict["objectives"] if one["status"] == "fail"}
    events = [point.fields["text"].split(":")[0] for point in points if point.measurement == "loadtest_event"]
    assert set(events) == missed != set()


def test_hostile_texts_stay_values() -> None:
    """Names and reasons with spaces, commas, quotes, equals signs and line ends neither end a point nor make a tag."""
    bad = 'a b,c=d"e\\f\ng'
    record = {"time": EPOCH, "samples": [["m", bad, 1]], "gaps": {bad: bad}}
    sample, gap = (parse(point.to_line_protocol()) for point in MAKER.probe(record))
    assert sample.tags.keys() == {"run_id", "scenario", "metric", "selector"}
    assert gap.fields.keys() == {"reason"}


def test_the_contract_names_what_is_sent(run: SyntheticRun) -> None:
    """Every measurement, tag and field of a run stands in docs/metrics.md, and nothing that is never sent."""
    write_all(run)
    verdict, summary, manifest = (
        read_json(run.folder.file(name)) for name in ("verdict.json", "summary.json", "manifest.json")
    )
    record = {"time": EPOCH, "samples": [["m", None, 1]], "gaps": {"postgres": "away"}}
    made = [*MAKER.verdict(verdict, summary, manifest), *MAKER.probe(record)]
    points = points_of(run) + [parse(point.to_line_protocol()) for point in made]
    points += [parse(one.to_line_protocol()) for one in MAKER.event({"event": "x", "at_s": 1.0, "time": "2026-01-01"}, 0)]
    known = contract()
    assert {point.measurement for point in points} == known.keys()
    for point in points:
        assert point.tags.keys() == known[point.measurement].tags, point.measurement
        assert point.fields.keys() <= known[point.measurement].fields, point


def write_all(run: SyntheticRun) -> None:
    """Judge the run."""
    from loadtests.report.write import write_report  # noqa: PLC0415  # what a sink must not import, a test may

    write_report(run.folder)
