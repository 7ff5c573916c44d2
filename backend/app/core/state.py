"""What `lifespan` makes once a process and every request uses."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from redis.asyncio import Redis

from app.core.batch import Batcher
from app.core.cache import Cache
from app.core.database import Database
from app.core.security import Tokens
from app.repositories.tasks import NewTask
from app.settings import ApiSettings


@dataclass(frozen=True, slots=True)
class AppState:
    """The shared objects of one API process."""

    settings: ApiSettings
    database: Database
    redis: Redis
    cache: Cache | None
    """None: nothing is cached."""
    tokens: Tokens
    creates: Batcher[NewTask, str | None]
    """Tasks to store; those that arrive together are stored together."""


async def app_state(request: Request) -> AppState:
    """The state that `lifespan` put on the application."""
    state: AppState = request.app.state.shared
    return state


StateDep = Annotated[AppState, Depends(app_state)]
