"""Tokens: JWT, HS256 only, claims `sub`, `type`, `iat` and `exp` required, `ver` allowed."""

import time
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from uuid import UUID

import jwt

from app.core import metrics

ALGORITHM = "HS256"
ACCESS_LIFETIME_S = 30 * 60
REFRESH_LIFETIME_S = 7 * 24 * 3600
# Tokens may be made on another machine; this much difference of the clocks is forgiven.
CLOCK_SKEW_S = 2
# Longer than any token that is made here; what is longer is not worth a signature.
MAX_TOKEN_LENGTH = 2048
MAX_VERSION = 2**31 - 1

_REQUIRED = ["sub", "type", "iat", "exp"]


class TokenType(StrEnum):
    """An access token opens the API, a refresh token only gets new tokens."""

    ACCESS = "access"
    REFRESH = "refresh"


LIFETIME_S = {TokenType.ACCESS: ACCESS_LIFETIME_S, TokenType.REFRESH: REFRESH_LIFETIME_S}
"""Unless the settings say otherwise."""


class InvalidTokenError(Exception):
    """The token is not to be trusted, for whatever reason."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a valid token says: whose it is, of which version, and until when (seconds since 1970).

    A logout raises the user's version, which refuses every token made before. A token without
    `ver` has version 0, that of a user who never logged out.
    """

    user_id: UUID
    version: int
    type: str
    expires_at_s: float


class Tokens:
    """Makes and checks tokens; those found good are remembered, `cache_size` of them."""

    def __init__(
        self, secret: str, cache_size: int, access_lifetime_s: int = ACCESS_LIFETIME_S
    ) -> None:
        self._secret = secret
        self._lifetime_s = {**LIFETIME_S, TokenType.ACCESS: access_lifetime_s}
        # A token that is refused raises, and so is never remembered.
        self._verified = lru_cache(cache_size)(self._verify)

    def mint(
        self, user_id: UUID, token_type: TokenType, version: int, now_s: float | None = None
    ) -> str:
        """A signed token, valid from `now_s` (default: now) for its type's lifetime."""
        issued_at_s = int(time.time() if now_s is None else now_s)
        claims = {
            "sub": str(user_id),
            "type": token_type.value,
            "iat": issued_at_s,
            "exp": issued_at_s + self._lifetime_s[token_type],
            "ver": version,
        }
        return jwt.encode(claims, self._secret, algorithm=ALGORITHM)

    def verify(self, token: str, token_type: TokenType) -> Claims:
        """Check signature, algorithm, times and type; of a token seen before, only what can change.

        Raises:
            InvalidTokenError: any of them is wrong, a claim is missing, or `sub` is not a UUID.
        """
        if len(token) > MAX_TOKEN_LENGTH:
            raise InvalidTokenError("too long")
        claims = self._verified(token)
        if claims.expires_at_s + CLOCK_SKEW_S <= time.time():
            raise InvalidTokenError("expired")
        if claims.type != token_type:
            raise InvalidTokenError(f"not an {token_type.value} token")
        return claims

    @property
    def remembered(self) -> int:
        """How many tokens are remembered now."""
        return self._verified.cache_info().currsize

    def _verify(self, token: str) -> Claims:
        metrics.TOKENS.inc()
        try:
            payload = jwt.decode(
                token,
                self._secret,
                algorithms=[ALGORITHM],
                leeway=CLOCK_SKEW_S,
                options={"require": _REQUIRED},
            )
            version = payload.get("ver", 0)
            if type(version) is not int or not 0 <= version <= MAX_VERSION:
                raise InvalidTokenError("ver is not a version")
            return Claims(
                UUID(payload["sub"]), version, str(payload["type"]), float(payload["exp"])
            )
        except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError) as error:
            raise InvalidTokenError(str(error)) from error
