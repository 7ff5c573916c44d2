"""PostgreSQL's own statistics (13 and later) of one database: one statement a round, and at the end its slowest statements."""

from collections.abc import Iterator, Mapping
from typing import Any, LiteralString, NamedTuple

import psycopg
from psycopg import sql

from loadtests.probes.postgres import PostgresConnection
from loadtests.probes.rates import Rounds
from loadtests.probes.sample import Sample, Told

SLOWEST = 10
GAUGES = (
    "pg_connections",
    "pg_connections_active",
    "pg_idle_in_transaction",
    "pg_longest_transaction",
    "pg_lock_waits",
    "pg_locks",
)
COUNTERS = ("pg_commits", "pg_rollbacks", "pg_deadlocks", "pg_temporary_bytes", "blocks_hit", "blocks_read")
# Connections of probes (this one and that of the scenario's own queries) are not the stack's. The comment lets the statement be
# told, and left out, among the slowest.
_ROUND: LiteralString = """
WITH sessions AS MATERIALIZED (
    SELECT pid, state, wait_event_type, xact_start FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend' AND application_name <> 'loadtest-probe'
)
SELECT /* loadtest-probe */
    count(pid),
    count(*) FILTER (WHERE state = 'active'),
    count(*) FILTER (WHERE state LIKE 'idle in transaction%'),
    coalesce(extract(epoch FROM max(clock_timestamp() - xact_start)), 0),
    count(*) FILTER (WHERE wait_event_type = 'Lock'),
    (SELECT count(*) FROM pg_locks JOIN sessions USING (pid)),
    d.xact_commit, d.xact_rollback, d.deadlocks, d.temp_bytes, d.blks_hit, d.blks_read
FROM pg_stat_database d LEFT JOIN sessions ON true
WHERE d.datname = current_database()
GROUP BY d.xact_commit, d.xact_rollback, d.deadlocks, d.temp_bytes, d.blks_hit, d.blks_read
"""
_EXTENSION: LiteralString = """
SELECT /* loadtest-probe */ nspname FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace
WHERE extname = 'pg_stat_statements'
"""
_STATEMENTS: LiteralString = """
SELECT /* loadtest-probe */ s.queryid, left(min(s.query), 300), sum(s.calls), sum(s.total_exec_time), sum(s.rows)
FROM {}.pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
WHERE d.datname = current_database() AND s.queryid IS NOT NULL AND s.query NOT LIKE '%loadtest-probe%'
GROUP BY s.queryid
"""


class Statement(NamedTuple):
    """What one statement did since the statistics were reset."""

    text: str
    """With `$1` where its values were."""
    calls: int
    time_ms: float
    rows: int


class PostgresStatisticsProbe:
    """Sessions, locks, transactions and cache of the database that the DSN names.

    What belongs to other users' sessions is seen only by a member of `pg_monitor`.
    """

    def __init__(self, dsn: str) -> None:
        self._connection = PostgresConnection(dsn)
        self._rounds = Rounds()
        self._asked = False
        self._before: Mapping[int, Statement] | None = None

    def read(self) -> Iterator[Sample]:
        """The gauges, and what grew since the round before. Raises psycopg.Error when the database does not answer in time."""
        if not self._asked:
            self._before = _statements(self._connection)
            self._asked = True
        (row,) = self._connection.rows(_ROUND)
        yield from samples(row, self._rounds)

    def conclude(self) -> Iterator[Told]:
        """The slowest statements of the run, when the extension pg_stat_statements is there; else nothing."""
        after = None if self._before is None else _statements(self._connection)
        if self._before is not None and after is not None:
            yield Told("statements", {"slowest": [_told(one) for one in grown(self._before, after)[:SLOWEST]]})

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()


def samples(row: tuple[Any, ...], rounds: Rounds) -> Iterator[Sample]:
    """The samples of one round: its gauges first, then its counters. A cache hit is known only of a round with reads."""
    values = [float(value) for value in row]
    for name, value in zip(GAUGES, values[: len(GAUGES)], strict=True):
        yield Sample(name, None, value)
    growth = rounds.step(dict(zip(COUNTERS, values[len(GAUGES) :], strict=True)))
    for name in ("pg_commits", "pg_rollbacks", "pg_deadlocks"):
        rate = growth.per_second(name)
        if rate is not None:
            yield Sample(name, None, rate)
    if "pg_temporary_bytes" in growth.by_name:
        yield Sample("pg_temporary_bytes", None, growth.by_name["pg_temporary_bytes"])
    hit = growth.share("blocks_hit", "blocks_read")
    if hit is not None:
        yield Sample("pg_cache_hit", None, hit)


def grown(before: Mapping[int, Statement], now: Mapping[int, Statement]) -> list[Statement]:
    """What was done in between, the statement that took the most time in all first."""
    none = Statement("", 0, 0.0, 0)
    pairs = [(before.get(number, none), after) for number, after in now.items()]
    # Statistics that were reset meanwhile begin at 0.
    pairs = [(none if after.calls < earlier.calls else earlier, after) for earlier, after in pairs]
    did = [
        Statement(after.text, after.calls - earlier.calls, after.time_ms - earlier.time_ms, after.rows - earlier.rows)
        for earlier, after in pairs
        if after.calls > earlier.calls
    ]
    return sorted(did, key=lambda one: one.time_ms, reverse=True)


def _statements(connection: PostgresConnection) -> dict[int, Statement] | None:
    """All statements of the database by their id; None without the extension."""
    found = connection.rows(_EXTENSION)
    if not found:
        return None
    try:
        rows = connection.rows(sql.SQL(_STATEMENTS).format(sql.Identifier(str(found[0][0]))))
    except (psycopg.errors.ObjectNotInPrerequisiteState, psycopg.errors.UndefinedColumn, psycopg.errors.InsufficientPrivilege):
        return None  # created but not loaded by the server, older than PostgreSQL 13's, or not for this user
    return {key: Statement(" ".join(text.split()), int(calls), float(ms), int(done)) for key, text, calls, ms, done in rows}


def _told(one: Statement) -> dict[str, object]:
    return {
        "statement": one.text,
        "calls": one.calls,
        "total_ms": round(one.time_ms, 3),
        "mean_ms": round(one.time_ms / one.calls, 3),
        "rows": one.rows,
    }
