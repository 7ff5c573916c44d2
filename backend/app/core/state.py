"""What `lifespan` makes once a process and every request uses."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from app.settings import ApiSettings


@dataclass(frozen=True, slots=True)
class AppState:
    """The shared objects of one API process."""

    settings: ApiSettings
    engine: AsyncEngine
    sessions: async_sessionmaker[AsyncSession]
    redis: Redis


async def app_state(request: Request) -> AppState:
    """The state that `lifespan` put on the application."""
    state: AppState = request.app.state.shared
    return state


StateDep = Annotated[AppState, Depends(app_state)]
