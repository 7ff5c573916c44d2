"""The engine and the one place where a request's transaction is committed."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from app.core.state import StateDep
from app.settings import ApiSettings

POOL_TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 5.0
COMMAND_TIMEOUT_S = 30.0


def create_engine(settings: ApiSettings) -> AsyncEngine:
    """Engine of one API process: at most `db_pool_size` connections, never more."""
    return create_async_engine(
        settings.database_url,
        pool_size=settings.db_pool_size,
        # All processes together have a budget of connections; an overflow would break it.
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_S,
        pool_pre_ping=True,
        pool_recycle=3600,
        connect_args={
            "timeout": CONNECT_TIMEOUT_S,
            "command_timeout": COMMAND_TIMEOUT_S,
            "server_settings": {"application_name": "agenthq-api"},
        },
    )


def create_session_factory(engine: AsyncEngine) -> async_sessionmaker[AsyncSession]:
    """Sessions that keep their objects usable after the commit."""
    return async_sessionmaker(engine, expire_on_commit=False)


async def transaction(state: StateDep) -> AsyncIterator[AsyncSession]:
    """One transaction a request: committed when the endpoint returns, else rolled back."""
    async with state.sessions.begin() as session:
        yield session


# scope="function" commits *before* the response is sent; the default scope would commit after it,
# and a client could hold a 201 for a row that was never stored.
SessionDep = Annotated[AsyncSession, Depends(transaction, scope="function")]
