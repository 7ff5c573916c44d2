"""The guide's four indexes in the place of ours, to show what ours are worth."""

from app.core.database import Database
from app.core.statement import Statement

# Ours that serve the API's questions; the primary keys stay, as the guide has them too.
_OURS = ("ix_tasks_user_created", "ix_tasks_user_status_created", "ix_activity_logs_team_created")
_GUIDE = {
    "idx_tasks_user_status": "tasks (user_id, status)",
    "idx_tasks_created_at": "tasks (created_at DESC)",
    "idx_activity_logs_team_date": "activity_logs (team_id, created_at DESC)",
    "idx_tasks_composite": "tasks (user_id, status, created_at DESC)",
}


async def use_guide_indexes(database: Database) -> None:
    """Drop ours and make the guide's; for a database that nobody else uses yet."""
    for name in _OURS:
        await database.rows(Statement("drop_index", f"DROP INDEX IF EXISTS {name}"))
    for name, definition in _GUIDE.items():
        statement = f"CREATE INDEX IF NOT EXISTS {name} ON {definition}"
        await database.rows(Statement("create_index", statement))
