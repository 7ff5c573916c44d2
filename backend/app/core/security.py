"""Tokens: JWT, HS256 only, claims `sub`, `type`, `iat` and `exp`, all required."""

import time
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

import jwt

ALGORITHM = "HS256"
ACCESS_LIFETIME_S = 30 * 60
REFRESH_LIFETIME_S = 7 * 24 * 3600
# Tokens may be made on another machine; this much difference of the clocks is forgiven.
CLOCK_SKEW_S = 2

_REQUIRED = ["sub", "type", "iat", "exp"]


class TokenType(StrEnum):
    """An access token opens the API, a refresh token only gets new tokens."""

    ACCESS = "access"
    REFRESH = "refresh"


LIFETIME_S = {TokenType.ACCESS: ACCESS_LIFETIME_S, TokenType.REFRESH: REFRESH_LIFETIME_S}


class InvalidTokenError(Exception):
    """The token is not to be trusted, for whatever reason."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a valid token says: whose it is, and when it was issued (seconds since 1970)."""

    user_id: UUID
    issued_at_s: float


def mint_token(
    user_id: UUID, token_type: TokenType, secret: str, now_s: float | None = None
) -> str:
    """A signed token for `user_id`, valid from `now_s` (default: now) for its type's lifetime.

    `iat` keeps its fraction, so that a token made in the second of a logout, but after it, is
    told from one made before.
    """
    issued_at_s = time.time() if now_s is None else now_s
    claims = {
        "sub": str(user_id),
        "type": token_type.value,
        "iat": issued_at_s,
        "exp": int(issued_at_s) + LIFETIME_S[token_type],
    }
    return jwt.encode(claims, secret, algorithm=ALGORITHM)


def verify_token(token: str, token_type: TokenType, secret: str) -> Claims:
    """Check signature, algorithm, times and type.

    Raises:
        InvalidTokenError: any of them is wrong, a claim is missing, or `sub` is not a UUID.
    """
    try:
        payload = jwt.decode(
            token,
            secret,
            algorithms=[ALGORITHM],
            leeway=CLOCK_SKEW_S,
            options={"require": _REQUIRED},
        )
        claims = Claims(UUID(payload["sub"]), float(payload["iat"]))
    except (jwt.InvalidTokenError, ValueError, TypeError) as error:
        raise InvalidTokenError(str(error)) from error
    if payload["type"] != token_type.value:
        raise InvalidTokenError(f"not an {token_type.value} token")
    return claims
