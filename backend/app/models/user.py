"""People."""

from sqlalchemy import String, false, text, true
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
    # A token counts only while it carries this; a logout raises it.
    token_version: Mapped[int] = mapped_column(server_default=text("0"))
    created_at: Mapped[CreatedAt]
