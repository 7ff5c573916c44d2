"""Bodies of /auth."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from app.schemas.text import StorableText

Label = Annotated[StorableText, Field(min_length=1, max_length=255)]


class GuestRequest(BaseModel):
    """Who asks: a device, and the name to show."""

    device_id: Label
    name: Label


class RefreshRequest(BaseModel):
    """A refresh token to trade for new tokens."""

    refresh_token: str


class UserOut(BaseModel):
    """A user as others may see it."""

    id: UUID
    email: str
    full_name: str


class Tokens(BaseModel):
    """An access token (30 minutes) and a refresh token (7 days)."""

    access_token: str
    refresh_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the name of a scheme, no password


class GuestTokens(Tokens):
    """Tokens, and whose they are."""

    user: UserOut
