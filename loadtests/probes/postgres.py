"""Gauges of the database: one number a query, on a connection of its own."""

from collections.abc import Iterator, Mapping
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from loadtests.probes.sample import Sample
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
            self.close()
            raise

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
    """Asks each query once a round. A round that fails gives no samples, and the next one connects anew."""

    def __init__(self, dsn: str, queries: Mapping[str, str]) -> None:
        self._connection, self._queries = PostgresConnection(dsn), queries

    def read(self) -> Iterator[Sample]:
        """One sample a query. Raises psycopg.Error when the database does not answer in time."""
        for name, query in self._queries.items():
            rows = self._connection.rows(query.encode())
            if rows and rows[0][0] is not None:
                yield Sample(name, None, float(str(rows[0][0])))

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()
