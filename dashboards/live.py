"""Live run: is the load what was asked for, and does the target keep its promises right now?"""

from dashboards.limits import AVAILABILITY, P95_MS, P99_MS
from dashboards.page import Page, endpoint, run, scenario
from dashboards.panels import (
    BARS,
    STACKED,
    VERDICTS,
    Json,
    Steps,
    at_least,
    at_most,
    column,
    fields,
    graph,
    heatmap,
    row,
    stat,
    table,
)
from dashboards.queries import (
    ENDPOINT,
    NO_LOGINS,
    ONE_NAME,
    RUN,
    TIME,
    WHOLE_MIX,
    buckets,
    failed_share,
    per_second,
    rows,
    select,
    series,
    within,
)

LIMITS: Steps = (("green", None), ("orange", P95_MS), ("red", P99_MS))


def page() -> Page:
    """The dashboard."""
    panels = [*_numbers(), row(10, "Load and latency"), *_course(), row(20, "Endpoints and events"), *_details()]
    variables = [scenario(), run(), endpoint(everything=True, multi=True)]
    about = "One run as it happens: what is offered and achieved, latency since the moment a request was due, failures, events."
    return Page("loadtest-live", about, variables, panels, refresh="5s")


def _numbers() -> list[Json]:
    verdict = select('last("verdict_code") AS "verdict"', "loadtest_summary", RUN)
    rate = select('last("scheduled") AS "due", last("sent") AS "sent"', "loadtest_window", RUN, TIME)
    latest = '"{0}" of the mix in the last second that had requests. Limit of the phase5 scenario: {1} ms.'
    quick = select(within(P95_MS, "share"), "loadtest_requests", RUN, NO_LOGINS, TIME)
    failed = select(failed_share("failed"), "loadtest_requests", RUN, NO_LOGINS, TIME)
    p95 = select('last("response_p95_ms") AS "p95"', "loadtest_latency", RUN, WHOLE_MIX, TIME)
    p99 = select('last("response_p99_ms") AS "p99"', "loadtest_latency", RUN, WHOLE_MIX, TIME)
    return [
        stat(
            1,
            "Verdict",
            "The run's own judgement, from its files. Empty while the run goes on: nothing is judged before the drain is over.",
            [series(verdict)],
            fields("short", mappings=VERDICTS, noValue="not judged yet"),
            colorMode="background",
        ),
        stat(
            2,
            "Last second",
            "Turns that were due and requests that were sent in the last second.",
            [series(rate)],
            fields("reqps"),
        ),
        stat(3, "p95", latest.format("p95", P95_MS), [series(p95)], fields("ms", at_most(P95_MS))),
        stat(4, "p99", latest.format("p99", P99_MS), [series(p99)], fields("ms", at_most(P99_MS))),
        stat(
            5,
            f"Within {P95_MS} ms",
            f"Share of the mix's requests in the shown time that were answered within {P95_MS} ms of the moment they were due. "
            "Exact for the whole time, unlike any mean of percentiles: at 95 % or more, p95 keeps its limit.",
            [series(quick)],
            fields("percentunit", at_least(0.95), decimals=2),
        ),
        stat(
            6,
            "Failed",
            "Share of the mix's requests in the shown time that failed. The phase5 scenario allows 0.1 %.",
            [series(failed)],
            fields("percentunit", at_most(1 - AVAILABILITY), decimals=3, noValue="no requests"),
        ),
    ]


def _course() -> list[Json]:
    window = 'mean("scheduled") AS "turns due", mean("sent") AS "requests sent", mean("dropped") AS "turns dropped"'
    worst = ", ".join(f'max("response_{name}_ms") AS "{name}"' for name in ("p50", "p95", "p99", "max"))
    people = 'max("users") AS "users", max("in_flight") AS "requests in flight"'
    failures = select(per_second('sum("count")', "failures"), "loadtest_failures", RUN, TIME, by="kind", fill="null")
    return [
        graph(
            11,
            "Offered and achieved",
            "Turns that were due a second and requests that were sent. A gap between them is the generator's, or a "
            "target so slow "
            "that users are still waiting when their next turn is due. Login requests are not among them.",
            [series(select(window, "loadtest_window", RUN, TIME, fill="null"))],
            "reqps",
        ),
        graph(
            12,
            "Response time of the mix",
            "From the moment a request was due to its last byte, for all requests of a second together; where a step is longer "
            f"than a second, its worst second. Lines: the phase5 scenario's limits of p95 ({P95_MS} ms) and p99 ({P99_MS} ms).",
            [series(select(worst, "loadtest_latency", RUN, WHOLE_MIX, TIME, fill="null"))],
            "ms",
            limits=LIMITS,
        ),
        heatmap(
            13,
            "Response times",
            "How many requests fell between each two bounds. Counts are added over workers and names, so they are exact.",
            series(select(buckets(), "loadtest_requests", RUN, NO_LOGINS, TIME, fill="none")),
        ),
        graph(
            14,
            "Failures by kind",
            "Failed requests a second, by kind; logins and refreshes are among them. No bar is no failure.",
            [series(failures, "$tag_kind")],
            "reqps",
            custom=BARS,
        ),
        graph(
            15,
            "Users and requests in flight",
            "Users that have begun, and requests without an answer at the end of a second. In-flight requests that "
            "climb while the "
            "rate stays mean that the target is falling behind.",
            [series(select(people, "loadtest_window", RUN, TIME, fill="null"))],
            "short",
        ),
        graph(
            16,
            "Answers by endpoint",
            "Requests a second that ended, by name, with those that failed.",
            [series(_by_name(per_second('sum("le_inf")', "ended"), "loadtest_requests"), "$tag_name")],
            "reqps",
            custom=STACKED,
        ),
    ]


def _by_name(columns: str, measurement: str) -> str:
    return select(columns, measurement, RUN, ENDPOINT, ONE_NAME, TIME, by="name", fill="null")


def _details() -> list[Json]:
    events = select('"event", "at_s", "text"', "loadtest_event", RUN, TIME, tail="ORDER BY time DESC LIMIT 200")
    return [
        graph(
            21,
            "p95 by endpoint",
            "95th percentile of the response time, by name; of each step its worst second.",
            [series(_by_name('max("response_p95_ms") AS "p95"', "loadtest_latency"), "$tag_name")],
            "ms",
            limits=at_most(P95_MS),
        ),
        table(
            22,
            "Events",
            "What happened, newest first: start and stop, stages, halts, lost workers, processes that ended, missed "
            "objectives.",
            [rows(events)],
            "short",
            columns=[column("at_s", unit="s", displayName="at")],
            size=(12, 8),
        ),
    ]
