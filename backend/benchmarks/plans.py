"""Runs statements under EXPLAIN, and judges the plans."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from psycopg import Connection, sql

from benchmarks.cases import TYPICAL, Case, Query

EXECUTIONS = 7
MAX_LIST_MS = 1.0
NEVER_READ_WHOLE = frozenset({"tasks", "users", "outbox", "idempotency_keys"})
MODES = ("generic", "custom")
_SORTS = ("Sort", "Incremental Sort")

Node = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """How the server ran a statement; times are medians of several executions."""

    brief: str
    """Scans and sorts, in the plan's order."""
    rows: int
    """Rows that were taken from tables, those thrown away included."""
    buffers: int
    """Pages of 8 kB that were looked at."""
    planning_ms: float
    execution_ms: float
    seq_scans: tuple[str, ...]
    """Tables that are read from end to end."""
    sorts: int

    @classmethod
    def of(cls, outputs: Sequence[Node]) -> "Plan":
        """From what EXPLAIN said of each execution, in JSON; nodes are those of the last one."""
        nodes = list(_nodes(outputs[-1]["Plan"]))
        top = nodes[0]
        return cls(
            brief=", ".join(dict.fromkeys(filter(None, map(_brief, nodes)))),
            rows=round(sum(map(_rows, nodes))),
            buffers=top.get("Shared Hit Blocks", 0) + top.get("Shared Read Blocks", 0),
            planning_ms=_median(outputs, "Planning Time"),
            execution_ms=_median(outputs, "Execution Time"),
            seq_scans=tuple(
                sorted({one["Relation Name"] for one in nodes if one["Node Type"] == "Seq Scan"})
            ),
            sorts=sum(one["Node Type"] in _SORTS for one in nodes),
        )


@dataclass(frozen=True, slots=True)
class Measured:
    """A query with one set of values: its plans by mode, a list's with the guide's indexes too."""

    query: str
    about: str
    plans: Mapping[str, Plan]
    guide: Mapping[str, Plan] | None = None

    def to_json(self) -> dict[str, Any]:
        """For the results file."""
        return asdict(self)


def measure(connection: Connection[Any], query: Query, case: Case) -> dict[str, Plan]:
    """Plans of the query by mode; whatever it changes is rolled back.

    Prepared as drivers do it: the server plans for the values (custom) or once for all (generic),
    whichever it expects to be cheaper, so both have to be good.
    """
    connection.execute(sql.SQL("PREPARE measured AS {}").format(sql.SQL(query.sql)))
    try:
        return {mode: Plan.of(_explain(connection, case, mode)) for mode in MODES}
    finally:
        connection.execute("DEALLOCATE measured")


def _explain(connection: Connection[Any], case: Case, mode: str) -> list[Node]:
    planned = sql.SQL("SET LOCAL plan_cache_mode = force_{}_plan").format(sql.SQL(mode))
    values = sql.SQL(", ").join(map(sql.Literal, case.values))
    # Without TIMING the clock is read at the start and at the end only, not for each row.
    statement = sql.SQL("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) EXECUTE measured {}")
    explained = statement.format(sql.SQL("({})" if case.values else "").format(values))
    outputs: list[Node] = []
    for _ in range(1 + EXECUTIONS):
        with connection.transaction(force_rollback=True):
            connection.execute(planned)
            (output,) = connection.execute(explained).fetchone() or ([],)
            outputs += output
    return outputs[1:]  # the first one filled caches


def is_list(query: str) -> bool:
    """Whether the statement gives a page of tasks."""
    return query.startswith("list_")


def faults(measured: Measured) -> list[str]:
    """A line for each rule that one of the plans breaks."""
    listing = is_list(measured.query)
    lines = []
    for mode, plan in measured.plans.items():
        where = f"{measured.query} ({measured.about}), {mode} plan"
        lines += [
            f"{where}: Seq Scan on {table}"
            for table in plan.seq_scans
            if table in NEVER_READ_WHOLE and (measured.query, table) not in EXCEPTIONS
        ]
        if listing and plan.sorts:
            lines.append(f"{where}: sorts what an index has in order")
        if listing and measured.about.startswith(TYPICAL) and plan.execution_ms >= MAX_LIST_MS:
            lines.append(f"{where}: {plan.execution_ms:.2f} ms, must be below {MAX_LIST_MS:g}")
    return lines


EXCEPTIONS: Mapping[tuple[str, str], str] = {}
"""Statements that may read a table from end to end, and why."""


def _nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


def _brief(node: Node) -> str | None:
    kind: str = node["Node Type"]
    if kind in _SORTS:
        return kind
    name = node.get("Index Name") or node.get("Relation Name")
    return f"{kind} {name}" if kind.endswith("Scan") and name else None


def _rows(node: Node) -> float:
    if "Relation Name" not in node or not node["Node Type"].endswith("Scan"):
        return 0.0
    thrown_away = sum(value for key, value in node.items() if key.startswith("Rows Removed by"))
    return float((node["Actual Rows"] + thrown_away) * node["Actual Loops"])


def _median(outputs: Sequence[Node], key: str) -> float:
    return statistics.median(float(one[key]) for one in outputs)
