"""Guest login, and the life of tokens."""

from fastapi import APIRouter, Depends, HTTPException, Request, Response, status

from app.api.v1 import API_PREFIX
from app.api.v1.dependencies import (
    AWAY,
    MALFORMED,
    NO_STORE,
    REFUSED,
    CallerDep,
    unauthorized,
    verified,
)
from app.core.limits import WINDOW_S, login_allowed
from app.core.security import TokenType
from app.core.state import AppState, StateDep
from app.repositories import users
from app.repositories.users import User
from app.schemas.auth import GuestRequest, GuestTokens, RefreshRequest, Tokens, UserOut
from app.schemas.errors import Problem

router = APIRouter(prefix=f"{API_PREFIX}/auth", tags=["auth"], responses=AWAY)


async def _limit_logins(request: Request, state: StateDep) -> None:
    """Refuse an address that logs in too often."""
    if not await login_allowed(state, _address(request, state)):
        raise HTTPException(
            status.HTTP_429_TOO_MANY_REQUESTS,
            "too many logins from this address",
            headers={"Retry-After": str(WINDOW_S)},
        )


@router.post(
    "/guest",
    dependencies=[Depends(_limit_logins)],
    responses={
        **MALFORMED,
        **REFUSED,
        429: {"model": Problem, "description": "Too many logins."},
    },
)
async def guest(body: GuestRequest, state: StateDep, response: Response) -> GuestTokens:
    """Find or create the guest of a device, and give tokens."""
    user = await users.find_or_create_guest(state.database, body.device_id, body.name)
    if user is None:
        raise unauthorized()
    response.headers.update(NO_STORE)
    access, refresh = _mint_pair(state, user)
    return GuestTokens(access_token=access, refresh_token=refresh, user=_user_out(user))


@router.get("/me", responses=REFUSED)
async def me(caller: CallerDep, response: Response) -> UserOut:
    """The user of the token."""
    user = await users.find(caller.state.database, caller.claims)
    if user is None:
        raise unauthorized()
    response.headers.update(NO_STORE)
    return _user_out(user)


@router.post("/refresh", responses={**MALFORMED, **REFUSED})
async def refresh(body: RefreshRequest, state: StateDep, response: Response) -> Tokens:
    """Trade a refresh token for new tokens."""
    claims = verified(state, body.refresh_token, TokenType.REFRESH)
    user = await users.find(state.database, claims)
    if user is None:
        raise unauthorized()
    response.headers.update(NO_STORE)
    access, refresh_token = _mint_pair(state, user)
    return Tokens(access_token=access, refresh_token=refresh_token)


@router.post("/logout", status_code=status.HTTP_204_NO_CONTENT, responses=REFUSED)
async def logout(caller: CallerDep) -> None:
    """Refuse from now on every token that the user has, on every device."""
    if not await users.revoke_tokens(caller.state.database, caller.claims):
        raise unauthorized()
    if caller.state.cache is not None:
        await caller.state.cache.changed([caller.claims.user_id])


def _mint_pair(state: AppState, user: User) -> tuple[str, str]:
    return (
        state.tokens.mint(user.id, TokenType.ACCESS, user.token_version),
        state.tokens.mint(user.id, TokenType.REFRESH, user.token_version),
    )


def _user_out(user: User) -> UserOut:
    return UserOut(id=user.id, email=user.email, full_name=user.full_name)


def _address(request: Request, state: AppState) -> str:
    if state.settings.trust_proxy and (told := request.headers.get("x-real-ip")):
        return told
    return request.client.host if request.client else "unknown"
