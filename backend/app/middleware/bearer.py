"""The token of a request, where there is no FastAPI yet."""

from starlette.types import Scope

from app.core.security import Claims, InvalidTokenError, Tokens, TokenType


def header(scope: Scope, name: bytes) -> bytes | None:
    """The first header of that (lower case) name."""
    for key, value in scope["headers"]:
        if key == name:
            found: bytes = value
            return found
    return None


def claims_of(scope: Scope, tokens: Tokens) -> Claims | None:
    """What the request's access token says; None if it has no good one."""
    scheme, _, token = (header(scope, b"authorization") or b"").partition(b" ")
    if scheme.lower() != b"bearer":
        return None
    try:
        return tokens.verify(token.decode("ascii"), TokenType.ACCESS)
    except (InvalidTokenError, UnicodeDecodeError):
        return None
