"""Compare A and B: two runs over each other, by the seconds since the start of their loads."""

from dashboards.limits import P95_MS, P99_MS
from dashboards.page import Page, endpoint, run, scenario
from dashboards.panels import Json, at_most, calculated, column, join, ordered, row, table, trend, without
from dashboards.queries import rows, select

RUNS = {"A": '"run_id" =~ /^${run_a:regex}$/', "B": '"run_id" =~ /^${run_b:regex}$/'}
EITHER = '"run_id" =~ /^(${run_a:regex}|${run_b:regex})$/'
NAME = '"name" =~ /^${endpoint:regex}$/'
MEASURES = (
    ("rate", "rate", "reqps"),
    ("p50", "response_p50_ms", "ms"),
    ("p95", "response_p95_ms", "ms"),
    ("p99", "response_p99_ms", "ms"),
)


def page() -> Page:
    """The dashboard. Its queries ask for runs, not for a time: the time range does nothing here, and is hidden."""
    variables = [
        scenario("loadtest_summary"),
        run("run_a", "Run A", "loadtest_summary"),
        run("run_b", "Run B", "loadtest_summary"),
        endpoint("loadtest_latency", EITHER),
    ]
    panels = [row(1, "Whole runs"), _summaries(), _differences(), row(10, "By elapsed time"), *_course()]
    about = "Two runs over each other. The endpoint * is all requests of the mix. A is the run to compare with, B the new one."
    return Page("loadtest-compare", about, variables, panels, since="now-30d", extra={"timepicker": {"hidden": True}})


def _summaries() -> Json:
    columns = (
        '"run_id", "verdict", "users", "offered_rate" AS "offered", "rate", "requests", "failure_ratio" AS "failed", '
        '"response_p50_ms" AS "p50", "response_p95_ms" AS "p95", "response_p99_ms" AS "p99", '
        '"lateness_p99_ms" AS "lateness p99", "task_processing_p95_ms" AS "task p95", "commit", "plan_hash"'
    )
    return table(
        2,
        "Summaries",
        "Both runs' summaries, the older one first. Runs of different plans (plan_hash) do not measure the same thing.",
        [rows(select(columns, "loadtest_summary", EITHER))],
        "ms",
        columns=[
            column("run_id", custom__width=300),
            column("users", unit="short"),
            column("requests", unit="short"),
            column("offered", unit="reqps"),
            column("rate", unit="reqps"),
            column("failed", unit="percentunit", decimals=3),
        ],
        size=(24, 5),
    )


def _differences() -> Json:
    """A's and B's endpoints side by side, and two columns for each measure: B less A, and B as a share of A."""
    targets, made, units = [], [], []
    for letter, where in RUNS.items():
        listed = ", ".join(f'"{field}" AS "{letter} {name}"' for name, field, _ in MEASURES)
        listed += f', "requests" AS "{letter} requests", "failures" AS "{letter} failures"'
        targets.append(rows(select(f'"name", {listed}', "loadtest_endpoint", where)))
        units += [column(f"{letter} requests", unit="short"), column(f"{letter} failures", unit="short")]
        units += [column(f"{letter} {name}", unit=unit) for name, _, unit in MEASURES]
    for name, _, unit in MEASURES:
        made += [
            calculated(f"{name} B-A", f"B {name}", "-", f"A {name}"),
            calculated(f"{name} B/A", f"B {name}", "/", f"A {name}"),
        ]
        units += [column(f"{name} B-A", unit=unit), column(f"{name} B/A", unit="percentunit", decimals=1)]
    order = [
        f"{side} {name}" if side in RUNS else f"{name} {side}" for name, _, _ in MEASURES for side in ("A", "B", "B-A", "B/A")
    ]
    return table(
        3,
        "Differences by endpoint",
        "Each request name of either run: A, B, B less A, and B as a share of A (100 % is the same). Of latencies less "
        "is better, of "
        "rates more. An empty cell: the run has no such name.",
        targets,
        "short",
        columns=units,
        transformations=[without("Time"), join("name", "outerTabular"), *made, ordered("name", *order)],
        sort=("name", False),
    )


def _course() -> list[Json]:
    about = (
        "{0} of the chosen endpoint, by seconds since the start of the load. Of each second exactly what its histogram says."
    )
    return [
        trend(11, "p50", about.format("Median response time"), _second("response_p50_ms"), "ms"),
        trend(
            12, "p95", about.format("95th percentile of the response time"), _second("response_p95_ms"), "ms", at_most(P95_MS)
        ),
        trend(
            13, "p99", about.format("99th percentile of the response time"), _second("response_p99_ms"), "ms", at_most(P99_MS)
        ),
        trend(14, "Answers", about.format("Requests that ended"), _second("count"), "reqps"),
        trend(15, "Requests sent", "Requests that each run sent a second, all names together.", _window("sent"), "reqps"),
        trend(
            16,
            "Requests in flight",
            "Requests of each run without an answer at the end of a second, all names together.",
            _window("in_flight"),
            "short",
        ),
    ]


def _second(field: str) -> list[Json]:
    return [rows(select(f'"elapsed_s", "{field}" AS "{run}"', "loadtest_latency", where, NAME)) for run, where in RUNS.items()]


def _window(field: str) -> list[Json]:
    return [rows(select(f'"elapsed_s", "{field}" AS "{run}"', "loadtest_window", where)) for run, where in RUNS.items()]
