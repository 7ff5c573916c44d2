"""InfluxQL of the panels. `docs/metrics.md` is all that may be asked, and nothing is used that one version of InfluxDB lacks.

Percentiles are never averaged: where Grafana asks for fewer points than there are seconds, the worst second of each step is
shown. What is exact over any time are sums of counts and of buckets.
"""

from itertools import pairwise
from typing import Any

DATASOURCE = {"type": "influxdb", "uid": "loadtest-influxdb"}

TIME = "$timeFilter"
# The format is named in each use: without one, versions of Grafana disagree about when a value is escaped.
RUN = '"run_id" =~ /^${run:regex}$/'
SCENARIO = '"scenario" =~ /^${scenario:regex}$/'
ENDPOINT = '"name" =~ /^${endpoint:regex}$/'
WHOLE_MIX = "\"name\" = '*'"
ONE_NAME = "\"name\" != '*'"
NO_LOGINS = '"name" !~ /^auth_(login|refresh)$/'
BELIEVED = '"verdict_code" < 2'

BOUNDS_MS = (1, 2, 5, 10, 20, 30, 50, 75, 100, 150, 200, 300, 500, 750, 1000, 2000, 5000, 10000, 30000)

Target = dict[str, Any]


def select(columns: str, measurement: str, *where: str, by: str = "", fill: str = "", tail: str = "") -> str:
    """A query. `by` is a tag; `fill` makes a point of each step of the panel, and says what one without data is."""
    text = f'SELECT {columns} FROM "{measurement}" WHERE {" AND ".join(where)}'
    return text + _grouped(by, fill) + (f" {tail}" if tail else "")


def outer(columns: str, inner: str, *, by: str = "", fill: str = "") -> str:
    """A query of another one's columns: InfluxQL aggregates no expressions of fields."""
    return f"SELECT {columns} FROM ({inner}) WHERE {TIME}" + _grouped(by, fill)


def _grouped(by: str, fill: str) -> str:
    groups = ["time($__interval)"] * bool(fill) + [f'"{tag}"' for tag in by.split()]
    return (f" GROUP BY {', '.join(groups)}" if groups else "") + (f" fill({fill})" if fill else "")


def series(query: str, alias: str = "$col") -> Target:
    """A target that gives series; `alias` names them (`$col`, `$tag_name`)."""
    return {"query": query, "alias": alias, "resultFormat": "time_series"}


def rows(query: str) -> Target:
    """A target that gives a table, with the query's own columns."""
    return {"query": query, "alias": "", "resultFormat": "table"}


def per_second(total: str, name: str) -> str:
    """Sum of a count, per second of the step."""
    return f'{total} * 1000 / $__interval_ms AS "{name}"'


def within(bound_ms: int, name: str) -> str:
    """Share of requests answered within a bound: exact for any time, workers and names."""
    return f'sum("le_{bound_ms}ms") / sum("le_inf") AS "{name}"'


def failed_share(name: str) -> str:
    """Share of requests that failed."""
    return f'sum("failed") / (sum("ok") + sum("failed")) AS "{name}"'


def buckets() -> str:
    """Requests between each two bounds, as columns that a heatmap reads: each named after its upper bound."""
    columns = [f'sum("le_{BOUNDS_MS[0]}ms") AS "{BOUNDS_MS[0]}"']
    for lower, upper in pairwise(BOUNDS_MS):
        columns.append(f'sum("le_{upper}ms") - sum("le_{lower}ms") AS "{upper}"')
    columns.append(f'sum("le_inf") - sum("le_{BOUNDS_MS[-1]}ms") AS "+Inf"')
    return ", ".join(columns)


def tag_values(measurement: str, tag: str, *where: str) -> str:
    """The values of a tag. Of one measurement: Grafana reads no further."""
    return f'SHOW TAG VALUES FROM "{measurement}" WITH KEY = "{tag}"' + (f" WHERE {' AND '.join(where)}" if where else "")
