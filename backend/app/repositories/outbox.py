"""SQL of the relay: what is to be published, again or for the first time, and what has ended."""

from typing import Any
from uuid import UUID

from psycopg import Connection

_CLAIM_NEW = """
WITH batch AS (
    SELECT id FROM outbox WHERE enqueued_at IS NULL
    ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
UPDATE outbox SET enqueued_at = now() FROM batch WHERE outbox.id = batch.id
RETURNING outbox.id, outbox.task_id
"""

# Published long ago, and still nobody works on it: the message was lost (a worker died between
# taking it from the broker and noting that it had), or its worker died.
_CLAIM_STALE = """
WITH batch AS (
    SELECT o.id FROM outbox o JOIN tasks t ON t.id = o.task_id
    WHERE o.enqueued_at < now() - make_interval(secs => %(lease_s)s)
      AND (t.status = 'pending'
           OR (t.status = 'processing'
               AND t.started_at < now() - make_interval(secs => %(lease_s)s)))
    ORDER BY o.id LIMIT %(limit)s FOR UPDATE OF o SKIP LOCKED
)
UPDATE outbox SET enqueued_at = now() FROM batch WHERE outbox.id = batch.id
RETURNING outbox.id, outbox.task_id
"""

_DELETE_ENDED = """
DELETE FROM outbox o USING tasks t
WHERE t.id = o.task_id AND o.enqueued_at IS NOT NULL
  AND t.status IN ('completed', 'failed', 'cancelled')
"""

_GIVE_UP = """
UPDATE tasks
SET status = 'failed', completed_at = now(),
    error_message = 'given up after ' || attempt || ' attempts'
WHERE status = 'processing' AND attempt >= %(max_attempts)s
  AND started_at < now() - make_interval(secs => %(lease_s)s)
  AND id IN (SELECT task_id FROM outbox)
"""


def claim_new(connection: Connection[Any], limit: int) -> list[UUID]:
    """Mark up to `limit` unpublished entries as published and return their tasks, oldest first.

    The caller publishes them before it commits; a rollback makes them unpublished again.
    """
    return _claim(connection, _CLAIM_NEW, {"limit": limit})


def claim_stale(connection: Connection[Any], limit: int, lease_s: float) -> list[UUID]:
    """As `claim_new`, for entries published over `lease_s` ago whose task nobody works on."""
    return _claim(connection, _CLAIM_STALE, {"limit": limit, "lease_s": lease_s})


def delete_ended(connection: Connection[Any]) -> int:
    """Delete published entries whose task has ended; returns how many."""
    return connection.execute(_DELETE_ENDED).rowcount


def give_up(connection: Connection[Any], max_attempts: int, lease_s: float) -> int:
    """Fail tasks that killed their worker `max_attempts` times; returns how many."""
    values = {"max_attempts": max_attempts, "lease_s": lease_s}
    return connection.execute(_GIVE_UP, values).rowcount


def _claim(connection: Connection[Any], statement: str, values: dict[str, float]) -> list[UUID]:
    rows = connection.execute(statement, values).fetchall()
    # RETURNING promises no order.
    return [task_id for _, task_id in sorted(rows)]
