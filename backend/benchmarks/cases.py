"""Every statement of the application, and the values that each is measured with."""

import importlib
import pkgutil
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import ModuleType
from typing import Any
from uuid import UUID, uuid4

from psycopg import Connection

from app import repositories
from app.core.statement import Statement
from app.repositories import outbox, work
from app.schemas.tasks import MAX_OFFSET
from app.seed import BATCH as SEED_BATCH
from app.settings import ApiSettings, WorkerSettings
from app.workers.engine import END_BATCH
from app.workers.relay import BATCH as RELAY_BATCH
from app.workers.relay import KEY_AGE_S
from benchmarks.dataset import Shape, user_id

TYPICAL = "typical user"
_PAGE = 20
_VERSION = 0  # nobody here has logged out
_CREATE_BATCH: int = ApiSettings.model_fields["create_batch"].default
_TASK_BATCH: int = WorkerSettings.model_fields["task_batch"].default
_CAPACITY: int = WorkerSettings.model_fields["worker_capacity"].default
_LEASE_S: float = WorkerSettings.model_fields["task_lease_s"].default
_MAX_ATTEMPTS: int = WorkerSettings.model_fields["task_max_attempts"].default
_PROCESSES = {work.__name__: "worker", outbox.__name__: "relay"}
_BODY = ("Write about what was sold where. " * 8, "docs", '{"department": "sales"}')


@dataclass(frozen=True, slots=True)
class Query:
    """A statement of the application; `sql` has PostgreSQL's own $1, $2."""

    name: str
    sql: str
    process: str = "api"
    """Which kind of process runs it, for each has connections of its own kind."""


@dataclass(frozen=True, slots=True)
class Case:
    """Values for a query: `$1`, `$2` and so on."""

    about: str
    values: Sequence[object] = ()


def queries() -> list[Query]:
    """Every statement of app/repositories, whether a tuple `STATEMENTS` names it or not."""
    found = [
        Query(value.name, value.sql, _PROCESSES.get(module.__name__, "api"))
        for module in _repositories()
        for value in vars(module).values()
        if isinstance(value, Statement)
    ]
    # psycopg's have no names but those of their constants.
    return found + [
        Query(f"relay{name.lower()}", _numbered(value), "relay")
        for name, value in vars(outbox).items()
        if name.isupper() and isinstance(value, str)
    ]


def _repositories() -> list[ModuleType]:
    names = [one.name for one in pkgutil.iter_modules(repositories.__path__)]
    return [importlib.import_module(f"{repositories.__name__}.{name}") for name in names]


def _numbered(text: str) -> str:
    """Names like %(limit)s as $1, $2, which is how psycopg gives them to the server."""
    names = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", text)))
    return re.sub(r"%\((\w+)\)s", lambda found: f"${names.index(found[1]) + 1}", text)


def differences(found: Sequence[Query], values: Mapping[str, object]) -> list[str]:
    """A line for each query without values, and for values of a query that is no more."""
    names = {query.name for query in found}
    return [
        *(
            f"{name}: benchmarks/cases.py has no values for it"
            for name in sorted(names - {*values})
        ),
        *(f"{name}: values for no such statement" for name in sorted({*values} - names)),
    ]


@dataclass(frozen=True, slots=True)
class World:
    """The filled database, which is asked for values that occur in it."""

    connection: Connection[Any]
    shape: Shape

    @property
    def heavy(self) -> UUID:
        """The user with the most tasks."""
        return user_id(1)

    @property
    def busy(self) -> UUID:
        """A user with 1,000 tasks."""
        return user_id(2)

    @property
    def typical(self) -> UUID:
        """A user with about 100 tasks."""
        return user_id(self.shape.users - 1)

    @property
    def empty(self) -> UUID:
        """A user without tasks."""
        return user_id(self.shape.users)

    def tasks_of(self, owner: UUID, status: str = "%") -> list[tuple[UUID, datetime]]:
        """Ids and times of the owner's tasks, newest first."""
        return self._rows(
            """SELECT id, created_at FROM tasks WHERE user_id = %s AND status LIKE %s
                ORDER BY created_at DESC, id DESC""",
            owner,
            status,
        )

    def tasks_in(self, status: str, count: int) -> tuple[list[UUID], list[int]]:
        """Ids and attempts of tasks in that status."""
        rows = self._rows("SELECT id, attempt FROM tasks WHERE status = %s LIMIT %s", status, count)
        return [row[0] for row in rows], [row[1] for row in rows]

    def task_in(self, status: str) -> tuple[UUID, UUID]:
        """Somebody who has a task in that status, and the task."""
        rows = self._rows("SELECT user_id, id FROM tasks WHERE status = %s LIMIT 1", status)
        return rows[0][0], rows[0][1]

    def key(self) -> tuple[UUID, str]:
        """Somebody who has given an idempotency key, and the key."""
        rows = self._rows("SELECT user_id, key FROM idempotency_keys LIMIT 1")
        return rows[0][0], rows[0][1]

    def _rows(self, statement: str, *values: object) -> list[Any]:
        return self.connection.execute(statement, values).fetchall()


def _create(world: World) -> list[Case]:
    def batch(count: int) -> Case:
        owners = [user_id(1 + number % world.shape.users) for number in range(count)]
        prompt, kind, metadata = ([one] * count for one in _BODY)
        ids = [uuid4() for _ in owners]
        return Case(
            f"a batch of {count}", [owners, [_VERSION] * count, ids, prompt, kind, metadata]
        )

    return [batch(1), batch(_CREATE_BATCH)]


def _create_once(world: World) -> list[Case]:
    owner, key = world.key()
    given = [owner, _VERSION, uuid4(), *_BODY]
    return [
        Case("a new key", [*given, "a new one", bytes(32)]),
        Case("a key that is taken", [*given, key, bytes(32)]),
    ]


def _find_by_key(world: World) -> list[Case]:
    owner, key = world.key()
    return [
        Case("known", [owner, _VERSION, key]),
        Case("unknown", [owner, _VERSION, "of nobody"]),
    ]


def _pages(world: World) -> list[Case]:
    return [
        Case(TYPICAL, [world.typical, _VERSION, _PAGE, 0]),
        Case("busy user", [world.busy, _VERSION, _PAGE, 0]),
        Case("heavy user", [world.heavy, _VERSION, _PAGE, 0]),
        Case("heavy user, page 100", [world.heavy, _VERSION, _PAGE, 99 * _PAGE]),
        Case("heavy user, last page allowed", [world.heavy, _VERSION, _PAGE, MAX_OFFSET]),
        Case("user without tasks", [world.empty, _VERSION, _PAGE, 0]),
    ]


def _pages_in_status(world: World) -> list[Case]:
    return [
        *(Case(f"{one.about}, completed", [*one.values, "completed"]) for one in _pages(world)),
        Case(f"{TYPICAL}, processing", [world.typical, _VERSION, _PAGE, 0, "processing"]),
        Case("heavy user, processing", [world.heavy, _VERSION, _PAGE, 0, "processing"]),
    ]


def _behind(world: World, owner: UUID, depth: int, status: str = "%") -> list[object]:
    """Values of a page that begins behind the task at `depth`, or behind the owner's last."""
    found = world.tasks_of(owner, status) or world.tasks_of(world.heavy)
    task, made = found[min(depth, len(found)) - 1]
    return [owner, _VERSION, _PAGE, made, task]


def _pages_behind(world: World) -> list[Case]:
    return [
        Case(f"{TYPICAL}, second page", _behind(world, world.typical, _PAGE)),
        Case("heavy user, second page", _behind(world, world.heavy, _PAGE)),
        Case("heavy user, behind 40,000", _behind(world, world.heavy, 40_000)),
        Case("user without tasks", _behind(world, world.empty, _PAGE)),
    ]


def _pages_behind_in_status(world: World) -> list[Case]:
    def case(about: str, owner: UUID, depth: int, status: str) -> Case:
        return Case(f"{about}, {status}", [*_behind(world, owner, depth, status), status])

    return [
        case(f"{TYPICAL}, second page", world.typical, _PAGE, "completed"),
        case("heavy user, behind 40,000", world.heavy, 40_000, "completed"),
        case("heavy user, second page", world.heavy, _PAGE, "pending"),
        # All of the heavy user's completed tasks lie between the cursor and the ones asked for.
        Case(
            "heavy user, behind the newest, failed",
            [*_behind(world, world.heavy, 1), "failed"],
        ),
        case("user without tasks", world.empty, _PAGE, "completed"),
    ]


def _one_task(world: World) -> list[Case]:
    owner = world.typical
    return [
        Case("own", [owner, _VERSION, world.tasks_of(owner)[0][0]]),
        Case("somebody else's", [owner, _VERSION, world.tasks_of(world.heavy)[0][0]]),
    ]


def _cancel(world: World) -> list[Case]:
    cases = []
    for status in ("pending", "processing", "completed"):
        owner, task = world.task_in(status)
        cases.append(Case(status, [owner, _VERSION, task]))
    return cases


def _guest(world: World) -> list[Case]:
    del world
    return [
        Case("new", [uuid4(), f"{uuid4()}@load.test", "Guest", "a device of nobody"]),
        Case("known", [uuid4(), f"{uuid4()}@load.test", "Guest", "device-7"]),
    ]


def _insert_users(world: World) -> list[Case]:
    del world
    names = [f"seeded-{number}" for number in range(SEED_BATCH)]
    ids, emails = [uuid4() for _ in names], [f"{name}@load.test" for name in names]
    return [Case(f"a batch of {SEED_BATCH:,}", [ids, emails, names, names])]


def _claim(world: World) -> list[Case]:
    return [
        Case(f"a message of {count}", [world.tasks_in("pending", count)[0], "message", _LEASE_S])
        for count in (1, _TASK_BATCH)
    ]


def _renew(world: World) -> list[Case]:
    return [
        Case(about, [*world.tasks_in("processing", count), _LEASE_S])
        for about, count in (("100 tasks", 100), ("all that a worker may have", _CAPACITY))
    ]


def _end(world: World) -> list[Case]:
    def batch(about: str, count: int, status: str, dead: bool = False) -> Case:
        ids, attempts = world.tasks_in("processing", count)
        result = "docs for a prompt of 264 characters" if status == "completed" else None
        url = "https://documents.agenthq.invalid/docs" if status == "completed" else None
        error = None if status == "completed" else "simulated trouble"
        each = (status, result, url, error, 1.0, dead)
        return Case(about, [ids, attempts, *([one] * len(ids) for one in each)])

    return [
        batch("1 completed", 1, "completed"),
        batch(f"{END_BATCH} completed", END_BATCH, "completed"),
        batch(f"{END_BATCH} to be repeated", END_BATCH, "pending"),
        batch(f"{END_BATCH} given up", END_BATCH, "failed", dead=True),
    ]


VALUES: Mapping[str, Callable[[World], Sequence[Case]]] = {
    "create_tasks": _create,
    "create_task_once": _create_once,
    "find_task_by_key": _find_by_key,
    "list_tasks": _pages,
    "list_tasks_status": _pages_in_status,
    "list_tasks_after": _pages_behind,
    "list_tasks_status_after": _pages_behind_in_status,
    "find_task": _one_task,
    "cancel_task": _cancel,
    "find_user": lambda world: [Case("known", [world.typical, _VERSION])],
    "find_guest": lambda _: [Case("known", ["device-7"]), Case("unknown", ["of nobody"])],
    "create_guest": _guest,
    "revoke_tokens": lambda world: [Case("known", [world.typical, _VERSION])],
    "insert_users": _insert_users,
    "claim_tasks": _claim,
    "renew_leases": _renew,
    "end_tasks": _end,
    "relay_claim_new": lambda _: [Case(f"a batch of {RELAY_BATCH:,}", [RELAY_BATCH])],
    "relay_claim_stale": lambda _: [Case(f"a batch of {RELAY_BATCH:,}", [_LEASE_S, RELAY_BATCH])],
    "relay_delete_ended": lambda _: [Case("all", [_LEASE_S])],
    "relay_give_up": lambda _: [Case("all", [_LEASE_S, _MAX_ATTEMPTS])],
    "relay_forget_keys": lambda _: [Case("all", [KEY_AGE_S])],
    "relay_depth": lambda _: [Case("all")],
    "relay_unclaimed": lambda _: [Case("all")],
}
"""What gives each statement its cases, by the statement's name."""
