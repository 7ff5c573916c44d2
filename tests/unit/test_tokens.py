"""Tokens: signed as the target wants them, and read from what it answers."""

import json
import uuid
from typing import Any

import jwt
import pytest

from loadtests.traffic.tokens import ALGORITHM, Token, from_login, guest_body, mint, refresh_body, user_id

SECRET = "a secret of more than thirty-two bytes"
NOW = 4_000_000_000.0
"""Far in the future, so that no clock that runs today calls these tokens expired."""


def claims_of(token: Token, secret: str = SECRET) -> dict[str, Any]:
    """What the token says, its signature checked; its times are compared by the tests themselves."""
    checked: dict[str, Any] = jwt.decode(
        token.access, secret, algorithms=[ALGORITHM], options={"verify_iat": False, "verify_exp": False}
    )
    return checked


def test_minted_token_verifies_under_the_key() -> None:
    """PyJWT accepts it with the key and refuses it with another."""
    token = mint(SECRET, "user-1", NOW, 1800)
    assert claims_of(token)["sub"] == "user-1"
    with pytest.raises(jwt.InvalidSignatureError):
        claims_of(token, SECRET[::-1])


def test_minted_token_names_no_other_algorithm() -> None:
    """The header says HS256, as the target expects."""
    assert jwt.get_unverified_header(mint(SECRET, "u", NOW, 60).access)["alg"] == "HS256"


def test_claims_of_a_minted_token() -> None:
    """Whole seconds: issued a second back, so that no target calls it premature; access type; expiry as asked."""
    assert claims_of(mint(SECRET, "u", NOW, 1800)) == {
        "sub": "u",
        "type": "access",
        "iat": 3_999_999_999,
        "exp": 4_000_001_800,
    }


@pytest.mark.parametrize(("now_s", "ttl_s"), [(NOW, 60.0), (NOW + 0.7, 60.0), (NOW + 0.5, 0.7), (NOW + 0.999, 1800.5)])
def test_expiry_that_is_told_is_the_one_that_is_signed(now_s: float, ttl_s: float) -> None:
    """A user who renews by `expires_at` never sends a token that the target calls expired."""
    token = mint(SECRET, "u", now_s, ttl_s)
    assert token.expires_at == claims_of(token)["exp"]
    assert token.expires_at <= now_s + ttl_s


def test_expired_token_is_refused_by_the_target() -> None:
    """A token of the year 2001 is over."""
    with pytest.raises(jwt.ExpiredSignatureError):
        jwt.decode(mint(SECRET, "u", 1e9, 1800).access, SECRET, algorithms=[ALGORITHM])


def test_user_id_is_the_documented_uuid() -> None:
    """uuid5 of the URL namespace over the subject with the user's number: the target's own seeding can compute it."""
    assert user_id("agenthq:loadtest:{user}", 42) == str(uuid.uuid5(uuid.NAMESPACE_URL, "agenthq:loadtest:42"))
    assert user_id("agenthq:loadtest:{user}", 42) == "3f6bca45-ec09-5c51-92bc-0fd817609299"
    assert len({user_id("u{user}", number) for number in range(1000)}) == 1000


def test_guest_and_refresh_bodies() -> None:
    """What a guest sends to log in, and to renew."""
    assert json.loads(guest_body("device-1", "Ada")) == {"device_id": "device-1", "name": "Ada"}
    assert json.loads(refresh_body(Token("a", 1.0, "r-1"))) == {"refresh_token": "r-1"}


def answer(**fields: Any) -> bytes:
    """The body of a login's answer."""
    return json.dumps(fields).encode()


def signed(**claims: Any) -> str:
    """A token of these claims under a key that the harness does not know."""
    return jwt.encode(claims, "the target's own key, thirty-two bytes", algorithm=ALGORITHM)


def test_token_of_a_login() -> None:
    """Access token, its expiry from its own claims, and the refresh token; the signature is the target's business."""
    access = signed(sub="x", exp=1234)
    token = from_login(answer(access_token=access, refresh_token="r", token_type="bearer", user={"id": "1"}))
    assert token == Token(access, 1234.0, "r")


def test_login_without_a_refresh_token() -> None:
    """A refresh's answer may carry an access token alone."""
    assert from_login(answer(access_token=signed(exp=5))).refresh is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"\xff\xfe",
        b"null",
        b"[]",
        b'"text"',
        b"{}",
        answer(access_token=None),
        answer(access_token=5),
        answer(access_token="no.token.at-all"),
        answer(access_token=""),
        answer(access_token=signed(sub="x")),
        answer(access_token=signed(sub="x", exp=None)),
        answer(token=signed(exp=5)),
    ],
    ids=[
        "empty",
        "html",
        "bytes",
        "null",
        "list",
        "string",
        "object",
        "null token",
        "number",
        "garbage",
        "empty token",
        "no expiry",
        "null expiry",
        "another key",
    ],
)
def test_login_without_a_token_is_refused(body: bytes) -> None:
    """Whatever a target answers, it is a token or a ValueError, never another exception."""
    with pytest.raises(ValueError, match=r".+"):
        from_login(body)


def test_moment_of_issue() -> None:
    """What the token says, so that its life is known whatever the clocks say; None where it does not."""
    assert from_login(answer(access_token=signed(exp=90, iat=70))).issued_at == 70.0
    assert from_login(answer(access_token=signed(exp=90))).issued_at is None


@pytest.mark.parametrize("issued_at", [NOW - 3600, NOW, NOW + 120])
def test_a_token_ends_by_the_clock_of_who_got_it(issued_at: float) -> None:
    """How long it lives is sure, whatever the time is where it comes from; without a moment of issue its end is believed."""
    token = Token("a", issued_at + 60, issued_at=issued_at).got_at(NOW)
    assert (token.issued_at, token.expires_at) == (NOW, NOW + 60)
    assert Token("a", NOW + 7).got_at(NOW) == Token("a", NOW + 7, issued_at=NOW)


def test_refresh_token_is_kept_where_a_refresh_brings_none() -> None:
    """A new one takes the place of the old one; without, the old one stays good."""
    assert Token("a", 1.0, "new").with_refresh("old").refresh == "new"
    assert Token("a", 1.0).with_refresh("old") == Token("a", 1.0, "old")
