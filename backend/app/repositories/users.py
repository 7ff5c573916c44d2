"""Statements about users."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID, uuid4

from app.core.database import Database, Row
from app.core.security import Claims
from app.core.statement import Statement

_COLUMNS = "id, email, full_name, token_version"

FIND = Statement(
    "find_user",
    f"SELECT {_COLUMNS} FROM users WHERE id = $1 AND token_version = $2 AND is_active",
)
FIND_GUEST = Statement(
    "find_guest", f"SELECT {_COLUMNS}, is_active FROM users WHERE device_id = $1"
)
CREATE_GUEST = Statement(
    "create_guest",
    f"""INSERT INTO users (id, email, full_name, device_id) VALUES ($1, $2, $3, $4)
        ON CONFLICT (device_id) DO NOTHING RETURNING {_COLUMNS}, is_active""",
)
REVOKE = Statement(
    "revoke_tokens",
    """UPDATE users SET token_version = token_version + 1
        WHERE id = $1 AND token_version = $2 AND is_active RETURNING id""",
)
INSERT_MISSING = Statement(
    "insert_users",
    """INSERT INTO users (id, email, full_name, device_id)
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[])
        ON CONFLICT DO NOTHING RETURNING id""",
)

STATEMENTS = (FIND, FIND_GUEST, CREATE_GUEST, REVOKE)


@dataclass(frozen=True, slots=True)
class User:
    """What a request needs to know of a user."""

    id: UUID
    email: str
    full_name: str
    token_version: int


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user to store."""

    id: UUID
    email: str
    full_name: str
    device_id: str


async def find(database: Database, claims: Claims) -> User | None:
    """The active user whom the claims name, if they count."""
    row = await database.row(FIND, claims.user_id, claims.version)
    return None if row is None else _user(row)


async def find_or_create_guest(database: Database, device_id: str, name: str) -> User | None:
    """The guest of this device; a new one is called `name`, an old one keeps its name.

    None if the user is not active.
    """
    row = await database.row(FIND_GUEST, device_id)
    if row is None:
        user_id = uuid4()
        email = f"guest-{user_id}@guest.agenthq.invalid"
        row = await database.row(CREATE_GUEST, user_id, email, name, device_id)
    if row is None:
        # Another request was faster, and has committed: the insert waited for that.
        row = await database.row(FIND_GUEST, device_id)
    if row is None:
        raise RuntimeError("the guest of this device vanished while it was being found")
    return _user(row) if row["is_active"] else None


async def revoke_tokens(database: Database, claims: Claims) -> bool:
    """Refuse every token that the user has; False if the one of the claims counts no more."""
    return await database.row(REVOKE, claims.user_id, claims.version) is not None


async def insert_missing(database: Database, users: Iterable[NewUser]) -> int:
    """Insert those of `users` that are not there yet; returns how many were inserted."""
    columns = zip(*((u.id, u.email, u.full_name, u.device_id) for u in users), strict=True)
    return len(await database.rows(INSERT_MISSING, *map(list, columns)))


def _user(row: Row) -> User:
    return User(row["id"], row["email"], row["full_name"], row["token_version"])
