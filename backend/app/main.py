"""The ASGI application. `granian --interface asgi --factory app.main:create_app` serves it."""

import json
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from app.api.v1 import auth, health, tasks
from app.core.cache import create_redis
from app.core.database import create_engine, create_session_factory
from app.core.state import AppState
from app.middleware.fault_middleware import ListDelayMiddleware
from app.middleware.metrics_middleware import MetricsMiddleware, forget_process
from app.settings import ApiSettings, load_or_exit

# Classes of SQLSTATE: connection exception, insufficient resources, operator intervention.
_AWAY_CLASSES = ("08", "53", "57")

_log = logging.getLogger("agenthq.api")


class _Lifespan(Protocol):
    def __call__(self, app: FastAPI, /) -> AbstractAsyncContextManager[None]: ...


def create_app(settings: ApiSettings | None = None) -> FastAPI:
    """Build the application; without `settings` they are read from the environment.

    Connections are made when it starts, not here. Bad settings end the process with one line.
    """
    settings = settings or load_or_exit(ApiSettings)
    # A redirect for a trailing slash would double the work of a client that gets it wrong.
    app = FastAPI(title="AgentHQ", redirect_slashes=False, lifespan=_lifespan(settings))
    for router in (auth.router, tasks.router, health.router):
        app.include_router(router)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    for error in (DBAPIError, PoolTimeoutError, OSError):
        app.add_exception_handler(error, _database_error)
    if settings.fault_list_delay_ms:
        app.add_middleware(ListDelayMiddleware, delay_s=settings.fault_list_delay_ms / 1000)
    # Added last, so it is the outermost and sees the delay too.
    app.add_middleware(MetricsMiddleware)
    return app


def _lifespan(settings: ApiSettings) -> _Lifespan:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        engine = create_engine(settings)
        redis = create_redis(settings)
        app.state.shared = AppState(settings, engine, create_session_factory(engine), redis)
        try:
            yield
        finally:
            await redis.aclose()
            await engine.dispose()
            forget_process()

    return lifespan


async def _invalid_request(_: Request, error: Exception) -> Response:
    """422 with place and reason, without echoing the input.

    The stock handler echoes it, and fails where it is not encodable (NaN, lone surrogates).
    """
    if not isinstance(error, RequestValidationError):
        raise error
    detail = [{key: item[key] for key in ("type", "loc", "msg")} for item in error.errors()]
    return Response(json.dumps({"detail": detail}), 422, media_type="application/json")


async def _database_error(_: Request, error: Exception) -> Response:
    """503 if the database is away, so the client may try again; else a bug, which is a 500."""
    if isinstance(error, DBAPIError) and not _is_away(error):
        raise error
    _log.error("database not available: %s: %s", type(error).__name__, error)
    return JSONResponse({"detail": "database not available"}, 503, headers={"Retry-After": "1"})


def _is_away(error: DBAPIError) -> bool:
    state = getattr(error.orig, "sqlstate", None) or ""
    return error.connection_invalidated or state[:2] in _AWAY_CLASSES
