"""Generator health: can the numbers of the other dashboards be believed?"""

from dashboards.limits import LATENESS_MS, LOOP_LAG_MS, OFFERED, WORKER_CPU, WORKER_MEMORY_BYTES
from dashboards.page import Page, run, scenario
from dashboards.panels import (
    PASSED,
    Json,
    Steps,
    at_least,
    at_most,
    column,
    fields,
    graph,
    ordered,
    row,
    stat,
    table,
    without,
    words,
)
from dashboards.queries import RUN, TIME, rows, select, series


def page() -> Page:
    """The dashboard."""
    panels = [
        *_numbers(),
        row(10, "The whole generator"),
        *_whole(),
        row(20, "Its workers"),
        *_workers(),
        row(30, "Judgement"),
        _checks(),
    ]
    about = "Whether the generator offered what it should, in time, with room to spare. What fails here makes a run invalid."
    return Page("loadtest-generator", about, [scenario(), run()], panels, refresh="10s")


def _numbers() -> list[Json]:
    sent = select('sum("started") / sum("scheduled") AS "sent"', "loadtest_window", RUN, TIME)
    late = select('max("p99_ms") AS "p99"', "loadtest_lateness", RUN, TIME)
    cpu = select('max("cpu") AS "cpu"', "loadtest_worker", RUN, TIME)
    lag = select('max("loop_lag_ms") AS "lag"', "loadtest_worker", RUN, TIME)
    memory = select('max("rss_bytes") AS "rss"', "loadtest_worker", RUN, TIME)
    raised = select('sum("journey_errors") AS "errors"', "loadtest_window", RUN, TIME)
    return [
        _worst(
            1,
            "Turns begun of those due",
            "Of the shown time. Below 99 % a run is invalid.",
            sent,
            "percentunit",
            at_least(OFFERED),
        ),
        _worst(
            2,
            "Lateness, worst p99",
            "99th percentile of how late turns of free users began, in the worst second.",
            late,
            "ms",
            at_most(LATENESS_MS),
        ),
        _worst(
            3,
            "CPU, busiest worker",
            "Share of a core, in the worst second. A run's mean above 95 % is invalid.",
            cpu,
            "percentunit",
            at_most(WORKER_CPU),
        ),
        _worst(4, "Loop lag, worst", "Longest oversleep of a worker's event loop.", lag, "ms", at_most(LOOP_LAG_MS)),
        _worst(5, "Memory, largest worker", "Resident memory.", memory, "decbytes", at_most(WORKER_MEMORY_BYTES)),
        _worst(
            6,
            "Journeys that raised",
            "Journeys that ended with an exception. One is enough to make a run invalid.",
            raised,
            "short",
            at_most(1),
        ),
    ]


def _worst(number: int, title: str, about: str, query: str, unit: str, limits: Steps) -> Json:
    return stat(number, title, about, [series(query)], fields(unit, limits, decimals=None if unit == "short" else 1))


def _whole() -> list[Json]:
    offered = ", ".join(
        f'mean("{field}") AS "{name}"'
        for field, name in (("scheduled", "due"), ("started", "begun"), ("finished", "finished"), ("dropped", "dropped"))
    )
    late = 'max("p50_ms") AS "p50", max("p99_ms") AS "p99", max("max_ms") AS "max"'
    sockets = 'mean("connections") AS "opened a second", max("sockets") AS "open"'
    sent = 'mean("sent") AS "requests", mean("unplanned") AS "of them not planned"'
    return [
        graph(
            11,
            "Offered and achieved",
            "Turns that were due a second, begun, finished, and dropped unsent. Whatever is due and not begun is the "
            "generator's fault, "
            "or its users are all waiting for the target.",
            [series(select(offered, "loadtest_window", RUN, TIME, fill="null"))],
            "ops",
        ),
        graph(
            12,
            "Lateness",
            "How late the generator began turns whose user was free; waiting for the target is not lateness. Of each "
            "step its worst "
            f"second. Line: {LATENESS_MS} ms, the p99 that phase5 allows.",
            [series(select(late, "loadtest_lateness", RUN, TIME, fill="null"))],
            "ms",
            limits=at_most(LATENESS_MS),
        ),
        graph(
            13,
            "Connections",
            "Connections that were opened a second, and open at its end. Opened ones after the ramp mean that the "
            "target, or something "
            "before it, closes what should stay open.",
            [series(select(sockets, "loadtest_window", RUN, TIME, fill="null"))],
            "short",
        ),
        graph(
            14,
            "Requests",
            "Requests that were sent a second, and those of them that no turn had planned (logins, refreshes).",
            [series(select(sent, "loadtest_window", RUN, TIME, fill="null"))],
            "reqps",
        ),
    ]


def _workers() -> list[Json]:
    return [
        _worker(21, "CPU", "cpu", "percentunit", "Share of a core that each worker used.", at_most(WORKER_CPU)),
        _worker(
            22,
            "Loop lag",
            "loop_lag_ms",
            "ms",
            "Longest oversleep of each worker's event loop in a second.",
            at_most(LOOP_LAG_MS),
        ),
        _worker(23, "Sockets", "sockets", "short", "Open connections of each worker."),
        _worker(24, "Memory", "rss_bytes", "decbytes", "Resident memory of each worker.", at_most(WORKER_MEMORY_BYTES)),
        _worker(25, "Users", "users", "short", "Users of each worker that have begun: the shards should be even."),
        _worker(26, "In flight", "in_flight", "short", "Requests of each worker without an answer at the end of a second."),
    ]


def _worker(number: int, title: str, field: str, unit: str, about: str, limits: Steps = (("green", None),)) -> Json:
    query = select(f'max("{field}") AS "{field}"', "loadtest_worker", RUN, TIME, by="worker", fill="null")
    return graph(number, f"{title} of each worker", about, [series(query, "worker $tag_worker")], unit, limits=limits)


def _checks() -> Json:
    query = select('"objective", "asked", "observed_text", "passed"', "loadtest_objective", RUN, "\"kind\" = 'health'")
    return table(
        31,
        "Health checks of the run",
        "What the verdict says of the generator; empty until the run is judged. One check that fails makes the run invalid.",
        [rows(query)],
        "none",
        columns=[
            column("passed", mappings=[words(PASSED)], custom__cellOptions={"type": "color-text"}),
            column("asked", custom__width=420),
            column("observed_text", displayName="observed"),
        ],
        transformations=[without("Time"), ordered("objective", "passed", "asked", "observed_text")],
        size=(24, 11),
    )
