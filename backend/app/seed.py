"""Users for load tests: `python -m app.seed --users 10000 [--namespace loadtest]`.

Running it again inserts only the users that are missing.
"""

import argparse
import asyncio
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import asyncpg

from app.core.database import Database, Unavailable
from app.core.statement import Statement
from app.repositories import users
from app.repositories.users import NewUser
from app.settings import DatabaseSettings, load_or_exit
from app.sketch.indexes import use_guide_indexes

BATCH = 2000
# Only what holds something: of a table found empty PostgreSQL believes that it stays so, and plans
# sequential scans that it then keeps.
ANALYZE_USERS = Statement("analyze_users", "ANALYZE users")
ANALYZE_TASKS = Statement("analyze_tasks", "ANALYZE tasks")
PAST_TASKS = Statement(
    "insert_past_tasks",
    """INSERT INTO tasks (id, user_id, prompt, output_type, metadata, status, result, document_url,
            celery_task_id, attempt, created_at, started_at, completed_at)
        SELECT gen_random_uuid(), u.id, repeat('Write about what was sold where. ', 8), 'docs',
            '{"department": "sales"}', 'completed', 'docs for a prompt of 264 characters',
            'https://documents.agenthq.invalid/docs/' || u.id, gen_random_uuid()::text, 1, m, m, m
        FROM unnest($1::uuid[]) AS u(id), generate_series(1, $2) AS n,
            LATERAL (SELECT now() - random() * interval '1 day' + n * interval '1 us') AS t(m)""",
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be in the database."""

    namespace: str
    users: int
    tasks_per_user: int = 0
    indexes: str = "own"


def seeded_user_id(namespace: str, index: int) -> uuid.UUID:
    """The id of seeded user `index` (0-based) of `namespace`: a contract with load generators.

    uuid5(NAMESPACE_URL, "agenthq:{namespace}:{index}"). A generator that knows namespace, index
    and JWT_SECRET can mint the user's tokens without asking the API.
    """
    return uuid.uuid5(uuid.NAMESPACE_URL, f"agenthq:{namespace}:{index}")


def seeded_users(namespace: str, count: int) -> Iterator[NewUser]:
    """Users 0 .. count-1."""
    for index in range(count):
        name = f"{namespace}-{index}"
        yield NewUser(
            seeded_user_id(namespace, index), f"{name}@load.test", f"Load Test User {index}", name
        )


async def seed(url: str, wanted: Wanted) -> int:
    """Make the users exist, and what else is wanted; returns how many users were new.

    `url` is libpq's. Tasks are added at every call, completed ones, spread over the last day.
    """
    database = Database(url, "agenthq-seed", 1)
    await database.open()
    try:
        people = seeded_users(wanted.namespace, wanted.users)
        new = 0
        while batch := list(islice(people, BATCH)):
            new += await users.insert_missing(database, batch)
            if wanted.tasks_per_user:
                ids = [one.id for one in batch]
                await database.rows(PAST_TASKS, ids, wanted.tasks_per_user)
        if wanted.indexes == "guide":
            await use_guide_indexes(database)
        await database.rows(ANALYZE_USERS)
        if wanted.tasks_per_user:
            await database.rows(ANALYZE_TASKS)
        return new
    finally:
        await database.close()


def main() -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m app.seed", description=__doc__)
    parser.add_argument("--users", type=int, required=True, help="how many users")
    parser.add_argument("--namespace", default="loadtest", help="default: %(default)s")
    parser.add_argument("--tasks-per-user", type=int, default=0, help="completed tasks of each")
    parser.add_argument("--indexes", choices=["own", "guide"], default="own")
    given = parser.parse_args()
    if given.users < 0 or given.tasks_per_user < 0:
        parser.error("--users and --tasks-per-user must not be negative")
    settings = load_or_exit(DatabaseSettings)
    wanted = Wanted(given.namespace, given.users, given.tasks_per_user, given.indexes)
    started_s = time.perf_counter()
    try:
        new = asyncio.run(seed(settings.libpq_url, wanted))
    except (Unavailable, asyncpg.PostgresError) as error:
        print(f"cannot seed the database: {error}".splitlines()[0], file=sys.stderr)
        return 1
    took_s = time.perf_counter() - started_s
    print(f"{given.users} users, {new} of them new, in {took_s:.2f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
