"""SQL about tasks, on the worker's side; each function is one statement, in autocommit.

A task is worked by whoever claims it. Claims are numbered by `attempt`, and the end is written
only under the number of the claim, so a worker that was given up cannot overwrite its successor,
and nobody overwrites `cancelled`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import DictRow, dict_row

_CLAIM = """
UPDATE tasks
SET status = 'processing', started_at = now(), attempt = attempt + 1,
    celery_task_id = %(celery_task_id)s
WHERE id = %(task_id)s
  AND (status = 'pending'
       OR (status = 'processing' AND started_at < now() - make_interval(secs => %(lease_s)s)))
RETURNING id, output_type, prompt, attempt
"""

_COMPLETE = """
UPDATE tasks
SET status = 'completed', result = %(result)s, document_url = %(document_url)s,
    error_message = NULL, completed_at = now()
WHERE id = %(task_id)s AND status = 'processing' AND attempt = %(attempt)s
"""

_FAIL = """
UPDATE tasks
SET status = 'failed', error_message = %(error_message)s, completed_at = now()
WHERE id = %(task_id)s AND status = 'processing' AND attempt = %(attempt)s
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work a task, until its lease ends or the task is cancelled."""

    task_id: UUID
    output_type: str
    prompt: str
    attempt: int


def claim(
    connection: Connection[Any], task_id: UUID, celery_task_id: str, lease_s: float
) -> Claim | None:
    """Take a pending task, or one whose worker has been silent for `lease_s`; None if neither."""
    values = {"task_id": task_id, "celery_task_id": celery_task_id, "lease_s": lease_s}
    with connection.cursor(row_factory=dict_row) as cursor:
        row: DictRow | None = cursor.execute(_CLAIM, values).fetchone()
    if row is None:
        return None
    return Claim(row["id"], row["output_type"], row["prompt"], row["attempt"])


def complete(connection: Connection[Any], held: Claim, result: str, document_url: str) -> bool:
    """Write the success; False if the claim no longer holds, and then nothing is written."""
    return _finish(connection, _COMPLETE, held, {"result": result, "document_url": document_url})


def fail(connection: Connection[Any], held: Claim, error_message: str) -> bool:
    """Write the failure; False if the claim no longer holds, and then nothing is written."""
    return _finish(connection, _FAIL, held, {"error_message": error_message})


def _finish(
    connection: Connection[Any], statement: str, held: Claim, values: Mapping[str, str]
) -> bool:
    key = {"task_id": held.task_id, "attempt": held.attempt}
    with connection.cursor() as cursor:
        cursor.execute(statement, {**key, **values})
        return cursor.rowcount == 1
