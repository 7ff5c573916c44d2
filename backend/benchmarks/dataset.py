"""A database as some months of use leave it, made in a minute; the same one every time.

Tasks lie in the order in which they were made, so those of one user are scattered over the table.
What is at work is dated an hour ahead, and so does not grow old while it is measured.
"""

import hashlib
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import Connection

TASKS = 1_140_000
# With so many: 10,000 users, of whom one has 50,000 tasks, a hundred have 1,000, one has none, and
# the others about 100.
_TASKS_PER_USER = 114
_HEAVY_SHARE = 50_000 / TASKS
_BUSY_TASKS = 1_000
_BUSY_SHARE = 100 * _BUSY_TASKS / TASKS
MIN_TASKS = 1_000


@dataclass(frozen=True, slots=True)
class Shape:
    """How much there is. The first user is the heavy one, busy ones follow, the last is empty."""

    tasks: int

    @property
    def users(self) -> int:
        """All of them."""
        return max(self.tasks // _TASKS_PER_USER, 4)

    @property
    def busy(self) -> int:
        """Users with 1,000 tasks."""
        return max(round(self.tasks * _BUSY_SHARE) // _BUSY_TASKS, 1)

    def sql_values(self) -> dict[str, int]:
        """What the statements below are given."""
        heavy_tasks = round(self.tasks * _HEAVY_SHARE)
        busy_tasks = round(self.tasks * _BUSY_SHARE)
        return {
            "tasks": self.tasks,
            "users": self.users,
            "busy": self.busy,
            "heavy_until": heavy_tasks,
            "busy_until": heavy_tasks + busy_tasks,
            "typical": self.users - self.busy - 2,
            # The newest tasks: not published, published and not begun, at work.
            "new": self.tasks // 200,
            "published": self.tasks // 120,
            "unfinished": self.tasks // 100,
        }


def user_id(number: int) -> UUID:
    """The id of a user, numbered from 1."""
    return UUID(hashlib.md5(f"user{number}".encode(), usedforsecurity=False).hexdigest())


def fill(connection: Connection[Any], shape: Shape) -> None:
    """Fill the empty tables and let the server look at them. `connection` is in autocommit."""
    for statement in (_USERS, _TASKS, _OUTBOX, _KEYS, _LETTERS, _TEAMS, _MEMBERS, _LOGS):
        connection.execute(statement, shape.sql_values())
    connection.execute("VACUUM ANALYZE")


_USERS = """
INSERT INTO users (id, email, full_name, device_id)
SELECT md5('user' || n)::uuid, 'user-' || n || '@load.test', 'User ' || n, 'device-' || n
FROM generate_series(1, %(users)s) AS n
"""

# One in twenty of the unfinished that are at work has lost its worker, a few of them too often.
_TASKS = """
WITH shuffled AS (
    SELECT CASE WHEN n <= %(heavy_until)s THEN 1
        WHEN n <= %(busy_until)s THEN 2 + n %% %(busy)s
        ELSE 2 + %(busy)s + abs(hashint8extended(n, 1) %% %(typical)s) END AS person
    FROM generate_series(1, %(tasks)s) AS n ORDER BY hashint8extended(n, 2)
), numbered AS (
    SELECT person, n, %(tasks)s - n AS newer,
        now() - (%(tasks)s - n) * interval '90 days' / %(tasks)s AS made
    FROM (SELECT person, row_number() OVER () AS n FROM shuffled) x
), told AS (
    SELECT *, repeat(format('Summarise for the %%s team what was sold in %%s in week %%s. ',
            (ARRAY['sales', 'finance', 'support', 'product'])[1 + n %% 4],
            (ARRAY['Lisbon', 'Osaka', 'Lagos', 'Quito', 'Oslo'])[1 + n %% 5], n %% 52),
            (1 + n %% 7)::int) AS prompt,
        (ARRAY['docs', 'sheets', 'slides', 'research'])[1 + n %% 4] AS kind,
        CASE WHEN newer < %(published)s THEN 'pending' WHEN newer < %(unfinished)s THEN 'processing'
            WHEN n %% 100 < 96 THEN 'completed' WHEN n %% 100 < 98 THEN 'failed'
            ELSE 'cancelled' END AS status
    FROM numbered
)
INSERT INTO tasks (id, user_id, prompt, output_type, status, result, error_message, document_url,
    celery_task_id, metadata, created_at, started_at, completed_at, attempt, lease_until)
SELECT md5('task' || n)::uuid, md5('user' || person)::uuid, prompt, kind, status,
    CASE status WHEN 'completed'
        THEN kind || ' for a prompt of ' || length(prompt) || ' characters' END,
    CASE status WHEN 'failed' THEN 'simulated failure' END,
    CASE status WHEN 'completed' THEN 'https://documents.agenthq.invalid/' || kind || '/' || n END,
    CASE WHEN status <> 'pending' THEN md5('message' || n / 100)::uuid::text END,
    CASE n %% 3 WHEN 0 THEN '{"department": "sales", "priority": 2}'::jsonb ELSE '{}'::jsonb END,
    made,
    CASE WHEN status <> 'pending' THEN made + interval '1 s' END,
    CASE WHEN status NOT IN ('pending', 'processing') THEN made + interval '2 s' END,
    CASE WHEN status = 'pending' THEN 0 WHEN status = 'processing' AND n %% 100 = 0 THEN 5
        ELSE 1 END,
    CASE WHEN status = 'processing'
        THEN now() + CASE WHEN n %% 20 = 0 THEN interval '-1 hour' ELSE interval '1 hour' END END
FROM told ORDER BY n
"""

# An entry for each unfinished task and for a few that somebody ended by hand.
_OUTBOX = """
INSERT INTO outbox (task_id, seq, created_at, available_at, enqueued_at)
SELECT md5('task' || n)::uuid, nextval('outbox_id_seq'), now(),
    now() + CASE WHEN n %% 50 = 0 THEN interval '1 hour' ELSE interval '-1 s' END,
    CASE WHEN n <= %(tasks)s - %(new)s THEN
        now() + CASE WHEN n %% 20 = 0 THEN interval '-1 hour' ELSE interval '1 hour' END END
FROM generate_series(%(tasks)s - %(unfinished)s - 99, %(tasks)s) AS n
"""

# Of one task in twenty; the oldest hundred are to be forgotten.
_KEYS = """
INSERT INTO idempotency_keys (user_id, key, fingerprint, task_id, created_at)
SELECT user_id, 'key-' || id, decode(md5(prompt), 'hex'), id,
    now() + CASE WHEN row_number() OVER (ORDER BY created_at) <= 100
        THEN interval '-2 days' ELSE interval '-1 hour' END
FROM tasks WHERE get_byte(uuid_send(id), 0) < 13 ORDER BY created_at
"""

_LETTERS = """
INSERT INTO dead_letters (task_id, attempts, error)
SELECT id, 5, 'given up after 5 attempts: simulated trouble'
FROM tasks WHERE status = 'failed' AND get_byte(uuid_send(id), 0) < 26
"""

_TEAMS = """
INSERT INTO teams (id, name) SELECT md5('team' || n)::uuid, 'Team ' || n
FROM generate_series(1, 100) AS n
"""

_MEMBERS = """
INSERT INTO team_members (team_id, user_id)
SELECT md5('team' || 1 + n %% 100)::uuid, md5('user' || n)::uuid
FROM generate_series(1, %(users)s) AS n
"""

_LOGS = """
INSERT INTO activity_logs (id, team_id, user_id, action, resource_type, resource_id, ip_address,
    user_agent, created_at)
SELECT md5('log' || n)::uuid, md5('team' || 1 + n %% 100)::uuid,
    md5('user' || 1 + n %% %(users)s)::uuid, 'task.created', 'task', md5('task' || n)::uuid::text,
    '192.0.2.1', 'load test', now() - (%(tasks)s / 10 - n) * interval '1 minute'
FROM generate_series(1, %(tasks)s / 10) AS n
"""
