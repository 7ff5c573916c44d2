"""Bodies of /tasks."""

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field, model_validator

from app.models import OutputType, TaskStatus
from app.schemas.cursor import read_cursor
from app.schemas.text import StorableJson, StorableText

# Numbered pages read and drop everything before them; further down there are cursors.
MAX_OFFSET = 10_000


class TaskCreate(BaseModel):
    """An order; the type may be called `output_type` or `task_type`."""

    prompt: Annotated[StorableText, Field(min_length=1, max_length=5000)]
    output_type: OutputType
    metadata: StorableJson = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _accept_task_type(cls, data: object) -> object:
        if not isinstance(data, dict) or "task_type" not in data:
            return data
        task_type = data["task_type"]
        if data.get("output_type", task_type) != task_type:
            raise ValueError("output_type and task_type differ; send one of them")
        return {**data, "output_type": task_type}


def _checked(cursor: str) -> str:
    read_cursor(cursor)
    return cursor


class PageQuery(BaseModel):
    """Which tasks to show."""

    page: Annotated[int, Field(ge=1, le=MAX_OFFSET)] = 1
    page_size: Annotated[int, Field(ge=1, le=100)] = 20
    status: TaskStatus | None = None
    cursor: Annotated[str, Field(max_length=64), AfterValidator(_checked)] | None = None

    @property
    def offset(self) -> int:
        """How many tasks are passed over."""
        return (self.page - 1) * self.page_size

    @model_validator(mode="after")
    def _check_depth(self) -> Self:
        if self.offset > MAX_OFFSET:
            raise ValueError(f"page is beyond {MAX_OFFSET} tasks; follow next_cursor instead")
        return self


class TaskOut(BaseModel):
    """A task as its owner sees it; times are UTC."""

    id: UUID
    user_id: UUID
    prompt: str
    output_type: OutputType
    status: TaskStatus
    result: str | None
    error_message: str | None
    document_url: str | None
    celery_task_id: str | None
    metadata: dict[str, Any]
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None


class TaskPage(BaseModel):
    """One page of the user's tasks, newest first.

    `total` counts all that match; it and `page` are null behind a cursor. `next_cursor` is null on
    the last page.
    """

    tasks: list[TaskOut]
    total: int | None
    page: int | None
    page_size: int
    next_cursor: str | None
