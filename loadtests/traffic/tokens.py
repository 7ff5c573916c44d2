"""Who users are: access tokens signed with the target's key, or got from its guest login."""

import json
import uuid
from dataclasses import dataclass

import jwt

ALGORITHM = "HS256"
AUTH_SERIES = "auth"
"""Request name of logins and refreshes, which are reported apart from the mix."""


@dataclass(frozen=True)
class Token:
    """An access token; `expires_at` in seconds of the Unix epoch."""

    access: str
    expires_at: float
    refresh: str | None = None


def user_id(subject: str, user: int) -> str:
    """The id of user number `user`: uuid5(NAMESPACE_URL, subject), where `{user}` stands for the number."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, subject.format(user=user)))


def mint(secret: str, user: str, now_s: float, ttl_s: float) -> Token:
    """A token for the user with this id, valid from `now_s` for `ttl_s` seconds."""
    # Whole seconds, as RFC 7519's NumericDate is compared by most servers; a second back, so that it is never "not yet".
    issued = int(now_s) - 1
    expires = int(now_s + ttl_s)
    claims = {"sub": user, "type": "access", "iat": issued, "exp": expires}
    return Token(jwt.encode(claims, secret, algorithm=ALGORITHM), float(expires))


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
        return Token(data["access_token"], float(claims["exp"]), data.get("refresh_token"))
    except (KeyError, TypeError, jwt.InvalidTokenError) as error:
        raise ValueError(f"the login's answer holds no token: {error}") from error
