"""Tables."""

from app.models.base import Base
from app.models.task import OutboxEntry, OutputType, Task, TaskStatus, tasks_table
from app.models.team import ActivityLog, Team, TeamMember
from app.models.user import User

__all__ = [
    "ActivityLog",
    "Base",
    "OutboxEntry",
    "OutputType",
    "Task",
    "TaskStatus",
    "Team",
    "TeamMember",
    "User",
    "tasks_table",
]
