"""Who is asking."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, HTTPException, Request, Response, status
from fastapi.security import HTTPBearer

from app.core.security import Claims, InvalidTokenError, TokenType
from app.core.state import AppState
from app.schemas.errors import Problem

# What a client of the user's may do with an answer: use it, not keep it.
NO_STORE = {"Cache-Control": "no-store"}
Responses = dict[int | str, dict[str, Any]]
# Declared by every route that needs a token.
REFUSED: Responses = {401: {"model": Problem, "description": "The token counts not, or no more."}}
# By those that take a body.
MALFORMED: Responses = {400: {"model": Problem, "description": "The body is no JSON in UTF-8."}}
# By every route.
AWAY: Responses = {503: {"model": Problem, "description": "The database is away; try again."}}


def unauthorized() -> HTTPException:
    """401, always with the same words: they must not tell which check failed."""
    return HTTPException(
        status.HTTP_401_UNAUTHORIZED,
        "missing, invalid or expired token",
        headers={"WWW-Authenticate": "Bearer"},
    )


def verified(state: AppState, token: str, token_type: TokenType) -> Claims:
    """The claims of the token; whether its version still counts, the statement says that uses them.

    Raises:
        HTTPException: 401 for a bad token.
    """
    try:
        return state.tokens.verify(token, token_type)
    except InvalidTokenError:
        raise unauthorized() from None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and what the answer is made with."""

    claims: Claims
    state: AppState


class _Bearer(HTTPBearer):
    """The request's access token, and what it says."""

    async def __call__(self, request: Request) -> Caller:  # type: ignore[override]
        """The caller; 401 if there is no good token."""
        state: AppState = request.app.state.shared
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise unauthorized()
        return Caller(verified(state, token, TokenType.ACCESS), state)


# One dependency, not three: FastAPI solves each anew for every request.
CallerDep = Annotated[Caller, Depends(_Bearer())]


def json_response(text: str, status_code: int = 200, **headers: str) -> Response:
    """An answer whose JSON is made already; nothing looks into it again."""
    return Response(text, status_code, {**NO_STORE, **headers}, "application/json")
