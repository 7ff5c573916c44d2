"""Guest login, and the life of tokens."""

import time

from fastapi import APIRouter, status

from app.api.v1 import API_PREFIX
from app.api.v1.dependencies import CurrentUser, unauthorized, user_of_token
from app.core.database import SessionDep
from app.core.security import TokenType, mint_token
from app.core.state import AppState, StateDep
from app.repositories import users
from app.repositories.users import UserRow
from app.schemas.auth import GuestRequest, GuestTokens, RefreshRequest, Tokens, UserOut

router = APIRouter(prefix=f"{API_PREFIX}/auth", tags=["auth"])


@router.post("/guest")
async def guest(body: GuestRequest, state: StateDep, session: SessionDep) -> GuestTokens:
    """Find or create the guest of a device, and give tokens."""
    user = await users.find_or_create_guest(session, body.device_id, body.name)
    if not user.is_active:
        raise unauthorized()
    access, refresh = _mint_pair(state, user)
    return GuestTokens(access_token=access, refresh_token=refresh, user=_user_out(user))


@router.get("/me")
async def me(user: CurrentUser) -> UserOut:
    """The user of the token."""
    return _user_out(user)


@router.post("/refresh")
async def refresh(body: RefreshRequest, state: StateDep, session: SessionDep) -> Tokens:
    """Trade a refresh token for new tokens."""
    user = await user_of_token(state, session, body.refresh_token, TokenType.REFRESH)
    access, refresh_token = _mint_pair(state, user)
    return Tokens(access_token=access, refresh_token=refresh_token)


@router.post("/logout", status_code=status.HTTP_204_NO_CONTENT)
async def logout(user: CurrentUser, session: SessionDep) -> None:
    """Refuse from now on every token that the user has, on every device."""
    await users.revoke_tokens(session, user.id, before_s=time.time())


def _mint_pair(state: AppState, user: UserRow) -> tuple[str, str]:
    secret = state.settings.jwt_secret.get_secret_value()
    return (
        mint_token(user.id, TokenType.ACCESS, secret),
        mint_token(user.id, TokenType.REFRESH, secret),
    )


def _user_out(user: UserRow) -> UserOut:
    return UserOut(id=user.id, email=user.email, full_name=user.full_name)
