"""Gauges of the database: one number a query, on a connection of its own."""

import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from loadtests.probes.sample import Sample

TIMEOUT_S = 2
FROZEN_S = 2.5
"""A server that does not even keep its own timeout."""
APPLICATION = "loadtest-probe"
"""What the probes' connections are called, so that queries may leave them out."""

Row = tuple[Any, ...]


class NoAnswer(psycopg.OperationalError):
    """The server took the query and was silent."""


class PostgresConnection:
    """A connection that is made when it is needed, and anew after it was lost. Nothing takes longer than about two seconds."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: psycopg.Connection[Row] | None = None

    def rows(self, query: LiteralString | sql.Composed | bytes) -> list[Row]:
        """What the query gives. Raises psycopg.Error when the database does not answer in time."""
        try:
            connection = self._connect()
            with _within(connection, FROZEN_S):
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


@contextmanager
def _within(connection: "psycopg.Connection[Row]", seconds: float) -> Iterator[None]:
    """Cut the connection when the time is over: libpq itself waits for ever. Raises NoAnswer then."""
    cut = threading.Event()
    # A copy, so that the number cannot come to mean another file meanwhile.
    with socket.socket(fileno=os.dup(connection.fileno())) as line:

        def cut_it() -> None:
            cut.set()
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(seconds, cut_it)
        timer.daemon = True
        timer.start()
        try:
            yield
        except psycopg.OperationalError as error:
            raise (NoAnswer(f"no answer within {seconds:g} s") if cut.is_set() else error) from None
        finally:
            timer.cancel()
