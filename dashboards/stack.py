"""Stack under test: what the probes saw while the load ran."""

from dashboards.limits import CPU, DB_CONNECTIONS, MEMORY_BYTES, P95_MS, TASKS_IN_PROGRESS
from dashboards.page import Page, run, scenario, variable
from dashboards.panels import Json, at_least, at_most, axis, column, graph, row, table
from dashboards.queries import RUN, TIME, WHOLE_MIX, rows, select, series, tag_values

NAMED = "$tag_metric($tag_selector)"
# Metrics with panels of their own, by the part of the stack that they tell of; the repeated panel at the end shows every one.
POSTGRES = "/^(db|pg|postgres)_/"
REDIS = "/^(redis|cache)_/"
CELERY = "/^(tasks|celery|queue|outbox|relay)_/"

# Most of what these metrics say is a count or a rate.
UNITS = [
    axis("/^(redis_memory|pg_temporary_bytes)/", "decbytes"),
    axis("/^(redis_hit_ratio|pg_cache_hit)/", "percentunit"),
    axis("/^(pg_longest_transaction|celery_oldest_message|tasks_sampled_(processing|oldest))/", "s"),
]


def page() -> Page:
    """The dashboard."""
    metric = variable("metric", "Metric", tag_values("loadtest_probe", "metric", RUN), everything=True, multi=True)
    panels = [row(1, "API"), *_api(), row(10, "Postgres, Redis, Celery"), *_servers(), row(20, "Every probe"), *_every()]
    about = "Instances of the API, Postgres, Redis and Celery, once a second. A new probe appears by itself in the last row."
    return Page("loadtest-stack", about, [scenario(), run(), metric], panels, refresh="10s")


def _probe(where: str, alias: str = NAMED) -> Json:
    """The largest sample of each step, a series a metric and selector. Samples are not evenly spaced: no gaps are drawn."""
    query = select('max("value") AS "value"', "loadtest_probe", RUN, where, TIME, by="metric selector", fill="none")
    return series(query, alias)


def _api() -> list[Json]:
    service = 'max("service_p95_ms") AS "service time", max("response_p95_ms") AS "response time"'
    return [
        graph(
            2,
            "CPU of an instance",
            f"Share of a core that the busiest process of each service uses. Line: {CPU:.0%}, the mean that phase5 allows.",
            [_probe("\"metric\" = 'cpu'", "$tag_selector")],
            "percentunit",
            limits=at_most(CPU),
        ),
        graph(
            3,
            "Memory of an instance",
            f"Resident memory of the largest process of each service. Line: {MEMORY_BYTES / 1e9:g} GB, the most that "
            "phase5 allows.",
            [_probe("\"metric\" = 'memory'", "$tag_selector")],
            "decbytes",
            limits=at_most(MEMORY_BYTES),
        ),
        graph(
            4,
            "p95 of the mix beside it",
            "To see which gauge moves with the latency: service time is from send to last byte, response time from the "
            "moment a "
            "request was due. Of each step its worst second.",
            [series(select(service, "loadtest_latency", RUN, WHOLE_MIX, TIME, fill="null"))],
            "ms",
            limits=at_most(P95_MS),
            size=(24, 7),
        ),
    ]


def _servers() -> list[Json]:
    return [
        graph(
            11,
            "Postgres",
            f"Gauges whose name begins with db_, pg_ or postgres_. Line: phase5 allows fewer than {DB_CONNECTIONS} "
            "connections.",
            [_probe(f'"metric" =~ {POSTGRES}')],
            "short",
            limits=at_most(DB_CONNECTIONS),
            size=(8, 8),
            overrides=UNITS,
        ),
        graph(
            12,
            "Redis",
            "Gauges whose name begins with redis_ or cache_. Empty without such a probe.",
            [_probe(f'"metric" =~ {REDIS}')],
            "short",
            size=(8, 8),
            overrides=UNITS,
        ),
        graph(
            13,
            "Celery",
            "Gauges whose name begins with tasks_, celery_, queue_, outbox_ or relay_. Line: phase5 wants at least "
            f"{TASKS_IN_PROGRESS:,} tasks in progress at its full load.",
            [_probe(f'"metric" =~ {CELERY}')],
            "short",
            limits=at_least(TASKS_IN_PROGRESS),
            size=(8, 8),
            overrides=UNITS,
        ),
    ]


def _every() -> list[Json]:
    gaps = select('"probe", "reason"', "loadtest_gap", RUN, TIME, tail="ORDER BY time DESC LIMIT 200")
    each = graph(
        22,
        "$metric",
        "Every gauge that the run's probes report, a panel each and in its base unit: seconds, bytes, a share or a count.",
        [_probe('"metric" =~ /^${metric:regex}$/')],
        "short",
        size=(8, 7),
        least=None,
    )
    return [
        table(
            21,
            "Probes without an answer",
            "Rounds in which a probe failed, with the reason. The gauges have a gap there: no data is not zero.",
            [rows(gaps)],
            "short",
            columns=[column("probe", custom__width=200)],
            size=(24, 6),
        ),
        {**each, "repeat": "metric", "repeatDirection": "h", "maxPerRow": 3},
    ]
