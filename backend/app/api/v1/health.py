"""Liveness, readiness, and Prometheus' view; all outside the API's prefix."""

import asyncio
from collections.abc import Awaitable

from fastapi import APIRouter, Response, status
from fastapi.responses import JSONResponse

from app.core import metrics
from app.core.database import Database
from app.core.state import AppState, StateDep
from app.core.statement import Statement

CHECK_TIMEOUT_S = 2.0
ALIVE = Statement("alive", "SELECT 1")

router = APIRouter(tags=["operations"])


@router.get("/livez")
async def livez() -> dict[str, str]:
    """The process answers; a database that is away is no reason to restart it."""
    return {"status": "ok"}


@router.get("/healthz", responses={503: {"description": "PostgreSQL or Redis does not answer."}})
async def healthz(state: StateDep) -> JSONResponse:
    """Ask PostgreSQL and Redis; 200 if PostgreSQL answers, else 503 that names what does not.

    Without Redis the API does its work, so that alone is said and is no 503.
    """
    postgres, redis = await asyncio.gather(
        _check(_ask_postgres(state.database)), _check(_ping(state))
    )
    healthy = postgres == "ok"
    said = "ok" if redis == "ok" else "degraded"
    return JSONResponse(
        {"status": said if healthy else "unavailable", "postgres": postgres, "redis": redis},
        status.HTTP_200_OK if healthy else status.HTTP_503_SERVICE_UNAVAILABLE,
    )


@router.get("/metrics", include_in_schema=False)
async def show_metrics() -> Response:
    """All metrics, in Prometheus' text format."""
    # In multiprocess mode this reads files: not on the event loop.
    body, content_type = await asyncio.to_thread(metrics.render)
    return Response(body, media_type=content_type)


async def _check(question: Awaitable[None]) -> str:
    """The outcome in one word: ok, or the name of the error (its text may hold credentials)."""
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            await question
    except Exception as error:
        return type(error).__name__
    return "ok"


async def _ask_postgres(database: Database) -> None:
    await database.row(ALIVE)


async def _ping(state: AppState) -> None:
    await state.redis.ping()
