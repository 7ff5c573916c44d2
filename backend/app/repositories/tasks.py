"""Statements about tasks, on the API's side. Each names the owner and checks that the token counts.

A statement gives no row when the user is unknown, inactive or has logged out since: that costs no
statement of its own. Answers come as JSON text, made once and never looked into again.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from app.core.chance import is_dropped
from app.core.database import Database, Row
from app.core.security import Claims
from app.core.statement import Statement
from app.models import TaskStatus

_SHOWN = """id, user_id, prompt, output_type, status, result, error_message, document_url,
        celery_task_id, metadata, created_at, started_at, completed_at"""
_OWNER = "SELECT id FROM users WHERE id = $1 AND token_version = $2 AND is_active"

# A subquery, not a join: it is an index lookup for each row, whatever the statistics say.
_COUNTS = "(SELECT token_version FROM users WHERE id = owner AND is_active) = version"
_ENTRIES = "INSERT INTO outbox (task_id) SELECT id FROM made"
_STORE = f"""made AS (
            INSERT INTO tasks (id, user_id, prompt, output_type, metadata)
            SELECT task, owner, prompt, output_type, metadata::jsonb FROM asked
            RETURNING {_SHOWN}
        ), entries AS (
            {_ENTRIES}
        )
        SELECT id, row_to_json(made)::text AS task FROM made"""

# Tasks that arrived together; an entry whose owner does not count makes no row.
CREATE = Statement(
    "create_tasks",
    f"""WITH asked AS (
            SELECT * FROM unnest($1::uuid[], $2::int[], $3::uuid[], $4::text[], $5::text[],
                $6::text[]) AS a(owner, version, task, prompt, output_type, metadata)
            WHERE {_COUNTS}
        ), {_STORE}""",
)

# One task with an Idempotency-Key. Of two requests with the same key at once, the second waits for
# the first one's commit, and then makes no row.
CREATE_ONCE = Statement(
    "create_task_once",
    f"""WITH owned AS ({_OWNER}), claimed AS (
            INSERT INTO idempotency_keys (user_id, key, fingerprint, task_id)
            SELECT id, $7, $8, $3 FROM owned
            ON CONFLICT DO NOTHING
            RETURNING user_id AS owner, task_id AS task
        ), asked AS (
            SELECT owner, task, $4::text AS prompt, $5::text AS output_type, $6::text AS metadata
            FROM claimed
        ), {_STORE}""",
)


def _dropping(statement: Statement) -> Statement:
    """The same, but the tasks named by one more value have no outbox entry (FAULT_DROP_RATIO)."""
    last = max(int(number) for number in re.findall(r"\$(\d+)", statement.sql))
    kept = f"{_ENTRIES} WHERE id <> ALL(${last + 1}::uuid[])"
    return Statement(statement.name, statement.sql.replace(_ENTRIES, kept))


_DROPPING = {statement: _dropping(statement) for statement in (CREATE, CREATE_ONCE)}

FIND_BY_KEY = Statement(
    "find_task_by_key",
    f"""SELECT k.fingerprint, row_to_json(t)::text AS task
        FROM ({_OWNER}) o
        JOIN idempotency_keys k ON k.user_id = o.id AND k.key = $3
        JOIN LATERAL (SELECT {_SHOWN} FROM tasks WHERE tasks.id = k.task_id) t ON true""",
)


def _page(name: str, condition: str, size: str, offset: str, total: str) -> Statement:
    page = f"""SELECT {_SHOWN} FROM tasks WHERE user_id = $1 {condition}
                ORDER BY created_at DESC, id DESC LIMIT {size} {offset}"""
    return Statement(
        name,
        f"""SELECT p.*, {total} AS total
        FROM ({_OWNER}) o, LATERAL (
            SELECT string_agg(row_to_json(p)::text, ',') AS tasks, count(*) AS shown,
                min(p.created_at) AS last_created_at, (array_agg(p.id))[count(*)] AS last_id
            FROM ({page}) p
        ) p""",
    )


def _count(condition: str) -> str:
    return f"(SELECT count(*) FROM tasks WHERE user_id = $1 {condition})"


_STATUS = "AND status = ${}"
_AFTER = "AND (created_at, id) < ($4, $5)"
# Numbered pages are counted; what follows a cursor is not, however much there is.
LIST = _page("list_tasks", "", "$3", "OFFSET $4", _count(""))
LIST_STATUS = _page(
    "list_tasks_status", _STATUS.format(5), "$3", "OFFSET $4", _count(_STATUS.format(5))
)
LIST_AFTER = _page("list_tasks_after", _AFTER, "$3", "", "NULL::bigint")
LIST_STATUS_AFTER = _page(
    "list_tasks_status_after", f"{_STATUS.format(6)} {_AFTER}", "$3", "", "NULL::bigint"
)

FIND = Statement(
    "find_task",
    f"""SELECT row_to_json(t)::text AS task FROM ({_OWNER}) o LEFT JOIN LATERAL (
            SELECT {_SHOWN} FROM tasks WHERE id = $3 AND user_id = $1
        ) t ON true""",
)

# The row is locked and read again before it is judged, so of a worker and a canceller one wins.
CANCEL = Statement(
    "cancel_task",
    f"""WITH owned AS ({_OWNER}), found AS (
            SELECT id, status FROM tasks
            WHERE id = $3 AND user_id = (SELECT id FROM owned) FOR NO KEY UPDATE
        ), done AS (
            UPDATE tasks t SET status = 'cancelled', completed_at = now(), lease_until = NULL
            FROM found f WHERE t.id = f.id AND f.status IN ('pending', 'processing')
            RETURNING t.id, t.status
        ), forgotten AS (
            DELETE FROM outbox o USING done d WHERE o.task_id = d.id
        )
        SELECT coalesce((SELECT status FROM done), (SELECT status FROM found)) AS status
        FROM owned""",
)

STATEMENTS = (
    CREATE,
    CREATE_ONCE,
    FIND_BY_KEY,
    LIST,
    LIST_STATUS,
    LIST_AFTER,
    LIST_STATUS_AFTER,
    FIND,
    CANCEL,
)


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task to store; `metadata` is JSON text."""

    owner: Claims
    prompt: str
    output_type: str
    metadata: str


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last task of a page; the next page begins behind it."""

    created_at: datetime
    task_id: UUID


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its tasks as JSON text with commas between, and where the next one begins."""

    tasks: str
    total: int | None
    next: Cursor | None


async def create_many(
    database: Database, tasks: Sequence[NewTask], drop_ratio: float = 0.0
) -> list[str | None]:
    """Store the tasks and their outbox entries in one transaction; each one as JSON.

    None for a task whose owner's token does not count.
    """
    ids = [uuid4() for _ in tasks]
    statement, dropped = _planted(CREATE, ids, drop_ratio)
    rows = await database.rows(
        statement,
        [task.owner.user_id for task in tasks],
        [task.owner.version for task in tasks],
        ids,
        [task.prompt for task in tasks],
        [task.output_type for task in tasks],
        [task.metadata for task in tasks],
        *dropped,
    )
    made = {row["id"]: row["task"] for row in rows}
    return [made.get(task_id) for task_id in ids]


async def create_once(
    database: Database, task: NewTask, key: str, fingerprint: bytes, drop_ratio: float = 0.0
) -> str | None:
    """Store the task under the owner's key; None if the key is taken or the token counts not."""
    task_id = uuid4()
    statement, dropped = _planted(CREATE_ONCE, [task_id], drop_ratio)
    row = await database.row(
        statement,
        task.owner.user_id,
        task.owner.version,
        task_id,
        task.prompt,
        task.output_type,
        task.metadata,
        key,
        fingerprint,
        *dropped,
    )
    return None if row is None else row["task"]


async def find_by_key(database: Database, owner: Claims, key: str) -> tuple[bytes, str] | None:
    """Fingerprint and task stored under the owner's key."""
    row = await database.row(FIND_BY_KEY, owner.user_id, owner.version, key)
    return None if row is None else (row["fingerprint"], row["task"])


async def page(
    database: Database, owner: Claims, status: TaskStatus | None, size: int, offset: int
) -> Page | None:
    """A numbered page of the user's tasks, newest first, and how many there are in all."""
    values = [owner.user_id, owner.version, size, offset]
    if status is None:
        row = await database.row(LIST, *values)
    else:
        row = await database.row(LIST_STATUS, *values, status.value)
    return None if row is None else _to_page(row, offset + size < row["total"])


async def page_after(
    database: Database, owner: Claims, status: TaskStatus | None, size: int, cursor: Cursor
) -> Page | None:
    """The page behind the cursor; it costs the same however far down it is."""
    values = [owner.user_id, owner.version, size, cursor.created_at, cursor.task_id]
    if status is None:
        row = await database.row(LIST_AFTER, *values)
    else:
        row = await database.row(LIST_STATUS_AFTER, *values, status.value)
    return None if row is None else _to_page(row, row["shown"] == size)


async def find(database: Database, owner: Claims, task_id: UUID) -> Row | None:
    """`task` is JSON, or None if the user has no such task; no row if the token does not count."""
    return await database.row(FIND, owner.user_id, owner.version, task_id)


async def cancel(database: Database, owner: Claims, task_id: UUID) -> Row | None:
    """`status` is the task's afterwards, None if the user has no such task; no row as in `find`."""
    return await database.row(CANCEL, owner.user_id, owner.version, task_id)


def _planted(
    statement: Statement, ids: Sequence[UUID], drop_ratio: float
) -> tuple[Statement, tuple[Sequence[UUID], ...]]:
    """The statement for new tasks, and the value that it takes besides if tasks are dropped."""
    if not drop_ratio:
        return statement, ()
    return _DROPPING[statement], ([one for one in ids if is_dropped(one, drop_ratio)],)


def _to_page(row: Row, more: bool) -> Page:
    after = Cursor(row["last_created_at"], row["last_id"]) if more and row["shown"] else None
    return Page(row["tasks"] or "", row["total"], after)
