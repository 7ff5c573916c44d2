"""The ASGI application. `granian --interface asgi --factory app.main:create_app` serves it."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Protocol

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp

from app.api.v1 import auth, health, tasks
from app.core import metrics
from app.core.batch import Batcher
from app.core.cache import Cache, create_redis
from app.core.collector import settle
from app.core.database import Database, Unavailable
from app.core.leak import leak
from app.core.security import Tokens
from app.core.state import AppState
from app.middleware.cache_middleware import ResponseCacheMiddleware
from app.middleware.fault_middleware import ErrorMiddleware, ListDelayMiddleware
from app.middleware.hot_middleware import TASKS, HotMiddleware
from app.middleware.metrics_middleware import MetricsMiddleware
from app.repositories.tasks import create_many
from app.settings import ApiSettings, load_or_exit

OBSERVE_S = 1.0
# Batches of new tasks under way at once; more would take connections from the lists.
CREATE_LANES = 2
# How long a create waits for others to be committed with: a commit costs more than a row.
CREATE_LINGER_S = 0.01

_log = logging.getLogger("agenthq.api")


class _Lifespan(Protocol):
    def __call__(self, app: FastAPI, /) -> AbstractAsyncContextManager[None]: ...


def create_app(settings: ApiSettings | None = None) -> ASGIApp:
    """Build the whole application; without `settings` they are read from the environment.

    Connections are made when it starts, not here. Bad settings end the process with one line.
    """
    settings = settings or load_or_exit(ApiSettings)
    if settings.naive:
        from app.sketch.main import create_sketch

        return create_sketch(settings)
    return wrap(create_api(settings), settings)


def wrap(api: FastAPI, settings: ApiSettings) -> ASGIApp:
    """Put the middleware around the routes.

    Around FastAPI, not within it: an answer from the cache does without all that is in there.
    """
    state: Callable[[], AppState] = lambda: api.state.shared  # noqa: E731
    app: ASGIApp = HotMiddleware(api, state) if settings.hot_routes else api
    app = ResponseCacheMiddleware(app, frozenset({TASKS}), state)
    if settings.fault_list_delay_ms:
        app = ListDelayMiddleware(app, delay_s=settings.fault_list_delay_ms / 1000)
    if settings.fault_error_instance == settings.api_instance_number and settings.fault_error_ratio:
        app = ErrorMiddleware(app, settings.fault_error_ratio)
    # The outermost, so it sees what the others do.
    return MetricsMiddleware(app)


def create_api(settings: ApiSettings) -> FastAPI:
    """The routes, without the middleware around them."""
    # A redirect for a trailing slash would double the work of a client that gets it wrong.
    app = FastAPI(title="AgentHQ", redirect_slashes=False, lifespan=_lifespan(settings))
    for router in (auth.router, tasks.router, health.router):
        app.include_router(router)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(Unavailable, _unavailable)
    return app


def _lifespan(settings: ApiSettings) -> _Lifespan:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        state = make_state(settings)
        app.state.shared = state
        await state.database.open()
        loops = [_observe(state.database)]
        if state.cache is not None:
            loops.append(state.cache.run())
        if settings.fault_leak_per_s:
            loops.append(leak(settings))
        settle()
        running = [asyncio.create_task(loop) for loop in loops]
        try:
            yield
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            if state.cache is not None:
                await state.cache.close()
            await state.redis.aclose()
            await state.database.close()
            metrics.forget_process()

    return lifespan


def make_state(settings: ApiSettings) -> AppState:
    """The shared objects, not connected yet."""
    database = Database(
        settings.libpq_url, "agenthq-api", settings.db_pool_size, pooled=settings.db_pool
    )
    redis = create_redis(settings.redis_url)
    return AppState(
        settings,
        database,
        redis,
        Cache(settings.redis_url, settings.cache_ttl_s) if settings.cache else None,
        Tokens(
            settings.jwt_secret.get_secret_value(),
            settings.token_cache_size,
            settings.access_token_ttl_s,
        ),
        Batcher(
            partial(create_many, database, drop_ratio=settings.fault_drop_ratio),
            settings.create_batch,
            # Without batches each create has a connection of its own, as any other request.
            linger_s=CREATE_LINGER_S if settings.create_batch > 1 else 0.0,
            lanes=CREATE_LANES if settings.create_batch > 1 else settings.db_pool_size,
        ),
    )


async def _observe(database: Database) -> None:
    """Write gauges down: with several processes a scrape sees nothing but their files."""
    while True:
        database.observe()
        metrics.ACTIVE.set(metrics.in_flight.count)
        await asyncio.sleep(OBSERVE_S)


async def _invalid_request(_: Request, error: Exception) -> Response:
    """422 with place and reason, without echoing the input.

    The stock handler echoes it, and fails where it is not encodable (NaN, lone surrogates).
    """
    if not isinstance(error, RequestValidationError):
        raise error
    detail = [{key: item[key] for key in ("type", "loc", "msg")} for item in error.errors()]
    return Response(json.dumps({"detail": detail}), 422, media_type="application/json")


async def _unavailable(_: Request, error: Exception) -> Response:
    """503: the client may try again."""
    _log.error("database not available: %s", error)
    return JSONResponse({"detail": "database not available"}, 503, headers={"Retry-After": "1"})
