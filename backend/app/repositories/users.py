"""SQL about users."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.models import User


@dataclass(frozen=True, slots=True)
class UserRow:
    """What a request needs to know of a user."""

    id: UUID
    email: str
    full_name: str
    is_active: bool
    tokens_valid_from: datetime | None

    def accepts_token(self, issued_at_s: float) -> bool:
        """Whether a token issued then still counts: the user is active and has not logged out."""
        if not self.is_active:
            return False
        return self.tokens_valid_from is None or issued_at_s >= self.tokens_valid_from.timestamp()


_COLUMNS = (User.id, User.email, User.full_name, User.is_active, User.tokens_valid_from)


async def find(session: AsyncSession, user_id: UUID) -> UserRow | None:
    """The user, or None."""
    row = (await session.execute(select(*_COLUMNS).where(User.id == user_id))).one_or_none()
    return None if row is None else UserRow(*row)


async def find_or_create_guest(session: AsyncSession, device_id: str, name: str) -> UserRow:
    """The guest of this device; a new one is called `name`, an old one keeps its name."""
    found = await _find_by_device(session, device_id)
    if found is not None:
        return found
    user_id = uuid4()
    values = {
        "id": user_id,
        "email": f"guest-{user_id}@guest.agenthq.invalid",
        "full_name": name,
        "device_id": device_id,
    }
    statement = (
        pg_insert(User)
        .values(values)
        .on_conflict_do_nothing(index_elements=[User.device_id])
        .returning(*_COLUMNS)
    )
    row = (await session.execute(statement)).one_or_none()
    if row is not None:
        return UserRow(*row)
    # Another request was faster. Its row is committed by now (the insert waited for that), and
    # a new statement sees it.
    found = await _find_by_device(session, device_id)
    if found is None:
        raise RuntimeError("the guest of this device vanished while it was being found")
    return found


async def revoke_tokens(session: AsyncSession, user_id: UUID, before_s: float) -> None:
    """Refuse every token of the user issued before that moment (seconds since 1970)."""
    moment = datetime.fromtimestamp(before_s, UTC)
    await session.execute(update(User).where(User.id == user_id).values(tokens_valid_from=moment))


async def insert_missing(connection: AsyncConnection, users: Sequence[Mapping[str, Any]]) -> int:
    """Insert those of `users` that are not there yet; returns how many were inserted."""
    statement = pg_insert(User).on_conflict_do_nothing().returning(User.id)
    result = await connection.execute(statement, list(users))
    return len(result.all())


async def _find_by_device(session: AsyncSession, device_id: str) -> UserRow | None:
    statement = select(*_COLUMNS).where(User.device_id == device_id)
    row = (await session.execute(statement)).one_or_none()
    return None if row is None else UserRow(*row)
