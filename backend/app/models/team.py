"""Teams and what their members did."""

from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.dialects.postgresql import INET
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, CreatedAt, UuidKey, metadata_column


class Team(Base):
    """A group of users."""

    __tablename__ = "teams"

    id: Mapped[UuidKey]
    name: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[CreatedAt]


class TeamMember(Base):
    """One user's place in one team."""

    __tablename__ = "team_members"

    team_id: Mapped[UUID] = mapped_column(
        ForeignKey("teams.id", ondelete="CASCADE"), primary_key=True
    )
    user_id: Mapped[UUID] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    role: Mapped[str] = mapped_column(String(32), server_default="member")
    created_at: Mapped[CreatedAt]


class ActivityLog(Base):
    """Who did what to which resource, from where."""

    __tablename__ = "activity_logs"
    __table_args__ = (Index("ix_activity_logs_team_created", "team_id", text("created_at DESC")),)

    id: Mapped[UuidKey]
    team_id: Mapped[UUID] = mapped_column(ForeignKey("teams.id", ondelete="CASCADE"))
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    action: Mapped[str] = mapped_column(String(64))
    resource_type: Mapped[str] = mapped_column(String(64))
    resource_id: Mapped[str | None] = mapped_column(String(64))
    metadata_: Mapped[dict[str, Any]] = metadata_column()
    ip_address: Mapped[str | None] = mapped_column(INET)
    user_agent: Mapped[str | None] = mapped_column(String(512))
    created_at: Mapped[CreatedAt]
