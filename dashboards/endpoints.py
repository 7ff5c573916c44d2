"""Endpoints: which request name is slow or fails, and is it the target or the waiting before it?"""

from dashboards.limits import AVAILABILITY, P95_MS, P99_MS
from dashboards.page import Page, endpoint, run, scenario
from dashboards.panels import BARS, STACKED, Json, at_least, at_most, column, graph, heatmap, row, table, without
from dashboards.queries import (
    ENDPOINT,
    ONE_NAME,
    RUN,
    TIME,
    buckets,
    failed_share,
    outer,
    per_second,
    rows,
    select,
    series,
    within,
)

MEASURES = ("p50", "p95", "p99", "p999", "max", "mean")


def page() -> Page:
    """The dashboard."""
    panels = [row(1, "Totals"), *_totals(), row(10, "Over time"), *_course()]
    variables = [scenario(), run(), endpoint(everything=True, multi=True)]
    about = "Rate, latency and failures of each request name, for the shown time and for the whole run."
    return Page("loadtest-endpoints", about, variables, panels, refresh="10s")


def _totals() -> list[Json]:
    shown = (
        f'sum("le_inf") AS "requests", {failed_share("failed")}, {within(P95_MS, f"within {P95_MS} ms")}, '
        f'{within(P99_MS, f"within {P99_MS} ms")}, sum("response_sum_us") / sum("le_inf") AS "mean", sum("bytes") AS "received"'
    )
    whole = ", ".join(f'"response_{name}_ms" AS "{name}"' for name in MEASURES)
    whole = f'"name", "requests", "failures", "rate", {whole}, "service_p95_ms" AS "service p95"'
    ended = select(whole, "loadtest_endpoint", RUN, ENDPOINT)
    return [
        table(
            2,
            "In the shown time",
            "Every column is exact for the shown time: sums of counts, of buckets and of response times. The share within "
            f"{P95_MS} ms says the same as p95: at 95 % or more, p95 is at most {P95_MS} ms.",
            [rows(select(shown, "loadtest_requests", RUN, ENDPOINT, TIME, by="name"))],
            "short",
            columns=[
                column("failed", unit="percentunit", decimals=3, **_colored(1 - AVAILABILITY)),
                column(f"within {P95_MS} ms", unit="percentunit", decimals=2, **_colored(0.95, least=True)),
                column(f"within {P99_MS} ms", unit="percentunit", decimals=2, **_colored(0.99, least=True)),
                column("mean", unit="µs"),
                column("received", unit="decbytes"),
            ],
            transformations=[without("Time")],
            sort=("requests", True),
        ),
        table(
            3,
            "Of the whole run",
            "The run's summary, written at its end; empty while it goes on. Percentiles come from the histograms of "
            "all workers "
            "and seconds, merged.",
            [rows(ended)],
            "ms",
            columns=[
                column("requests", unit="short"),
                column("failures", unit="short"),
                column("rate", unit="reqps"),
                column("p95", **_colored(P95_MS)),
                column("p99", **_colored(P99_MS)),
            ],
            transformations=[without("Time")],
            sort=("requests", True),
        ),
    ]


def _colored(limit: float, least: bool = False) -> Json:
    steps = at_least(limit) if least else at_most(limit)
    listed = [{"color": color, "value": value} for color, value in steps]
    return {"thresholds": {"mode": "absolute", "steps": listed}, "custom__cellOptions": {"type": "color-text"}}


def _course() -> list[Json]:
    waiting = '"response_mean_ms" - "service_mean_ms" AS "waited"'
    waiting = outer(
        'max("waited") AS "waited"', select(waiting, "loadtest_latency", RUN, ENDPOINT, ONE_NAME, TIME), by="name", fill="null"
    )
    failures = select(
        per_second('sum("count")', "failures"), "loadtest_failures", RUN, ENDPOINT, TIME, by="name kind", fill="null"
    )
    received = per_second('sum("bytes")', "received")
    return [
        graph(
            11,
            "Requests",
            "Requests a second that ended, by name.",
            [_counted(per_second('sum("le_inf")', "ended"))],
            "reqps",
            custom=STACKED,
        ),
        graph(
            12,
            "Failures",
            "Failed requests a second, by name and kind.",
            [series(failures, "$tag_name $tag_kind")],
            "reqps",
            custom=BARS,
        ),
        _latency(13, "Response time, p95", "response_p95_ms", P95_MS),
        _latency(14, "Response time, p99", "response_p99_ms", P99_MS),
        _latency(15, "Service time, p95", "service_p95_ms", P95_MS),
        graph(
            16,
            "Mean wait before sending",
            "Mean response time less mean service time: how long requests waited to be sent, because their user was "
            "still busy or "
            "the generator late. Of each step its worst second.",
            [series(waiting, "$tag_name")],
            "ms",
        ),
        heatmap(
            17,
            "Response times of the chosen endpoints",
            "How many requests fell between each two bounds, added over workers and the chosen names.",
            series(select(buckets(), "loadtest_requests", RUN, ENDPOINT, TIME, fill="none")),
        ),
        graph(
            18,
            f"Within {P95_MS} ms",
            f"Share of a step's requests that were answered within {P95_MS} ms, by name. Exact however long the step is.",
            [_counted(within(P95_MS, "share"))],
            "percentunit",
            limits=at_least(0.95),
        ),
        graph(19, "Received", "Bytes of answers a second, by name.", [_counted(received)], "Bps", size=(24, 7)),
    ]


def _counted(columns: str) -> Json:
    return series(select(columns, "loadtest_requests", RUN, ENDPOINT, TIME, by="name", fill="null"), "$tag_name")


def _latency(number: int, title: str, field: str, limit: float) -> Json:
    kind = "From the moment a request was due" if field.startswith("response") else "From the sending of a request"
    about = f"{kind} to its last byte, by name; of each step its worst second. Line: {limit:g} ms."
    query = select(f'max("{field}") AS "{field}"', "loadtest_latency", RUN, ENDPOINT, ONE_NAME, TIME, by="name", fill="null")
    return graph(number, title, about, [series(query, "$tag_name")], "ms", limits=at_most(limit))
