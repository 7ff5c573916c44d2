"""Who users are: access tokens signed with the target's key, or got from its guest login."""

import json
import uuid
from dataclasses import dataclass, replace

import jwt

ALGORITHM = "HS256"
LOGIN_SERIES, REFRESH_SERIES = "auth_login", "auth_refresh"
AUTH_SERIES = (LOGIN_SERIES, REFRESH_SERIES)
"""Request names of logins and refreshes, which are reported apart from the mix."""


@dataclass(frozen=True)
class Token:
    """An access token; moments in seconds of the Unix epoch."""

    access: str
    expires_at: float
    refresh: str | None = None
    issued_at: float | None = None
    """None when it does not say so."""

    def with_refresh(self, refresh: str | None) -> "Token":
        """The same token, with the refresh token of the one before where it brought none of its own."""
        return self if self.refresh is not None else replace(self, refresh=refresh)

    def got_at(self, asked: float) -> "Token":
        """The same token by the clock of who asked for it then: its issuer's may be wrong, but how long it lives is sure.

        One that does not say when it was issued is taken at its word.
        """
        if self.issued_at is None:
            return replace(self, issued_at=asked)
        return replace(self, expires_at=asked + self.expires_at - self.issued_at, issued_at=asked)


def user_id(subject: str, user: int) -> str:
    """The id of user number `user`: uuid5(NAMESPACE_URL, subject), where `{user}` stands for the number."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, subject.format(user=user)))


def mint(secret: str, user: str, now_s: float, ttl_s: float) -> Token:
    """A token for the user with this id, valid from `now_s` for `ttl_s` seconds."""
    # Whole seconds, as RFC 7519's NumericDate is compared by most servers; a second back, so that it is never "not yet".
    issued = int(now_s) - 1
    expires = int(now_s + ttl_s)
    claims = {"sub": user, "type": "access", "iat": issued, "exp": expires}
    return Token(jwt.encode(claims, secret, algorithm=ALGORITHM), float(expires), issued_at=float(issued))


def guest_body(device: str, name: str) -> bytes:
    """Body of a guest login."""
    return json.dumps({"device_id": device, "name": name}).encode()


def refresh_body(token: Token) -> bytes:
    """Body of a refresh."""
    return json.dumps({"refresh_token": token.refresh}).encode()


def from_login(body: bytes) -> Token:
    """The token of a login's or refresh's answer. Raises ValueError when it has none."""
    try:
        data = json.loads(body)
        claims = jwt.decode(data["access_token"], options={"verify_signature": False})
        issued = claims.get("iat")
        issued_at = None if issued is None else float(issued)
        return Token(data["access_token"], float(claims["exp"]), data.get("refresh_token"), issued_at)
    except (KeyError, TypeError, jwt.InvalidTokenError) as error:
        raise ValueError(f"the login's answer holds no token: {error}") from error
