"""Tokens: which are good, for how long, and how many are remembered."""

import time
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core import security
from app.core.security import (
    CLOCK_SKEW_S,
    LIFETIME_S,
    MAX_TOKEN_LENGTH,
    MAX_VERSION,
    REFRESH_LIFETIME_S,
    Claims,
    InvalidTokenError,
    Tokens,
    TokenType,
)
from tests.support import metric

SECRET = "0123456789abcdef" * 4
USER = UUID(int=7)
ACCESS = TokenType.ACCESS
CACHE_SIZE = 4


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now_s = float(int(time.time()))

    def time(self) -> float:
        """As time.time."""
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock by which remembered tokens are judged."""
    moved = Clock()
    monkeypatch.setattr(security, "time", moved)
    return moved


@pytest.fixture
def tokens() -> Tokens:
    """A maker of tokens with a small memory."""
    return Tokens(SECRET, CACHE_SIZE)


def claims(**changes: Any) -> dict[str, Any]:
    """Good claims, but for the changes; None takes one away."""
    now_s = int(time.time())
    good = {"sub": str(USER), "type": "access", "iat": now_s, "exp": now_s + 60, "ver": 3}
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def signed(algorithm: str = "HS256", key: str = SECRET, **changes: Any) -> str:
    """A token that somebody else made."""
    return jwt.encode(claims(**changes), key, algorithm)


def refuse(tokens: Tokens, token: str, token_type: TokenType = ACCESS) -> None:
    """It is refused, each time, and not remembered."""
    before = tokens.remembered
    for _ in range(2):
        with pytest.raises(InvalidTokenError):
            tokens.verify(token, token_type)
    assert tokens.remembered == before


@given(st.uuids(), st.sampled_from(TokenType), st.integers(0, MAX_VERSION))
def test_what_is_minted_is_verified(user_id: UUID, token_type: TokenType, version: int) -> None:
    """Whose it is, of which version, and until when, come back as they were."""
    tokens, now_s = Tokens(SECRET, 0), time.time()
    found = tokens.verify(tokens.mint(user_id, token_type, version, now_s), token_type)
    expires_s = int(now_s) + LIFETIME_S[token_type]
    assert found == Claims(user_id, version, token_type.value, expires_s)


@given(st.integers(1, 86_400))
def test_life_of_an_access_token_can_be_chosen(life_s: int) -> None:
    """It is that of access tokens alone; refresh tokens keep theirs."""
    tokens, now_s = Tokens(SECRET, 0, life_s), time.time()
    for token_type, expected_s in ((ACCESS, life_s), (TokenType.REFRESH, REFRESH_LIFETIME_S)):
        found = tokens.verify(tokens.mint(USER, token_type, 0, now_s), token_type)
        assert found.expires_at_s == int(now_s) + expected_s


@pytest.mark.parametrize("algorithm", ["none", "HS384", "HS512"])
def test_other_algorithms_are_refused(tokens: Tokens, algorithm: str) -> None:
    """However well they are signed."""
    refuse(tokens, signed(algorithm, "" if algorithm == "none" else SECRET))


def test_another_key_is_refused(tokens: Tokens) -> None:
    """Also an asymmetric one, and one that is left out."""
    refuse(tokens, signed(key="f" * 64))
    head, body, signature = signed().split(".")
    refuse(tokens, f"{head}.{body}.")
    refuse(tokens, f"{head}.{body}")
    refuse(tokens, f"{head}.{body}.{signature[:-2]}AA")
    rs256 = jwt.utils.base64url_encode(b'{"alg":"RS256","typ":"JWT"}').decode()
    refuse(tokens, f"{rs256}.{body}.{signature}")


@pytest.mark.parametrize("claim", ["sub", "type", "iat", "exp"])
def test_every_claim_is_required(tokens: Tokens, claim: str) -> None:
    """A token that lacks one is refused, well signed or not."""
    incomplete = {name: value for name, value in claims().items() if name != claim}
    refuse(tokens, jwt.encode(incomplete, SECRET, "HS256"))


def test_a_token_without_version_has_version_0(tokens: Tokens) -> None:
    """That of a user who never logged out."""
    assert tokens.verify(signed(ver=None), ACCESS).version == 0


@pytest.mark.parametrize(
    "change",
    [
        {"ver": -1},
        {"ver": MAX_VERSION + 1},
        {"ver": 1.0},
        {"ver": True},
        {"ver": "1"},
        {"ver": []},
        {"sub": "admin"},
        {"sub": "00000000-0000-0000-0000-00000000000"},
        {"type": "refresh"},
        {"type": 1},
        {"type": "ACCESS"},
        {"iat": int(time.time()) + 3600},
        {"exp": "soon"},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"exp": [1]},
        {"exp": int(time.time()) - 60},
        {"nbf": int(time.time()) + 3600},
    ],
    ids=str,
)
def test_bad_claims_are_refused(tokens: Tokens, change: dict[str, Any]) -> None:
    """Of a wrong type or value."""
    before = metric("agenthq_tokens_verified_total")
    for _ in range(2):
        with pytest.raises(InvalidTokenError):
            tokens.verify(signed(**change), ACCESS)
    assert metric("agenthq_tokens_verified_total") > before


def test_a_version_of_null_is_refused(tokens: Tokens) -> None:
    """Only a token that leaves it out has version 0."""
    refuse(tokens, jwt.encode({**claims(), "ver": None}, SECRET, "HS256"))


@given(st.text(max_size=200))
def test_text_is_no_token(text: str) -> None:
    """Whatever is sent, it is refused and nothing else happens."""
    with pytest.raises(InvalidTokenError):
        Tokens(SECRET, 1).verify(text, ACCESS)


def test_what_is_too_long_is_not_even_looked_at(tokens: Tokens) -> None:
    """A signature costs time in proportion to what is signed."""
    fitting, long = signed(x="x" * 1000), signed(x="x" * MAX_TOKEN_LENGTH)
    assert tokens.verify(fitting, ACCESS).user_id == USER
    before = metric("agenthq_tokens_verified_total")
    refuse(tokens, long)
    assert metric("agenthq_tokens_verified_total") == before


def test_a_type_opens_only_what_is_its(tokens: Tokens) -> None:
    """Also once the token is remembered."""
    for own, other in ((ACCESS, TokenType.REFRESH), (TokenType.REFRESH, ACCESS)):
        token = tokens.mint(USER, own, 0)
        with pytest.raises(InvalidTokenError):
            tokens.verify(token, other)
        assert tokens.verify(token, own).user_id == USER
        with pytest.raises(InvalidTokenError):
            tokens.verify(token, other)


def test_a_signature_is_checked_once(tokens: Tokens) -> None:
    """After that the token is remembered."""
    token = tokens.mint(USER, ACCESS, 0)
    before = metric("agenthq_tokens_verified_total")
    found = [tokens.verify(token, ACCESS) for _ in range(5)]
    assert metric("agenthq_tokens_verified_total") == before + 1
    assert set(found) == {found[0]}


def test_a_remembered_token_expires(tokens: Tokens, clock: Clock) -> None:
    """At the second that it says, and the skew later; a memory keeps nobody in."""
    token = tokens.mint(USER, ACCESS, 0)
    ends_s = tokens.verify(token, ACCESS).expires_at_s + CLOCK_SKEW_S
    clock.now_s = ends_s - 0.001
    assert tokens.verify(token, ACCESS).user_id == USER
    clock.now_s = ends_s
    with pytest.raises(InvalidTokenError, match="expired"):
        tokens.verify(token, ACCESS)
    assert tokens.remembered == 1


def test_the_memory_is_bounded(tokens: Tokens) -> None:
    """The newest are kept."""
    minted = [tokens.mint(uuid4(), ACCESS, 0) for _ in range(CACHE_SIZE + 3)]
    for token in minted:
        tokens.verify(token, ACCESS)
    assert tokens.remembered == CACHE_SIZE
    before = metric("agenthq_tokens_verified_total")
    tokens.verify(minted[-1], ACCESS)
    assert metric("agenthq_tokens_verified_total") == before
    tokens.verify(minted[0], ACCESS)
    assert metric("agenthq_tokens_verified_total") == before + 1


def test_without_a_memory_each_is_checked() -> None:
    """A size of 0 remembers nothing."""
    tokens = Tokens(SECRET, 0)
    token = tokens.mint(USER, ACCESS, 0)
    before = metric("agenthq_tokens_verified_total")
    for _ in range(3):
        tokens.verify(token, ACCESS)
    assert metric("agenthq_tokens_verified_total") == before + 3
    assert tokens.remembered == 0


def test_refused_tokens_push_no_good_one_out(tokens: Tokens) -> None:
    """Else anybody could fill the memory."""
    good = tokens.mint(USER, ACCESS, 0)
    tokens.verify(good, ACCESS)
    for n in range(CACHE_SIZE * 2):
        refuse(tokens, signed(key="f" * 64, sub=str(UUID(int=n))))
    before = metric("agenthq_tokens_verified_total")
    tokens.verify(good, ACCESS)
    assert metric("agenthq_tokens_verified_total") == before
