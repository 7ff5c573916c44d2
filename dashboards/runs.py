"""Runs and trend: what the nightly runs say of the target over weeks, and what one of them was judged by."""

from dashboards.limits import AVAILABILITY, P95_MS, P99_MS, TASK_PROCESSING_MS
from dashboards.page import Page, run, scenario
from dashboards.panels import (
    PASSED,
    RUNS,
    VERDICTS,
    Json,
    Steps,
    at_most,
    calculated,
    column,
    fields,
    graph,
    history,
    ordered,
    stat,
    table,
    without,
    words,
)
from dashboards.queries import BELIEVED, RUN, SCENARIO, TIME, rows, select, series

LIMITS: Steps = (("green", None), ("orange", P95_MS), ("red", P99_MS))
LIVE = "/d/loadtest-live?var-run=${__data.fields.run_id}&from=${__data.fields.Time.numeric}&to=${__data.fields.end.numeric}"
OTHER = "/d/loadtest-compare?var-run_a=${run}&var-run_b=${__data.fields.run_id}"
# A run is drained after its load, and its tasks are followed.
AFTER_MS = 60_000
# Links need the column, readers do not. The second is the first's name since Grafana 12.2.
HIDDEN = {"custom__hidden": True, "custom__hideFrom__viz": True}


def page() -> Page:
    """The dashboard."""
    variables = [scenario("loadtest_summary"), run(measurement="loadtest_summary")]
    panels = [*_counts(), _verdicts(), _runs(), _objectives(), *_trend()]
    about = "Every run's summary over time, and the objectives of one. Invalid runs are left out of the trends."
    return Page("loadtest-runs", about, variables, panels, since="now-30d")


def _counts() -> list[Json]:
    about = "How many runs of the scenario began in the shown time"
    made = [_count(1, "Runs", f"{about}.", '"verdict_code" >= 0', "blue")]
    for code, (word, color) in VERDICTS.items():
        made.append(
            _count(code + 2, word.capitalize(), f"{about}, with the verdict {word}.", f'"verdict_code" = {code}', color)
        )
    return made


def _count(number: int, title: str, about: str, where: str, color: str) -> Json:
    query = select('count("verdict_code") AS "runs"', "loadtest_summary", SCENARIO, where, TIME)
    return stat(number, title, about, [series(query)], fields("short", ((color, None),), noValue="0"), (6, 3))


def _verdicts() -> Json:
    return history(
        5,
        "Verdicts",
        "The verdict of each run, by scenario: pass, fail (an objective was missed) or invalid (the generator cannot "
        "be believed).",
        series(select('"verdict_code"', "loadtest_summary", SCENARIO, TIME, by="scenario"), "$tag_scenario"),
        VERDICTS,
    )


def _runs() -> Json:
    columns = (
        '"run_id", "scenario", "verdict", "users", "offered_rate" AS "offered", "rate", "response_p50_ms" AS "p50", '
        '"response_p95_ms" AS "p95", "response_p99_ms" AS "p99", "requests", "failure_ratio" AS "failed", '
        f'"lateness_p99_ms" AS "lateness p99", "task_processing_p95_ms" AS "task p95", "commit", "plan_hash", '
        f'"duration_s" AS "duration", "duration_s" * 1000 + {AFTER_MS} AS "length"'
    )
    links = [
        {"title": "Show this run", "url": LIVE, "targetBlank": False},
        {"title": "Compare $run with it", "url": OTHER, "targetBlank": False},
    ]
    return table(
        6,
        "Runs",
        "The summaries of the runs that began in the shown time, newest first. A run's id leads to its own dashboard, or to a "
        "comparison of the chosen run with it.",
        [rows(select(columns, "loadtest_summary", SCENARIO, TIME, tail="ORDER BY time DESC LIMIT 200"))],
        "ms",
        columns=[
            column("run_id", links=links, custom__width=300),
            column("end", **HIDDEN),
            column("verdict", mappings=[_colors()], custom__cellOptions={"type": "color-text"}),
            column("users", unit="short"),
            column("requests", unit="short"),
            column("offered", unit="reqps"),
            column("rate", unit="reqps"),
            column("failed", unit="percentunit", decimals=3),
            column("duration", unit="s"),
        ],
        transformations=[calculated("end", "Time", "+", "length"), without("length")],
        size=(24, 10),
        sort=("Time", True),
    )


def _colors() -> Json:
    listed = {word: {"color": color, "index": code} for code, (word, color) in VERDICTS.items()}
    return {"type": "value", "options": listed}


def _objectives() -> Json:
    columns = '"kind", "objective", "asked", "observed_text", "passed", "observed", "limit"'
    return table(
        7,
        "What $run was judged by",
        "Each objective and health check of the chosen run: what was asked and what was observed. Observed and limit "
        "are in base "
        "units: seconds, per second, bytes, a share or a count. An objective without data is missed.",
        [rows(select(columns, "loadtest_objective", RUN))],
        "none",
        columns=[
            column("passed", mappings=[words(PASSED)], custom__cellOptions={"type": "color-text"}),
            column("asked", custom__width=340),
            column("observed_text", displayName="observed (text)", custom__width=260),
        ],
        transformations=[
            without("Time"),
            ordered("kind", "objective", "passed", "asked", "observed_text", "observed", "limit"),
        ],
        size=(24, 12),
        sort=("kind", True),
    )


def _trend() -> list[Json]:
    latency = ", ".join(f'"response_{name}_ms" AS "{name}"' for name in ("p50", "p95", "p99"))
    used = select(
        '"observed" / "limit" AS "used"',
        "loadtest_objective",
        SCENARIO,
        "\"kind\" = 'objective'",
        '"limit" > 0',  # of a limit of nothing there is no share
        TIME,
        by="objective scenario",
    )
    return [
        graph(
            11,
            "Response time over the runs",
            f"Percentiles of each whole run. Lines: the phase5 scenario's limits of p95 ({P95_MS} ms) and p99 ({P99_MS} ms). "
            "Invalid runs are left out.",
            [_per_run(latency, "$tag_scenario $col")],
            "ms",
            limits=LIMITS,
            custom=RUNS,
        ),
        graph(
            12,
            "Rate over the runs",
            "What each run offered and what it achieved in its measured seconds. Invalid runs are left out.",
            [_per_run('"offered_rate" AS "offered", "rate" AS "achieved"', "$tag_scenario $col")],
            "reqps",
            custom=RUNS,
        ),
        graph(
            13,
            "Failures over the runs",
            "Share of each run's requests that failed. Line: the phase5 scenario allows 0.1 %. Invalid runs are left out.",
            [_per_run('"failure_ratio" AS "failed"', "$tag_scenario")],
            "percentunit",
            limits=at_most(1 - AVAILABILITY),
            custom=RUNS,
        ),
        graph(
            14,
            "Task processing over the runs",
            "95th percentile of the time from the moment a task's request was due to the task's end. Invalid runs are "
            "left out.",
            [_per_run('"task_processing_p95_ms" AS "p95"', "$tag_scenario")],
            "ms",
            limits=at_most(TASK_PROCESSING_MS),
            custom=RUNS,
        ),
        graph(
            15,
            "How near the limits",
            "Observed value as a share of its limit, by objective. Of an upper limit less than 100 % is good, of a "
            "lower limit (rate, "
            "users, success, availability) more.",
            [series(used, "$tag_scenario $tag_objective")],
            "percentunit",
            limits=at_most(1),
            custom=RUNS,
        ),
        graph(
            16,
            "Lateness of the generator over the runs",
            "99th percentile of the generator's own lateness in each run, invalid ones too: when it climbs, so does "
            "everything that "
            "it measures.",
            [series(select('"lateness_p99_ms" AS "p99"', "loadtest_summary", SCENARIO, TIME, by="scenario"), "$tag_scenario")],
            "ms",
            custom=RUNS,
        ),
    ]


def _per_run(columns: str, alias: str) -> Json:
    return series(select(columns, "loadtest_summary", SCENARIO, BELIEVED, TIME, by="scenario"), alias)
