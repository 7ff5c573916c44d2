"""People."""

from datetime import datetime

from sqlalchemy import String, false, true
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, CreatedAt, UuidKey


class User(Base):
    """A person; a guest is known by the device."""

    __tablename__ = "users"

    id: Mapped[UuidKey]
    email: Mapped[str] = mapped_column(String(320), unique=True)
    full_name: Mapped[str] = mapped_column(String(255))
    device_id: Mapped[str | None] = mapped_column(String(255), unique=True)
    is_active: Mapped[bool] = mapped_column(server_default=true())
    is_admin: Mapped[bool] = mapped_column(server_default=false())
    # Tokens issued before this moment are refused: that is what a logout sets.
    tokens_valid_from: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]
