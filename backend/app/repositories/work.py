"""Statements about tasks, on the worker's side; each is a transaction of its own.

A task is worked by whoever claims it, for as long as the lease is renewed. Claims are numbered by
`attempt`, and an end is written only under the number of the claim, so a worker that lost its
lease cannot overwrite its successor, and nobody overwrites `cancelled`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from app.core.database import Database
from app.core.statement import Statement

# Rows are locked in the order of their ids, which the callers keep: two batches with the same tasks
# cannot deadlock. Connections are made with LOOKUPS (app/core/database.py), so each row of a batch
# is one lookup by key, however full or empty the table was when the plan was made.
CLAIM = Statement(
    "claim_tasks",
    """UPDATE tasks t SET status = 'processing', started_at = now(), attempt = attempt + 1,
            celery_task_id = $2, lease_until = now() + make_interval(secs => $3)
        WHERE id = ANY(ARRAY(
            SELECT id FROM tasks WHERE id = ANY($1::uuid[])
              AND (status = 'pending' OR (status = 'processing' AND lease_until < now()))
            ORDER BY id FOR NO KEY UPDATE
        ))
        RETURNING t.id AS task_id, t.user_id, t.output_type, length(t.prompt) AS prompt_length,
            t.attempt, extract(epoch FROM now() - t.created_at)::float8 AS waited_s""",
)

RENEW = Statement(
    "renew_leases",
    """WITH held AS (
            SELECT h.id FROM unnest($1::uuid[], $2::int[]) AS h(id, attempt), LATERAL (
                SELECT 1 FROM tasks t
                WHERE t.id = h.id AND t.attempt = h.attempt AND t.status = 'processing'
                FOR NO KEY UPDATE
            ) t
        )
        UPDATE tasks t SET lease_until = now() + make_interval(secs => $3)
        FROM held h WHERE t.id = h.id RETURNING t.id""",
)

END = Statement(
    "end_tasks",
    """WITH held AS (
            SELECT s.* FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::text[],
                $6::text[], $7::float8[], $8::bool[])
                AS s(id, attempt, status, result, document_url, error, delay_s, dead),
            LATERAL (
                SELECT 1 FROM tasks t
                WHERE t.id = s.id AND t.attempt = s.attempt AND t.status = 'processing'
                FOR NO KEY UPDATE
            ) t
        ), ended AS (
            UPDATE tasks t SET status = h.status, result = h.result,
                document_url = h.document_url, error_message = h.error, lease_until = NULL,
                completed_at = CASE WHEN h.status = 'pending' THEN NULL ELSE now() END
            FROM held h WHERE t.id = h.id
            RETURNING t.id, t.user_id, t.attempt, t.status, h.error, h.delay_s, h.dead
        ), letters AS (
            INSERT INTO dead_letters (task_id, attempts, error)
            SELECT id, attempt, error FROM ended WHERE dead ON CONFLICT DO NOTHING
        ), again AS (
            UPDATE outbox o SET enqueued_at = NULL,
                available_at = now() + make_interval(secs => e.delay_s)
            FROM ended e WHERE o.task_id = e.id AND e.status = 'pending'
        ), forgotten AS (
            DELETE FROM outbox o USING ended e WHERE o.task_id = e.id AND e.status <> 'pending'
        )
        SELECT id, user_id FROM ended""",
)

STATEMENTS = (CLAIM, RENEW, END)


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work a task, until its lease ends or the task is cancelled."""

    task_id: UUID
    user_id: UUID
    output_type: str
    prompt_length: int
    attempt: int
    waited_s: float
    """From accepted to claimed."""


class Fate(StrEnum):
    """How an attempt ended; the values are the task's next status."""

    COMPLETED = "completed"
    FAILED = "failed"
    AGAIN = "pending"


@dataclass(frozen=True, slots=True)
class Ending:
    """What is to be written about an attempt."""

    claim: Claim
    fate: Fate
    result: str | None = None
    document_url: str | None = None
    error: str | None = None
    delay_s: float = 0.0
    """Before the next attempt."""
    dead: bool = False
    """It was the last attempt allowed: a dead letter is kept."""


async def claim(
    database: Database, task_ids: Sequence[UUID], celery_task_id: str, lease_s: float
) -> list[Claim]:
    """Take those of the tasks that are pending, or whose worker has lost its lease."""
    rows = await database.rows(CLAIM, task_ids, celery_task_id, lease_s)
    return [Claim(**row) for row in rows]


async def renew(database: Database, claims: Sequence[Claim], lease_s: float) -> set[UUID]:
    """Renew the leases; returns the tasks that are still held."""
    claims = sorted(claims, key=lambda one: one.task_id)
    ids, attempts = [one.task_id for one in claims], [one.attempt for one in claims]
    return {row["id"] for row in await database.rows(RENEW, ids, attempts, lease_s)}


async def end(database: Database, endings: Sequence[Ending]) -> list[bool]:
    """Write the ends, and what follows for the outbox; False where the claim held no more."""
    by_id = sorted(endings, key=lambda one: one.claim.task_id)
    rows = await database.rows(
        END,
        [one.claim.task_id for one in by_id],
        [one.claim.attempt for one in by_id],
        [one.fate.value for one in by_id],
        [one.result for one in by_id],
        [one.document_url for one in by_id],
        [one.error for one in by_id],
        [one.delay_s for one in by_id],
        [one.dead for one in by_id],
    )
    written = {row["id"] for row in rows}
    return [one.claim.task_id in written for one in endings]
