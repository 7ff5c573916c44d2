"""Who is asking."""

from typing import Annotated

from fastapi import Depends, HTTPException, status
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.database import SessionDep
from app.core.security import InvalidTokenError, TokenType, verify_token
from app.core.state import AppState, StateDep
from app.repositories import users
from app.repositories.users import UserRow

_bearer = HTTPBearer(auto_error=False)


def unauthorized() -> HTTPException:
    """401, always with the same words: they must not tell which check failed."""
    return HTTPException(
        status.HTTP_401_UNAUTHORIZED,
        "missing, invalid or expired token",
        headers={"WWW-Authenticate": "Bearer"},
    )


async def user_of_token(
    state: AppState, session: AsyncSession, token: str, token_type: TokenType
) -> UserRow:
    """The active user whom the token names.

    Raises:
        HTTPException: 401 for a bad token, an unknown or inactive user, or a token from before
            the user's last logout.
    """
    try:
        claims = verify_token(token, token_type, state.settings.jwt_secret.get_secret_value())
    except InvalidTokenError:
        raise unauthorized() from None
    user = await users.find(session, claims.user_id)
    if user is None or not user.accepts_token(claims.issued_at_s):
        raise unauthorized()
    return user


async def current_user(
    state: StateDep,
    session: SessionDep,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> UserRow:
    """The user of the request's access token; 401 if there is none."""
    if credentials is None:
        raise unauthorized()
    return await user_of_token(state, session, credentials.credentials, TokenType.ACCESS)


CurrentUser = Annotated[UserRow, Depends(current_user)]
