"""The grammar of objectives: what is understood, and what is refused with which words."""

import math

import pytest

from loadtests.objectives.grammar import (
    BUILT_IN,
    Metric,
    Objective,
    format_interval,
    format_measured,
    parse_objective,
    percentile,
)

METRICS = {
    **BUILT_IN,
    "db_connections": Metric("db_connections", "gauge", "count"),
    "memory": Metric("memory", "gauge", "size", selectable=True),
    "cpu": Metric("cpu", "gauge", "ratio", selectable=True),
}


def parse(text: str) -> Objective:
    """The objective, with three gauges beside the built-in metrics."""
    return parse_objective(text, METRICS)


GOOD = [
    ("response_time(list_tasks).p95 < 200ms", "response_time", "list_tasks", "p95", "<", 0.2),
    ("service_time.p99 <= 0.5s", "service_time", None, "p99", "<=", 0.5),
    ("response_time.max < 2m", "response_time", None, "max", "<", 120.0),
    ("response_time.mean<150 ms", "response_time", None, "mean", "<", 0.15),
    ("response_time.p9999 < 1s", "response_time", None, "p9999", "<", 1.0),
    ("rate >= 9500/s", "rate", None, None, ">=", 9500.0),
    ("rate(create_task) > 600/m", "rate", "create_task", None, ">", 10.0),
    ("failure_ratio(create_task) < 1%", "failure_ratio", "create_task", None, "<", 0.01),
    ("availability >= 99.5%", "availability", None, None, ">=", 0.995),
    ("requests > 1000", "requests", None, None, ">", 1000.0),
    ("failures <= 0", "failures", None, None, "<=", 0.0),
    ("users.max >= 10_000", "users", None, "max", ">=", 10_000.0),
    ("task_processing.p95 < 30s", "task_processing", None, "p95", "<", 30.0),
    ("task_success >= 99%", "task_success", None, None, ">=", 0.99),
    ("db_connections.max < 100", "db_connections", None, "max", "<", 100.0),
    ("memory(api).max < 2GB", "memory", "api", "max", "<", 2e9),
    ("cpu(api).mean < 70%", "cpu", "api", "mean", "<", 0.7),
    ("  response_time ( GET /tasks ) . p50  <  1 s  ", "response_time", "GET /tasks", "p50", "<", 1.0),
    ("response_time(v1/a-b.c).p50 < 1s", "response_time", "v1/a-b.c", "p50", "<", 1.0),
]


@pytest.mark.parametrize(("text", "metric", "selector", "statistic", "comparison", "limit"), GOOD, ids=[row[0] for row in GOOD])
def test_good_objectives(
    text: str, metric: str, selector: str | None, statistic: str | None, comparison: str, limit: float
) -> None:
    """Each part is read, the limit in the metric's base unit."""
    objective = parse(text)
    assert objective.metric is METRICS[metric]
    assert (objective.selector, objective.statistic, objective.comparison) == (selector, statistic, comparison)
    assert objective.limit == pytest.approx(limit, rel=1e-12)
    assert objective.share == 1.0


BAD = [
    ("", "is not an objective"),
    ("fast please", "is not an objective"),
    ("response_time.p95", "is not an objective"),
    ("response_time.p95 = 200ms", "is not an objective"),
    ("response_time.p95 == 200ms", "is not an objective"),
    ("response_time().p95 < 200ms", "is not an objective"),
    ("response_time(a)(b).p95 < 200ms", "is not an objective"),
    ("response_time.p95 <", "is not an objective"),
    ("200ms > response_time.p95", "is not an objective"),
    ("speed.p95 < 200ms", "'speed' is no metric here .*response_time"),
    ("response_time < 200ms", "response_time needs a statistic .*response_time.p95"),
    ("users >= 10", "users needs a statistic .*users.max"),
    ("rate.p95 > 10/s", "rate has no statistics; leave out '.p95'"),
    ("requests.max > 10", "requests has no statistics"),
    ("response_time.avg < 200ms", "'avg' is no statistic .*p95.*mean"),
    ("response_time.p5 < 200ms", "'p5' is no statistic"),
    ("response_time.p95x < 200ms", "'p95x' is no statistic"),
    ("users.p95 > 10", "users is a gauge: use max, min or mean"),
    ("users(a).max > 10", "users takes no selector"),
    ("task_processing(a).p95 < 1s", "task_processing takes no selector"),
    ("response_time.p95 < 200", "'200' is not a quantity in us, ms, s, m, h"),
    ("response_time.p95 < 200%", "'200%' is not a quantity in us, ms, s, m, h"),
    ("response_time.p95 < 200ms please", "is not a quantity"),
    ("rate > 10", "'10' is not a quantity in /s, /m"),
    ("failure_ratio < 0.01", "'0.01' is not a quantity in %"),
    ("requests > 10/s", "'10/s' is not a quantity"),
    ("memory(api).max < 2G", "'2G' is not a quantity in B, kB"),
    ("rate > 1% 10/s", "is not a quantity"),
]


@pytest.mark.parametrize(("text", "words"), BAD, ids=[row[0] or "empty" for row in BAD])
def test_bad_objectives(text: str, words: str) -> None:
    """What cannot be meant is refused, with what is wrong and how it is written."""
    with pytest.raises(ValueError, match=words):
        parse(text)


@pytest.mark.parametrize("text", ["rate > 1.2.3% of 10/s", "rate > .% of 10/s"])
def test_broken_share_is_refused_in_the_words_of_the_grammar(text: str) -> None:
    """A share that is no number is named as such, not by an error of Python's own."""
    with pytest.raises(ValueError, match="is not") as caught:
        parse(text)
    assert "could not convert" not in str(caught.value)


@pytest.mark.parametrize(
    ("statistic", "q"),
    [("p50", 0.5), ("p05", 0.05), ("p95", 0.95), ("p99", 0.99), ("p999", 0.999), ("p9999", 0.9999), ("p99999", 0.99999)],
)
def test_percentile_reads_digits_after_the_second_as_decimals(statistic: str, q: float) -> None:
    """p999 is the 99.9th percentile."""
    assert percentile(statistic) == q


@pytest.mark.parametrize("statistic", ["p", "p9", "95", "p999999", "max", "P95", "p9.5", "pp95"])
def test_what_is_no_percentile(statistic: str) -> None:
    """Anything else is not one."""
    assert percentile(statistic) is None


def test_hundredth_percentile_is_not_silently_the_tenth() -> None:
    """Who writes p100 means the largest value; reading it as 10.0 % would pass nearly every run, so it is refused."""
    with pytest.raises(ValueError, match="p100"):
        parse("response_time.p100 < 200ms")


def test_share_of_a_rate() -> None:
    """`99% of 10000/s` keeps both numbers and compares with their product."""
    objective = parse("rate >= 99% of 10000/s")
    assert (objective.limit, objective.share, objective.threshold) == (10_000.0, 0.99, 9900.0)
    assert objective.holds(9900.0)
    assert not objective.holds(9899.99)


def test_threshold_of_a_share_is_exact() -> None:
    """Every whole share of 10,000/s is the whole number that it is on paper, so that a limit met exactly is met."""
    wrong = [share for share in range(1, 101) if parse(f"rate >= {share}% of 10000/s").threshold != 100 * share]
    assert wrong == []


@pytest.mark.parametrize(
    ("comparison", "below", "at", "above"),
    [("<", True, False, False), ("<=", True, True, False), (">", False, False, True), (">=", False, True, True)],
)
def test_limits_are_inclusive_only_where_written(comparison: str, below: bool, at: bool, above: bool) -> None:
    """`<` and `>` exclude the limit, `<=` and `>=` include it."""
    objective = parse(f"users.max {comparison} 100")
    assert [objective.holds(value) for value in (99.999, 100.0, 100.001)] == [below, at, above]


def test_scaled_multiplies_the_limit_alone() -> None:
    """A tenth of the users is a tenth of the limit; share and the rest stay."""
    objective = parse("rate >= 99% of 10000/s").scaled(0.1)
    assert (objective.limit, objective.share, objective.threshold) == (1000.0, 0.99, 990.0)
    assert objective.comparison == ">="


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("response_time(list_tasks).p95<0.2s", "response_time(list_tasks).p95 < 200 ms"),
        ("failure_ratio < 0.5%", "failure_ratio < 0.5 %"),
        ("cpu(api).mean < 70%", "cpu(api).mean < 70 %"),
        ("db_connections.max < 100", "db_connections.max < 100"),
        ("memory(api).max < 2000MB", "memory(api).max < 2 GB"),
        ("rate > 12.5/s", "rate > 12.5/s"),
    ],
)
def test_objective_is_shown_in_suitable_units(text: str, shown: str) -> None:
    """People see a limit in the unit that suits it."""
    assert str(parse(text)) == shown


@pytest.mark.parametrize(
    ("text", "value", "shown"),
    [
        ("response_time.p95 < 1s", 0.1814, "181 ms"),
        ("rate > 1/s", 9950.4, "9,950/s"),
        ("rate > 1/s", 99.54, "99.5/s"),
        ("availability > 1%", 0.99987, "99.987 %"),
        ("requests > 1", 12345.0, "12,345"),
        ("memory(api).max < 1GB", 1.234e9, "1.23 GB"),
    ],
)
def test_observed_values_are_shown_in_the_metrics_unit(text: str, value: float, shown: str) -> None:
    """People see an observed value with its unit."""
    assert parse(text).format_value(value) == shown


@pytest.mark.parametrize("text", [row[0] for row in GOOD] + ["rate >= 99% of 10000/s", "response_time.p95 < 1234ms"])
def test_what_is_shown_can_be_asked_again(text: str) -> None:
    """The text of an objective in a verdict parses back to the same objective: no digit of its limit is lost."""
    objective = parse(text)
    again = parse(str(objective))
    assert again.threshold == pytest.approx(objective.threshold, rel=1e-9)
    assert (again.metric, again.selector, again.statistic) == (objective.metric, objective.selector, objective.statistic)


INTERVALS = [
    ("availability", 0.999, 0.9998, "99.90 to 99.98 %"),
    ("availability", 0.99963, 1.0, "99.963 to 100.000 %"),
    ("failure_ratio", 0.0932, 0.2803, "9 to 28 %"),
    ("response_time", 0.195, 0.207, "195 to 207 ms"),
    ("response_time", 0.1997, 0.2004, "199.7 to 200.4 ms"),
    ("response_time", 0.95, 1.2, "0.95 to 1.20 s"),
    ("response_time", 0.0, 4e-7, "0.00 to 0.40 us"),
    ("response_time", 0.2, 0.2, "200 ms to 200 ms"),
    ("response_time", 0.195, math.inf, "195 ms to ?"),
    ("task_processing", 2.0, 1e9, "2 s to no end"),
    ("requests", 5.0, 1e9, "5 to 1,000,000,000"),
]


@pytest.mark.parametrize(("metric", "low", "high", "shown"), INTERVALS)
def test_interval_in_one_unit(metric: str, low: float, high: float, shown: str) -> None:
    """Both ends have the unit of the higher one and as many digits as tell them apart."""
    assert format_interval(BUILT_IN[metric], low, high) == shown


MEASURED = [
    ("availability", 0.98745, 0.9834, 0.9906, "98.7 % (98.3 to 99.1 %)"),
    ("availability", 0.99623, 0.99599, 0.99645, "99.623 % (99.599 to 99.645 %)"),
    ("availability", 1.0, 0.9986, 1.0, "100.00 % (99.86 to 100.00 %)"),
    ("response_time", 0.19994, 0.1997, 0.2004, "199.9 ms (199.7 to 200.4 ms)"),
    ("response_time", 0.4, 0.0, 30.0, "400 ms (0 to 30 s)"),
    ("response_time", 0.2, 0.2, 0.2, "200 ms (200 ms to 200 ms)"),
    ("response_time", 0.2, 0.195, math.inf, "200 ms (195 ms to ?)"),
    ("task_processing", 2.25, 2.0, 1e9, "2.25 s (2 s to no end)"),
]


@pytest.mark.parametrize(("metric", "value", "low", "high", "shown"), MEASURED)
def test_value_has_the_digits_of_its_interval(metric: str, value: float, low: float, high: float, shown: str) -> None:
    """More would say what nobody knows, fewer would hide on which side of a limit it lies."""
    assert format_measured(BUILT_IN[metric], value, low, high) == shown
