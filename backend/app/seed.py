"""Users for load tests: `python -m app.seed --users 10000 [--namespace loadtest]`.

Running it again inserts only what is missing.
"""

import argparse
import asyncio
import sys
import time
import uuid
from collections.abc import Iterator
from itertools import islice

import asyncpg

from app.core.database import Database, Unavailable
from app.repositories import users
from app.repositories.users import NewUser
from app.settings import DatabaseSettings, load_or_exit

BATCH = 2000


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


async def seed(url: str, namespace: str, count: int) -> int:
    """Make users 0 .. count-1 exist; returns how many were new. `url` is libpq's."""
    database = Database(url, "agenthq-seed", 1)
    await database.open()
    try:
        people = seeded_users(namespace, count)
        new = 0
        while batch := list(islice(people, BATCH)):
            new += await users.insert_missing(database, batch)
        return new
    finally:
        await database.close()


def main() -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m app.seed", description=__doc__)
    parser.add_argument("--users", type=int, required=True, help="how many users")
    parser.add_argument("--namespace", default="loadtest", help="default: %(default)s")
    arguments = parser.parse_args()
    if arguments.users < 0:
        parser.error("--users must not be negative")
    settings = load_or_exit(DatabaseSettings)
    started_s = time.perf_counter()
    try:
        new = asyncio.run(seed(settings.libpq_url, arguments.namespace, arguments.users))
    except (Unavailable, asyncpg.PostgresError) as error:
        print(f"cannot seed the database: {error}".splitlines()[0], file=sys.stderr)
        return 1
    took_s = time.perf_counter() - started_s
    print(f"{arguments.users} users, {new} of them new, in {took_s:.2f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
