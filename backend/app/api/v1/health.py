"""Readiness, and Prometheus' view; both outside the API's prefix."""

import asyncio
from collections.abc import Awaitable

from fastapi import APIRouter, Response, status
from fastapi.responses import JSONResponse
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.state import StateDep
from app.middleware.metrics_middleware import render_metrics

CHECK_TIMEOUT_S = 2.0

router = APIRouter(tags=["operations"])


@router.get("/healthz")
async def healthz(state: StateDep) -> JSONResponse:
    """Ask PostgreSQL and Redis; 200 if both answer, else 503 that names which does not."""
    postgres, redis = await asyncio.gather(
        _check(_ask_postgres(state.engine)), _check(_ping(state))
    )
    healthy = postgres == redis == "ok"
    return JSONResponse(
        {"status": "ok" if healthy else "unavailable", "postgres": postgres, "redis": redis},
        status.HTTP_200_OK if healthy else status.HTTP_503_SERVICE_UNAVAILABLE,
    )


@router.get("/metrics", include_in_schema=False)
async def metrics() -> Response:
    """All metrics, in Prometheus' text format."""
    # In multiprocess mode this reads files: not on the event loop.
    body, content_type = await asyncio.to_thread(render_metrics)
    return Response(body, media_type=content_type)


async def _check(question: Awaitable[None]) -> str:
    """The outcome in one word: ok, or the name of the error (its text may hold credentials)."""
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            await question
    except Exception as error:
        return type(error).__name__
    return "ok"


async def _ask_postgres(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))


async def _ping(state: StateDep) -> None:
    await state.redis.ping()
