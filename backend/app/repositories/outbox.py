"""Statements of the relay: what is to be published, now or again, and what is over."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import Connection

# Rows are named by an array, not joined: that is a lookup in the key's index, whatever statistics
# say of a table that is empty at one moment and full at the next.
_CLAIM_NEW = """
UPDATE outbox SET enqueued_at = now() WHERE task_id = ANY(ARRAY(
    SELECT task_id FROM outbox WHERE enqueued_at IS NULL AND available_at <= now()
    ORDER BY seq LIMIT %(limit)s FOR UPDATE SKIP LOCKED
))
RETURNING seq, task_id
"""

# Published long ago, and still nobody works on it: the message was lost (a worker died between
# taking it from the broker and claiming its tasks, the broker forgot it), or its worker died.
_CLAIM_STALE = """
UPDATE outbox SET enqueued_at = now() WHERE task_id = ANY(ARRAY(
    SELECT o.task_id FROM outbox o JOIN tasks t ON t.id = o.task_id
    WHERE o.enqueued_at < now() - make_interval(secs => %(lease_s)s)
      AND (t.status = 'pending' OR (t.status = 'processing' AND t.lease_until < now()))
    ORDER BY o.seq LIMIT %(limit)s FOR UPDATE OF o SKIP LOCKED
))
RETURNING seq, task_id
"""

# Whoever ends a task deletes its entry too; what is left are those of tasks ended by hand.
_DELETE_ENDED = """
DELETE FROM outbox o USING tasks t
WHERE t.id = o.task_id AND o.enqueued_at < now() - make_interval(secs => %(lease_s)s)
  AND t.status IN ('completed', 'failed', 'cancelled')
"""

_GIVE_UP = """
WITH lost AS (
    SELECT id FROM tasks WHERE id = ANY(ARRAY(
        SELECT task_id FROM outbox WHERE enqueued_at < now() - make_interval(secs => %(lease_s)s)
    )) AND status = 'processing' AND attempt >= %(max_attempts)s AND lease_until < now()
    ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
), ended AS (
    UPDATE tasks t SET status = 'failed', completed_at = now(), lease_until = NULL,
        error_message = 'given up after ' || t.attempt || ' attempts: its workers were lost'
    FROM lost l WHERE t.id = l.id
    RETURNING t.id, t.user_id, t.attempt, t.error_message
), letters AS (
    INSERT INTO dead_letters (task_id, attempts, error)
    SELECT id, attempt, error_message FROM ended ON CONFLICT DO NOTHING
), forgotten AS (
    DELETE FROM outbox o USING ended e WHERE o.task_id = e.id
)
SELECT user_id FROM ended
"""

_FORGET_KEYS = """
DELETE FROM idempotency_keys WHERE created_at < now() - make_interval(secs => %(age_s)s)
"""

_DEPTH = """
SELECT count(*) AS new, coalesce(extract(epoch FROM now() - min(created_at)), 0) AS age_s
FROM outbox WHERE enqueued_at IS NULL
"""

# A message carries many tasks, so the broker cannot tell how many wait; the table can.
_UNCLAIMED = """
SELECT count(*) FROM tasks WHERE status = 'pending'
"""


@dataclass(frozen=True, slots=True)
class Depth:
    """What the outbox holds."""

    new: int
    """Tasks not published yet."""
    oldest_s: float
    """Age of the oldest of them; 0 when there is none."""
    unclaimed: int
    """Tasks that no worker has begun, published or not."""


def claim_new(connection: Connection[Any], limit: int) -> list[UUID]:
    """Mark up to `limit` unpublished entries as published and return their tasks, oldest first.

    The caller publishes them before it commits; a rollback makes them unpublished again.
    """
    return _claim(connection, _CLAIM_NEW, {"limit": limit})


def claim_stale(connection: Connection[Any], limit: int, lease_s: float) -> list[UUID]:
    """As `claim_new`, for entries published over `lease_s` ago whose task nobody works on."""
    return _claim(connection, _CLAIM_STALE, {"limit": limit, "lease_s": lease_s})


def delete_ended(connection: Connection[Any], lease_s: float) -> int:
    """Delete entries published over `lease_s` ago whose task has ended; returns how many."""
    return connection.execute(_DELETE_ENDED, {"lease_s": lease_s}).rowcount


def give_up(connection: Connection[Any], max_attempts: int, lease_s: float) -> list[UUID]:
    """Fail tasks that lost their worker `max_attempts` times; returns their users."""
    values = {"max_attempts": max_attempts, "lease_s": lease_s}
    rows = connection.execute(_GIVE_UP, values).fetchall()
    return [row[0] for row in rows]


def forget_keys(connection: Connection[Any], age_s: float) -> int:
    """Delete idempotency keys older than `age_s`; returns how many."""
    return connection.execute(_FORGET_KEYS, {"age_s": age_s}).rowcount


def depth(connection: Connection[Any]) -> Depth:
    """How much waits."""
    new, oldest_s = connection.execute(_DEPTH).fetchone() or (0, 0)
    (unclaimed,) = connection.execute(_UNCLAIMED).fetchone() or (0,)
    return Depth(int(new), float(oldest_s), int(unclaimed))


def _claim(connection: Connection[Any], statement: str, values: dict[str, float]) -> list[UUID]:
    rows = connection.execute(statement, values).fetchall()
    # RETURNING promises no order.
    return [task_id for _, task_id in sorted(rows)]
