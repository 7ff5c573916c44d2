"""What Prometheus is told: the windows' sums, in a text that its parser understands."""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from loadtests.engine.exposition import Exposition
from loadtests.measure.series import Series
from loadtests.measure.traffic import BOUNDS_MS
from loadtests.measure.window import Window
from loadtests.store.windows import read_windows, total_of
from tests.scraping import Scraped, of, scraped
from tests.unit.runs import SyntheticRun, complete, planned_samples
from tests.unit.seconds import series, window

ROOT = Path(__file__).parents[2]


def exposed(windows: Iterable[Window]) -> Exposition:
    """The exposition after these windows."""
    exposition = Exposition()
    exposition.begin("a-run", "small")
    for one in windows:
        exposition.add(one)
    return exposition


def test_before_a_run() -> None:
    """Nothing is known, which is not the same as zero."""
    assert Exposition().text() == b""


def test_values_are_the_sums_of_the_windows(tmp_path: Path) -> None:
    """Each counter and histogram holds what the run's file holds in all its windows together."""
    run = complete(SyntheticRun.create(tmp_path), planned_samples(SyntheticRun.create(tmp_path).plan, fail_every=5))
    file = run.folder.file("windows.jsonl")
    found, totals = scraped(exposed(read_windows(file)).text()), total_of(file)
    assert set(totals.series) == {"list_tasks", "create_task"}
    for name, one in totals.series.items():
        assert of(found, "loadtest_requests_total", name=name, outcome="ok") == one.ok > 0
        assert of(found, "loadtest_requests_total", name=name, outcome="failed") == one.failed > 0
        assert of(found, "loadtest_failures_total", name=name, kind="timeout") == one.failed
        assert of(found, "loadtest_bytes_received_total", name=name) == one.bytes_received > 0
        check_histogram(found, "loadtest_response_time_seconds", name, one)
        check_histogram(found, "loadtest_service_time_seconds", name, one)
    for state in ("scheduled", "started", "finished", "dropped"):
        assert of(found, "loadtest_turns_total", state=state) == getattr(totals.counts, state)
    assert of(found, "loadtest_lateness_seconds_count") == totals.lateness.count
    assert of(found, "loadtest_lateness_seconds_sum") == pytest.approx(totals.lateness.sum_us / 1e6)
    assert of(found, "loadtest_run_info", run_id="a-run", scenario="small") == 1


def check_histogram(found: Scraped, metric: str, name: str, one: Series) -> None:
    """Buckets are cumulative and those of `Histogram.at_most`; the infinite one is the count."""
    histogram = one.response_time if "response" in metric else one.service_time
    labels = {key: value for key, value in found.items() if key[0] == f"{metric}_bucket" and ("name", name) in key[1]}
    by_bound = {float(dict(key[1])["le"]): value for key, value in labels.items()}
    assert sorted(by_bound)[:-1] == [bound / 1000 for bound in BOUNDS_MS]
    counts = [by_bound[bound] for bound in sorted(by_bound)]
    assert counts == [*histogram.at_most([bound * 1000 for bound in BOUNDS_MS]), histogram.count]
    assert counts == sorted(counts)
    assert of(found, f"{metric}_count", name=name) == histogram.count == one.requests
    assert of(found, f"{metric}_sum", name=name) == pytest.approx(histogram.sum_us / 1e6)


def test_buckets_count_what_is_at_most_their_bound() -> None:
    """A value on a bound is in its bucket, where the histogram's resolution allows it; one above an hour in the last alone."""
    slow = {"a": series(1, 1), "b": series(1, 4_000_000, service_ms=0.5)}
    found = scraped(exposed([window(0, slow)]).text())
    assert of(found, "loadtest_response_time_seconds_bucket", name="a", le="0.001") == 1
    assert of(found, "loadtest_response_time_seconds_bucket", name="b", le="30.0") == 0
    assert of(found, "loadtest_response_time_seconds_bucket", name="b", le="+Inf") == 1
    assert of(found, "loadtest_response_time_seconds_sum", name="b") == 4000
    assert of(found, "loadtest_service_time_seconds_bucket", name="b", le="0.001") == 1


def test_gauges_are_of_the_last_window() -> None:
    """Users, sockets, workers and lateness are as they are now; a worker that is gone is not shown as it was."""
    exposition = exposed([window(0, workers=3, users=4), window(1, workers=2, users=5)])
    found = scraped(exposition.text())
    assert of(found, "loadtest_users") == of(found, "loadtest_sockets") == 10
    assert of(found, "loadtest_in_flight") == 2
    assert of(found, "loadtest_connections_total") == 2
    assert of(found, "loadtest_worker_cpu_cores", worker="1") == 0.25
    assert of(found, "loadtest_worker_loop_lag_seconds", worker="1") == 0.0015
    assert of(found, "loadtest_worker_resident_memory_bytes", worker="1") == 80_000_000
    assert not [key for key in found if ("worker", "2") in key[1]]
    assert of(found, "loadtest_lateness_seconds", quantile="0.99") == pytest.approx(0.000109)
    exposition.add(window(2, {}))
    found = scraped(exposition.text())
    assert not [key for key in found if key[0] == "loadtest_lateness_seconds"], "no turns have no quantiles"
    assert of(found, "loadtest_lateness_seconds_count") == 20


def test_hostile_names() -> None:
    """Quotes, backslashes, line ends and other alphabets come out as they went in."""
    name = 'a"b\\c\nd{}名=,\r# TYPE x'
    found = scraped(exposed([window(0, {name: series(2, failures={'k"\n': 1})})]).text())
    assert of(found, "loadtest_requests_total", name=name, outcome="ok") == 2
    assert of(found, "loadtest_failures_total", name=name, kind='k"\n') == 1


def test_a_new_run_starts_from_zero() -> None:
    """The web UI may start a second test: nothing of the first is left but the process."""
    exposition = exposed([window(0)])
    exposition.begin("another", "small")
    found = scraped(exposition.text())
    assert of(found, "loadtest_turns_total", state="scheduled") == 0
    assert not [key for key in found if key[0] == "loadtest_requests_total" or ("run_id", "a-run") in key[1]]


def test_memory_does_not_grow() -> None:
    """The text after an hour has as many samples as after a minute."""
    exposition = exposed(window(number) for number in range(60))
    after_a_minute = len(scraped(exposition.text()))
    for number in range(60, 3600):
        exposition.add(window(number))
    assert len(scraped(exposition.text())) == after_a_minute
    assert of(scraped(exposition.text()), "loadtest_requests_total", name="list_tasks", outcome="ok") == 36_000


def test_the_page_lists_every_metric() -> None:
    """The table of docs/metrics.md names what is exposed, with its labels, and nothing else."""
    text = exposed([window(0, {"a": series(1, failures={"timeout": 1})})]).text().decode()
    exposed_names = set(re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE))
    page = (ROOT / "docs" / "metrics.md").read_text().split("## Prometheus")[1]
    rows = dict(re.findall(r"^\| `(loadtest_\w+)` \| [^|]+ \|([^|]*)\|", page, re.MULTILINE))
    assert set(rows) == exposed_names
    for name, labels in rows.items():
        listed = set(re.findall(r"`(\w+)`", re.sub(r"\(.*?\)", "", labels)))
        for sample in re.findall(rf"^{name}(?:_\w+)?\{{([^}}]*)\}}", text, re.MULTILINE):
            assert set(re.findall(r'(\w+)="', sample)) - {"le"} == listed, name
