"""Gauges of the database: one number a query, on a connection of its own."""

from collections.abc import Iterator, Mapping
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from loadtests.probes.sample import Gap, Sample
from loadtests.probes.within import within

TIMEOUT_S = 2
FROZEN_S = 2.5
"""A server that does not even keep its own timeout."""
APPLICATION = "loadtest-probe"
"""What the probes' connections are called, so that queries may leave them out."""

Row = tuple[Any, ...]


class PostgresConnection:
    """A connection that is made when it is needed, and anew after it was lost. Nothing takes longer than about two seconds."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: psycopg.Connection[Row] | None = None

    def rows(self, query: LiteralString | sql.Composed | bytes) -> list[Row]:
        """What the query gives. Raises psycopg.Error when the database does not answer in time."""
        try:
            connection = self._connect()
            with within(connection, FROZEN_S):
                return connection.execute(query).fetchall()
        except psycopg.Error:
            if not self.alive:
                self.close()
            raise

    @property
    def alive(self) -> bool:
        """Whether the connection is there: a statement may fail without it."""
        return self._connection is not None and not self._connection.closed

    def _connect(self) -> "psycopg.Connection[Row]":
        if self._connection is None or self._connection.closed:
            options = f"-c statement_timeout={TIMEOUT_S * 1000}"
            self._connection = psycopg.connect(
                self._dsn, autocommit=True, connect_timeout=TIMEOUT_S, options=options, application_name=APPLICATION
            )
        return self._connection

    def close(self) -> None:
        """Give it back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class PostgresProbe:
    """Asks each query once a round. One that fails is a gap of its own; a lost connection is made anew in the next round."""

    def __init__(self, dsn: str, queries: Mapping[str, str]) -> None:
        self._connection, self._queries = PostgresConnection(dsn), queries

    def read(self) -> Iterator[Sample | Gap]:
        """One sample a query. Raises psycopg.Error when the database does not answer in time."""
        for name, query in self._queries.items():
            try:
                rows = self._connection.rows(query.encode())
                value = float(str(rows[0][0])) if rows and rows[0][0] is not None else None
            except (psycopg.Error, ValueError) as error:
                if not self._connection.alive:
                    raise
                yield Gap(f"postgres {name}", f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}")
            else:
                if value is not None:
                    yield Sample(name, None, value)

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()
