"""The sketch's API."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Any
from uuid import UUID

import jwt
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import event, func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from starlette.middleware.base import BaseHTTPMiddleware

from app.core.metrics import ACTIVE, DURATION, REQUESTS, STATEMENTS, render
from app.models import Task, TaskStatus, User
from app.schemas.auth import UserOut
from app.schemas.tasks import TaskCreate, TaskOut
from app.settings import ApiSettings
from app.sketch.worker import run_task

_bearer = HTTPBearer()
Sessions = async_sessionmaker[AsyncSession]


class _Task(TaskOut):
    model_config = ConfigDict(from_attributes=True)

    metadata: dict[str, Any] = Field(validation_alias="metadata_")


class _Page(BaseModel):
    tasks: list[_Task]
    total: int
    page: int
    page_size: int


class MetricsMiddleware(BaseHTTPMiddleware):
    """The guide's."""

    async def dispatch(
        self, request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        """Count and time one request."""
        ACTIVE.inc()
        started_s = time.time()
        try:
            response = await call_next(request)
            path = request.url.path
            DURATION.labels(request.method, path).observe(time.time() - started_s)
            REQUESTS.labels(request.method, path, str(response.status_code)).inc()
            return response
        finally:
            ACTIVE.dec()


async def session_of(request: Request) -> AsyncIterator[AsyncSession]:
    """A session for one request."""
    sessions: Sessions = request.app.state.sessions
    async with sessions() as session:
        yield session


SessionDep = Annotated[AsyncSession, Depends(session_of)]


async def user_of(
    request: Request,
    session: SessionDep,
    credentials: Annotated[HTTPAuthorizationCredentials, Depends(_bearer)],
) -> User:
    """The user of the token, read from the database each time."""
    try:
        claims = jwt.decode(
            credentials.credentials, request.app.state.secret, algorithms=["HS256"], leeway=2
        )
    except jwt.InvalidTokenError:
        raise HTTPException(401, "invalid token") from None
    found = await session.execute(select(User).where(User.id == UUID(claims["sub"])))
    user = found.scalar_one_or_none()
    if user is None:
        raise HTTPException(401, "unknown user")
    return user


UserDep = Annotated[User, Depends(user_of)]


async def me(user: UserDep) -> UserOut:
    """The user of the token."""
    return UserOut(id=user.id, email=user.email, full_name=user.full_name)


async def create_task(body: TaskCreate, user: UserDep, session: SessionDep) -> Task:
    """Store a task, then hand it to Celery."""
    task = Task(
        user_id=user.id,
        prompt=body.prompt,
        output_type=body.output_type.value,
        metadata_=body.metadata,
    )
    session.add(task)
    await session.commit()
    await session.refresh(task)
    run_task.delay(str(task.id))
    return task


async def list_tasks(
    user: UserDep,
    session: SessionDep,
    page: int = 1,
    page_size: int = 20,
    status: TaskStatus | None = None,
) -> dict[str, Any]:
    """One page of the user's tasks."""
    query = select(Task).where(Task.user_id == user.id)
    count = select(func.count()).select_from(Task).where(Task.user_id == user.id)
    if status is not None:
        query, count = query.where(Task.status == status), count.where(Task.status == status)
    total = await session.scalar(count)
    order = Task.created_at.desc()
    rows = await session.execute(
        query.order_by(order).offset((page - 1) * page_size).limit(page_size)
    )
    tasks = rows.scalars().all()
    return {"tasks": tasks, "total": total, "page": page, "page_size": page_size}


async def show_metrics() -> Response:
    """All metrics."""
    body, content_type = render()
    return Response(body, media_type=content_type)


async def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


def _count_statement(*_: object) -> None:
    STATEMENTS.labels("sketch").inc()


def create_sketch(settings: ApiSettings) -> FastAPI:
    """The application."""
    engine = create_async_engine(
        settings.database_url,
        pool_size=20,
        max_overflow=10,
        pool_pre_ping=True,
        pool_recycle=3600,
        pool_timeout=30,
        connect_args={"server_settings": {"application_name": "agenthq-api"}},
    )
    event.listen(engine.sync_engine, "before_cursor_execute", _count_statement)
    app = FastAPI(title="AgentHQ, the sketch", redirect_slashes=False)
    app.state.sessions = async_sessionmaker(engine, expire_on_commit=False)
    app.state.secret = settings.jwt_secret.get_secret_value()
    app.add_middleware(MetricsMiddleware)
    app.get("/healthz")(healthz)
    app.get("/metrics")(show_metrics)
    app.get("/api/v1/auth/me")(me)
    app.get("/api/v1/tasks", response_model=_Page)(list_tasks)
    app.post("/api/v1/tasks", status_code=201, response_model=_Task)(create_task)
    return app
