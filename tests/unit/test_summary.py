"""`summary.json` and histogram logs, against the raw samples."""

import math
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

from loadtests.measure.histogram import DIGITS, HIGHEST_US, LOWEST_US, Histogram
from loadtests.report.summary import due_rate, latencies, summarise, write_hlogs
from tests.unit.runs import EPOCH, TEXT, Sample, SyntheticRun, complete, planned_samples, task_id
from tests.unit.texts import changed, plan_of

QUANTILES = {"p50": "0.5", "p90": "0.9", "p95": "0.95", "p99": "0.99", "p999": "0.999"}


def exact_ms(values_us: list[int], q: str) -> float:
    """Nearest rank of the sorted values, in milliseconds."""
    return sorted(values_us)[max(1, math.ceil(Fraction(q) * len(values_us))) - 1] / 1000


@pytest.mark.parametrize("name", [None, "list_tasks", "create_task"])
def test_latencies_are_those_of_the_raw_samples(tmp_path: Path, name: str | None) -> None:
    """Percentiles within 0.1 % above the exact ones of the sorted samples, largest value and mean exact."""
    run = SyntheticRun.create(tmp_path)
    summary = summarise(complete(run, planned_samples(run.plan, fail_every=9)).evidence())
    samples = [sample for sample in run.samples if name in (None, sample.name)]
    part = summary["total"] if name is None else summary["series"][name]
    for kind in ("response", "service"):
        values = [getattr(sample, f"{kind}_us") for sample in samples]
        found = part[f"{kind}_time_ms"]
        for label, q in QUANTILES.items():
            assert exact_ms(values, q) <= found[label] <= exact_ms(values, q) * 1.001, label
        assert found["max"] == max(values) / 1000
        assert found["mean"] == pytest.approx(sum(values) / len(values) / 1000, abs=0.0006)


def test_counts_and_rate_are_those_of_the_raw_samples(tmp_path: Path) -> None:
    """Requests and failures of the whole run; the rate from good answers of the steady seconds alone."""
    run = SyntheticRun.create(tmp_path)
    summary = summarise(complete(run, planned_samples(run.plan, fail_every=6)).evidence())
    failed = [sample for sample in run.samples if sample.failure]
    steady = [sample for sample in run.samples if 2 <= sample.second < 10 and not sample.failure]
    assert summary["requests"] == len(run.samples)
    assert summary["failures"] == len(failed) > 0
    assert summary["rate"] == round(len(steady) / 8, 3)
    assert summary["duration_s"] == 10.0
    assert summary["steady_s"] == [2, 10]
    assert summary["offered_rate"] == pytest.approx(12.0)
    assert summary["due_rate"] == len([sample for sample in run.samples if sample.due_s >= 2]) / 8
    assert summary["achieved"] == pytest.approx(summary["rate"] / summary["due_rate"], abs=1e-6)
    kinds = Counter(sample.name for sample in failed)
    for name in ("list_tasks", "create_task"):
        assert summary["series"][name]["failures"] == kinds[name]
        assert summary["series"][name]["failure_kinds"] == ({"timeout": kinds[name]} if kinds[name] else {})
        assert summary["series"][name]["bytes"] == 100 * summary["series"][name]["requests"]


def test_random_arrivals_are_all_achieved_when_all_are_answered(tmp_path: Path) -> None:
    """However far their number is from the plan's mean; a run that ends early is held against its own seconds."""
    text = changed('ramp_up = "2s"', 'ramp_up = "2s"\narrivals = "poisson"', TEXT)
    run = SyntheticRun.create(tmp_path, text)
    instant = [replace(sample, response_us=1, service_us=1) for sample in planned_samples(run.plan)]
    summary = summarise(complete(run, instant).evidence())
    assert summary["due_rate"] == summary["rate"] != summary["offered_rate"]
    assert summary["achieved"] == 1
    run.folder.event("halt", 6.5, reason="Ctrl-C")
    assert summarise(run.evidence())["achieved"] == 1


def test_a_load_too_large_to_count_is_held_against_its_mean(tmp_path: Path) -> None:
    """Ten thousand users for an hour: nobody waits a minute for a second decimal."""
    text = changed("users = 6", "users = 100_000", changed('ramp_up = "2s"', 'ramp_up = "2s"\narrivals = "poisson"', TEXT))
    assert due_rate(plan_of(tmp_path, text), range(2, 10)) == pytest.approx(200_000)


def test_summary_holds_lateness_and_tasks(tmp_path: Path) -> None:
    """The generator's own lateness and the tasks' time stand beside the requests."""
    run = complete(SyntheticRun.create(tmp_path), processing_s=2.0)
    summary = summarise(run.evidence())
    assert summary["lateness_ms"]["p99"] == 0.1
    assert summary["task_processing_ms"]["max"] == pytest.approx(2000, abs=0.002)
    assert summary["users"] == 6
    assert summary["version"] == 1


def test_summary_names_tasks_in_trouble(tmp_path: Path) -> None:
    """Some of each kind that there is; none of a run without."""
    run = SyntheticRun.create(tmp_path)
    samples = planned_samples(run.plan)
    run.start()
    run.play(samples)
    lost, pending = (task_id(sample) for sample in run.accepted[:2])
    run.end_tasks(statuses={lost: None, pending: "pending"})
    assert summarise(run.evidence())["troubled_tasks"] == {"unfinished": [pending], "lost": [lost]}
    empty = SyntheticRun.create(tmp_path)
    assert summarise(empty.evidence())["troubled_tasks"] == {}


def test_summary_of_an_empty_run_has_no_numbers_to_believe(tmp_path: Path) -> None:
    """What was not measured is null, never zero milliseconds."""
    summary = summarise(SyntheticRun.create(tmp_path).evidence())
    assert (summary["requests"], summary["rate"]) == (0, 0.0)
    assert summary["total"]["response_time_ms"] is None
    assert summary["lateness_ms"] is None
    assert summary["task_processing_ms"] is None
    assert summary["stream"] is None
    assert latencies(Histogram()) is None


def test_authentication_is_a_series_and_not_in_the_total(tmp_path: Path) -> None:
    """Logins are reported apart from the mix."""
    run = SyntheticRun.create(tmp_path)
    logins = [Sample(0, 4.0, "auth_refresh", 900_000, 900_000, planned=False)]
    summary = summarise(complete(run, planned_samples(run.plan) + logins).evidence())
    assert summary["requests"] == len(run.samples) - 1
    assert summary["series"]["auth_refresh"]["requests"] == 1
    assert summary["total"]["response_time_ms"]["max"] < 900


def counts_of(values_us: list[int]) -> list[int]:
    """HdrHistogram's buckets of these values."""
    reference = HdrHistogram(LOWEST_US, HIGHEST_US, DIGITS)
    for value in values_us:
        reference.record_value(value)
    return list(reference.counts)


@pytest.mark.parametrize("duration", ["10s", "300s"], ids=["short", "longer than any buffer"])
def test_hlog_files_decode_to_the_same_counts(tmp_path: Path, duration: str) -> None:
    """HdrHistogram's own reader gets every second of every series back, each in its place."""
    run = complete(SyntheticRun.create(tmp_path, changed('duration = "10s"', f'duration = "{duration}"', TEXT)))
    write_hlogs(run.evidence())
    files = sorted(path.name for path in run.folder.hdr.iterdir())
    assert files == [f"{name}.{kind}.hlog" for name in ("create_task", "list_tasks") for kind in ("response", "service")]
    for file in run.folder.hdr.iterdir():
        name, kind, _ = file.name.split(".")
        expected: dict[int, list[int]] = {}
        for sample in run.samples:
            if sample.name == name:
                expected.setdefault(sample.second, []).append(getattr(sample, f"{kind}_us"))
        reader = HistogramLogReader(str(file), HdrHistogram(LOWEST_US, HIGHEST_US, DIGITS))
        found = {}
        while (interval := reader.get_next_interval_histogram()) is not None:
            second = round(interval.get_start_time_stamp() / 1000 - EPOCH)
            found[second] = interval.get_total_count(), [interval.get_count_at_index(i) for i in range(interval.counts_len)]
        reader.close()
        assert sorted(found) == sorted(expected), file.name
        for second, values in expected.items():
            assert found[second] == (len(values), counts_of(values)), f"{file.name}, second {second}"


def test_hlog_is_plain_text_without_holes(tmp_path: Path) -> None:
    """Every line of a log is a comment, the legend or an interval of one second with its largest value."""
    run = complete(SyntheticRun.create(tmp_path, changed('duration = "10s"', 'duration = "120s"', TEXT)))
    write_hlogs(run.evidence())
    for file in run.folder.hdr.iterdir():
        lines = file.read_bytes().decode("ascii").splitlines()
        assert lines[0] == "#[Histogram log format version 1.2]"
        body = [line for line in lines if not line.startswith(("#", '"'))]
        assert all(len(line.split(",")) == 4 and line.split(",")[1] == "1.000000" for line in body), file.name
        assert len(body) > 50
