"""Tables: what Alembic compares the database with. Statements are in app/repositories."""

from app.models.base import Base
from app.models.task import DeadLetter, IdempotencyKey, OutboxEntry, OutputType, Task, TaskStatus
from app.models.team import ActivityLog, Team, TeamMember
from app.models.user import User

__all__ = [
    "ActivityLog",
    "Base",
    "DeadLetter",
    "IdempotencyKey",
    "OutboxEntry",
    "OutputType",
    "Task",
    "TaskStatus",
    "Team",
    "TeamMember",
    "User",
]
