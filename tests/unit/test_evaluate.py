"""From facts to results, one metric kind after the other."""

from dataclasses import replace

import pytest

from loadtests.measure.histogram import Histogram
from loadtests.measure.series import Series
from loadtests.objectives.evaluate import Facts, TaskFacts, evaluate
from loadtests.objectives.grammar import BUILT_IN, Metric, parse_objective

METRICS = {
    **BUILT_IN,
    "db_connections": Metric("db_connections", "gauge", "count"),
    "memory": Metric("memory", "gauge", "size", selectable=True, source="processes"),
}


def series(ok_us: list[int], failed_us: list[int] | None = None, service_us: int = 1000) -> Series:
    """A series of these response times; every service time is the same."""
    made = Series()
    for value in ok_us:
        made.record(value, service_us)
    for value in failed_us or []:
        made.record(value, service_us, failure="timeout")
    return made


def histogram(*values_us: int) -> Histogram:
    """A histogram of these values."""
    made = Histogram()
    for value in values_us:
        made.record(value)
    return made


def facts() -> Facts:
    """100 lists of 1 to 100 ms, 10 creates of which one failed, gauges, and tasks."""
    lists = series([ms * 1000 for ms in range(1, 101)])
    creates = series([200_000] * 9, [900_000], service_us=50_000)
    total = Series()
    total.merge(lists)
    total.merge(creates)
    return Facts(
        series={"list_tasks": lists, "create_task": creates, "auth_refresh": series([5000])},
        total=total,
        steady_ok={None: 80, "list_tasks": 72, "create_task": 8, "auth_refresh": 0},
        steady_s=8.0,
        gauges={("users", None): [10.0, 40.0, 40.0, 10.0], ("memory", "api"): [1e9, 1.5e9], ("db_connections", None): []},
        tasks=TaskFacts(accepted=9, completed=8, processing=histogram(*[400_000] * 8, 30_000_000)),
    )


OBSERVED = [
    ("response_time(list_tasks).p95 < 96ms", 0.095, "pass", 1e-3),
    ("response_time(list_tasks).p95 < 95ms", 0.095, "fail", 1e-3),
    ("response_time(list_tasks).max <= 100ms", 0.1, "pass", 0),
    ("response_time(list_tasks).min < 2ms", 0.001, "pass", 0),
    ("response_time(list_tasks).mean < 51ms", 0.0505, "pass", 0),
    ("response_time.max < 1s", 0.9, "pass", 0),
    ("service_time.p50 < 2ms", 0.001, "pass", 0),
    ("service_time(create_task).p50 < 2ms", 0.05, "fail", 1e-3),
    ("response_time(auth_refresh).max < 6ms", 0.005, "pass", 0),
    ("rate >= 10/s", 10.0, "pass", 0),
    ("rate > 10/s", 10.0, "fail", 0),
    ("rate(create_task) >= 1/s", 1.0, "pass", 0),
    ("rate(auth_refresh) > 0/s", 0.0, "fail", 0),
    ("failure_ratio(create_task) <= 10%", 0.1, "pass", 0),
    ("failure_ratio < 1%", 1 / 110, "pass", 0),
    ("availability(create_task) > 90%", 0.9, "fail", 0),
    ("availability(list_tasks) >= 100%", 1.0, "pass", 0),
    ("requests >= 110", 110.0, "pass", 0),
    ("requests(create_task) > 10", 10.0, "fail", 0),
    ("failures <= 1", 1.0, "pass", 0),
    ("failures(list_tasks) < 1", 0.0, "pass", 0),
    ("users.max >= 40", 40.0, "pass", 0),
    ("users.min >= 40", 10.0, "fail", 0),
    ("users.mean <= 25", 25.0, "pass", 0),
    ("memory(api).max < 2GB", 1.5e9, "pass", 0),
    ("task_success >= 99%", 8 / 9, "fail", 0),
    ("task_processing.p50 < 1s", 0.4, "pass", 1e-3),
    ("task_processing.max < 30s", 30.0, "fail", 0),
]


@pytest.mark.parametrize(("text", "observed", "status", "error"), OBSERVED, ids=[row[0] for row in OBSERVED])
def test_observed_value_and_status(text: str, observed: float, status: str, error: float) -> None:
    """Each metric is observed from its own facts, in base units, and compared with the limit."""
    objective = parse_objective(text, METRICS)
    result = evaluate("name", objective, facts())
    assert result.observed == pytest.approx(observed, rel=max(error, 1e-12))
    assert result.status == status
    assert (result.name, result.limit) == ("name", objective.threshold)


NO_DATA = [
    "response_time(nobody).p95 < 1s",
    "service_time.max < 1h",
    "failures <= 0",
    "failure_ratio <= 100%",
    "availability >= 0%",
    "requests >= 0",
    "rate >= 0/s",
    "rate(nobody) >= 0/s",
    "users.max >= 0",
    "memory(api).max < 2GB",
    "db_connections.max < 100",
    "task_success >= 0%",
    "task_processing.p95 < 1h",
]


@pytest.mark.parametrize("text", NO_DATA)
def test_no_data_is_a_failure(text: str) -> None:
    """Even a limit that everything would meet is missed by what was not measured, and the verdict says so."""
    empty = Facts(series={}, total=Series(), steady_ok={}, steady_s=10.0, gauges={("db_connections", None): []})
    result = evaluate("x", parse_objective(text, METRICS), empty)
    assert (result.observed, result.observed_text, result.status) == (None, "no data", "fail")


def test_tasks_without_any_accepted_are_no_data() -> None:
    """When nothing was accepted there is no success to speak of."""
    nothing = Facts({}, Series(), {}, 10.0, tasks=TaskFacts(0, 0, Histogram()))
    for text in ("task_success >= 0%", "task_processing.max < 1h"):
        assert evaluate("x", parse_objective(text, METRICS), nothing).observed is None


def test_rate_of_no_time_is_no_data() -> None:
    """A load without steady seconds has no rate."""
    assert evaluate("x", parse_objective("rate > 0/s", METRICS), Facts({}, Series(), {None: 5}, 0.0)).observed is None


def test_availability_met_exactly_is_met() -> None:
    """With k failures in 1,000 requests, availability is (1000 - k) / 10 percent: >= holds and > does not, for every k."""
    wrong = []
    for failed in range(1001):
        whole = Series()
        whole.ok = 1000 - failed
        whole.failures["timeout"] = failed
        known = Facts({}, whole, {}, 1.0)
        percent = f"{(1000 - failed) / 10}%"
        at_least = evaluate("x", parse_objective(f"availability >= {percent}", METRICS), known).status
        more = evaluate("x", parse_objective(f"availability > {percent}", METRICS), known).status
        if (at_least, more) != ("pass", "fail"):
            wrong.append(percent)
    assert wrong == []


def test_latency_met_exactly_is_met() -> None:
    """A largest value of exactly k ms meets `<= k ms` and misses `< k ms`, for every k up to two seconds."""
    wrong = []
    one = Series()
    for ms in range(1, 2001):
        one.clear()
        one.record(ms * 1000, ms * 1000)
        known = Facts({}, one, {}, 1.0)
        at_most = evaluate("x", parse_objective(f"response_time.max <= {ms}ms", METRICS), known).status
        less = evaluate("x", parse_objective(f"response_time.max < {ms}ms", METRICS), known).status
        if (at_most, less) != ("pass", "fail"):
            wrong.append(ms)
    assert wrong == []


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("response_time.p95 < 1s", "client, windows.jsonl"),
        ("rate > 1/s", "client, windows.jsonl"),
        ("users.max > 1", "client, windows.jsonl"),
        ("memory(api).max < 1GB", "processes, probes.jsonl"),
        ("task_success > 1%", "ledger of tasks, tasks.jsonl"),
        ("task_processing.max < 1s", "ledger of tasks, tasks.jsonl"),
    ],
)
def test_result_names_who_says_so_and_the_file(text: str, source: str) -> None:
    """Who doubts a line of the verdict is told whom to ask and where to look."""
    assert evaluate("x", parse_objective(text, METRICS), facts()).source == source


def test_result_as_json() -> None:
    """A line of `verdict.json` carries name, objective, limit, observed value and status."""
    data = evaluate("fast", parse_objective("response_time(list_tasks).max < 90ms", METRICS), facts()).to_json()
    assert data == {
        "name": "fast",
        "objective": "response_time(list_tasks).max < 90 ms",
        "observed": 0.1,
        "observed_text": "100 ms",
        "status": "fail",
        "limit": pytest.approx(0.09),
        "source": "client, windows.jsonl",
        "interval": None,
        "decided": True,
    }


DOUBTS = [
    ("availability(create_task) > 90%", "90 % (60 to 98 %)", False),
    ("availability(create_task) > 99%", "90 % (60 to 98 %)", True),
    ("availability(list_tasks) >= 100%", "100.0 % (96.3 to 100.0 %)", False),
    ("failure_ratio(create_task) <= 20%", "10 % (2 to 40 %)", False),
    ("failure_ratio(create_task) < 50%", "10 %", True),
    ("response_time(list_tasks).p50 < 45ms", "50 ms (40 to 61 ms)", False),
    ("response_time(list_tasks).p50 < 80ms", "50 ms", True),
    ("response_time(list_tasks).p99 < 1h", "99 ms (97 ms to ?)", False),
    ("response_time(list_tasks).p99 < 90ms", "99 ms", True),
    ("response_time(list_tasks).p99 > 95ms", "99 ms", True),
    ("response_time(list_tasks).mean < 50ms", "50.5 ms", True),
    ("task_success >= 90%", "89 % (57 to 98 %)", False),
    ("task_processing.p50 < 1s", "400 ms (0 to 30 s)", False),
    ("rate >= 10/s", "10.0/s", True),
    ("memory(api).max < 1.5GB", "1.5 GB", True),
    ("saved >= 50%", "60 % (31 to 83 %)", False),
    ("saved < 90%", "60 %", True),
]


@pytest.mark.parametrize(("text", "shown", "decided"), DOUBTS, ids=[row[0] for row in DOUBTS])
def test_a_limit_within_the_interval_is_said(text: str, shown: str, decided: bool) -> None:
    """The interval stands beside a value that another run may find on the other side of the limit, and any availability."""
    known = {**METRICS, "saved": Metric("saved", "share", "ratio")}
    one = replace(facts(), shares={"saved": 0.6}, share_counts={"saved": (6.0, 10.0)})
    result = evaluate("x", parse_objective(text, known), one)
    assert (result.observed_text, result.decided) == (shown, decided)
    assert result.mark == ("" if decided else " \u00b1")


def test_an_end_that_nobody_knows_is_null_in_files() -> None:
    """JSON has no infinity."""
    result = evaluate("x", parse_objective("response_time(list_tasks).p99 < 1h", METRICS), facts())
    assert result.open_ended
    assert result.to_json()["interval"] == [pytest.approx(0.097, abs=1e-4), None]


def test_what_is_not_final_has_no_interval() -> None:
    """While the load runs nobody asks what another run would say."""
    result = evaluate("x", parse_objective("availability(create_task) > 90%", METRICS), facts(), final=False)
    assert (result.observed_text, result.interval, result.decided) == ("90 %", None, True)
