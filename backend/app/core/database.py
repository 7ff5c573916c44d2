"""The connections of one process, and how statements go over them.

asyncpg's own pool, without SQLAlchemy between: on the hot paths a request is one statement whose
answer is JSON already, and an ORM would cost more than the database does.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from types import MappingProxyType
from typing import Any, TypeAlias

import asyncpg

from app.core import metrics
from app.core.statement import Statement

POOL_TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 5.0
COMMAND_TIMEOUT_S = 30.0
# An idle connection is given back after this long.
IDLE_S = 300.0

# asyncpg says nothing of its types.
Connection: TypeAlias = Any
Row: TypeAlias = Mapping[str, Any]

_SERVER_SETTINGS = {
    "timezone": "UTC",
    # Compiling a query that takes a tenth of a millisecond costs a hundred times that.
    "jit": "off",
    # What is hot is in memory; with the default of 4 a page of a small user is sorted, not read in
    # its index's order.
    "random_page_cost": "1.1",
}


# For who does nothing but look rows up by their keys, in tables whose size changes faster than
# their statistics: whatever else the planner thinks of is wrong a moment later.
LOOKUPS = MappingProxyType(
    {"enable_hashjoin": "off", "enable_mergejoin": "off", "enable_seqscan": "off"}
)


class Unavailable(Exception):  # noqa: N818 - a state of the server, for which a client should wait
    """The database is away, or no connection came free in time; the request may be repeated."""


class Database:
    """At most `size` connections, made when they are needed and never more."""

    def __init__(
        self,
        url: str,
        name: str,
        size: int,
        pooled: bool = True,
        planner: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """`planner` are settings of PostgreSQL's planner for all statements of this process."""
        self._pooled = pooled
        self._settings = {"application_name": name, **_SERVER_SETTINGS, **planner}
        self._url, self._size = url, size
        self._waiting = 0
        self._pool: asyncpg.Pool | None = None
        self._slots = asyncio.Semaphore(size)

    async def open(self) -> None:
        """Make the pool. It connects at its first statement: one that is away is no error yet."""
        if self._pooled:
            self._pool = await asyncpg.create_pool(
                self._url,
                min_size=0,
                max_size=self._size,
                max_inactive_connection_lifetime=IDLE_S,
                timeout=CONNECT_TIMEOUT_S,
                command_timeout=COMMAND_TIMEOUT_S,
                server_settings=self._settings,
                # Nobody changes a session's state here; resetting it would double the round trips.
                reset=_leave_as_it_is,
            )

    async def close(self) -> None:
        """Give all connections back; those at work are cut after a second."""
        if self._pool is not None:
            try:
                async with asyncio.timeout(1.0):
                    await self._pool.close()
            except TimeoutError:
                self._pool.terminate()

    async def row(self, statement: Statement, *values: object) -> Row | None:
        """The first row of one statement, which is a transaction of its own.

        Raises:
            Unavailable: the database is away.
            asyncpg.PostgresError: it refused the statement.
        """
        async with self.connection() as connection:
            metrics.STATEMENTS.labels(statement.name).inc()
            row: Row | None = await connection.fetchrow(statement.sql, *values)
            return row

    async def rows(self, statement: Statement, *values: object) -> list[Row]:
        """All rows of one statement; raises as `row` does."""
        async with self.connection() as connection:
            metrics.STATEMENTS.labels(statement.name).inc()
            return list(await connection.fetch(statement.sql, *values))

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection for a moment. Raises Unavailable when there is none, or it is lost."""
        try:
            connection = await self._take()
        except AWAY as error:
            raise Unavailable(_what(error)) from error
        try:
            yield connection
        except AWAY as error:
            raise Unavailable(_what(error)) from error
        finally:
            # One that cannot be given back is closed; what was asked is answered all the same.
            with suppress(*AWAY):
                await self._give_back(connection)

    async def _take(self) -> Connection:
        self._waiting += 1
        try:
            if self._pool is not None:
                return await self._pool.acquire(timeout=POOL_TIMEOUT_S)
            async with asyncio.timeout(POOL_TIMEOUT_S):
                await self._slots.acquire()
            try:
                return await asyncpg.connect(
                    self._url,
                    timeout=CONNECT_TIMEOUT_S,
                    command_timeout=COMMAND_TIMEOUT_S,
                    server_settings=self._settings,
                )
            except BaseException:
                self._slots.release()
                raise
        finally:
            self._waiting -= 1

    async def _give_back(self, connection: Connection) -> None:
        if self._pool is not None:
            await self._pool.release(connection)
            return
        try:
            await connection.close(timeout=CONNECT_TIMEOUT_S)
        finally:
            self._slots.release()

    def observe(self) -> None:
        """Tell the metrics how the pool is."""
        if self._pool is not None:
            metrics.POOL_SIZE.set(self._pool.get_size())
            metrics.POOL_USED.set(self._pool.get_size() - self._pool.get_idle_size())
        metrics.POOL_WAITING.set(self._waiting)


# Classes 08, 53 and 57 of SQLSTATE, a connection that was cut, and times that ran out.
AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.InterfaceError,
    OSError,
    TimeoutError,
)


def _what(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


async def _leave_as_it_is(connection: Connection) -> None:
    """Do nothing."""
