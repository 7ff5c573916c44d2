"""Gauges of the database: one number a query, on a connection of its own."""

import math
from collections.abc import Iterator, Mapping

import psycopg

from loadtests.probes.sample import Sample

TIMEOUT_S = 2
APPLICATION = "loadtest-probe"
"""What the probes' connections are called, so that queries may leave them out."""


class PostgresConnection:
    """A connection that is made when it is needed, and anew after it was lost. Nothing takes longer than two seconds."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: psycopg.Connection[tuple[object, ...]] | None = None

    def get(self) -> "psycopg.Connection[tuple[object, ...]]":
        """The connection. Raises psycopg.Error when the database does not answer in time."""
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
        try:
            connection = self._connection.get()
            for name, query in self._queries.items():
                row = connection.execute(query.encode()).fetchone()
                if row is not None and row[0] is not None:
                    value = float(str(row[0]))
                    if math.isfinite(value):
                        yield Sample(name, None, value)
        except psycopg.Error:
            self.close()
            raise

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()
