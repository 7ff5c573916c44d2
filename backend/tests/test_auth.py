"""Guest login, tokens, and everything that is refused."""

import time
from typing import Any
from uuid import uuid4

import jwt
import pytest
from psycopg import Connection

from app.core.security import TokenType, mint_token
from tests.support import Api, Person

ME = "/api/v1/auth/me"


@pytest.fixture
def secret(api: Api) -> str:
    """The application's signing secret."""
    return api.state.settings.jwt_secret.get_secret_value()


def assert_refused(api: Api, token: str | None, path: str = ME) -> None:
    """The request is answered with 401 and a challenge."""
    response = api.call("GET", path, token)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"


def test_a_device_has_one_guest(api: Api) -> None:
    """A second login of a device finds the first one's user, whose name stays."""
    device_id = f"device-{uuid4()}"
    first = api.call("POST", "/api/v1/auth/guest", json={"device_id": device_id, "name": "Ann"})
    again = api.call("POST", "/api/v1/auth/guest", json={"device_id": device_id, "name": "Bob"})
    assert first.status_code == again.status_code == 200
    assert set(first.json()) == {"access_token", "refresh_token", "token_type", "user"}
    assert set(first.json()["user"]) == {"id", "email", "full_name"}
    assert again.json()["user"] == first.json()["user"]
    assert again.json()["user"]["full_name"] == "Ann"


def test_logins_of_one_device_at_once_make_one_user(api: Api, db: Connection[Any]) -> None:
    """Twenty simultaneous first logins agree on the user."""
    body = {"json": {"device_id": f"device-{uuid4()}", "name": "Ann"}}
    responses = api.together([("POST", "/api/v1/auth/guest", None, body)] * 20)
    assert {response.status_code for response in responses} == {200}
    assert len({response.json()["user"]["id"] for response in responses}) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"device_id": "d"},
        {"device_id": "", "name": "n"},
        {"device_id": "d", "name": "n" * 256},
        {"device_id": "d\x00", "name": "n"},
        {"device_id": "d", "name": 5},
    ],
)
def test_a_bad_guest_is_refused(api: Api, body: dict[str, object]) -> None:
    """Missing, empty, long, unstorable or wrongly typed fields are 422."""
    assert api.call("POST", "/api/v1/auth/guest", json=body).status_code == 422


def test_me_is_the_token_s_user(api: Api, person: Person, stranger: Person) -> None:
    """The token decides who one is."""
    assert api.call("GET", ME, person.access).json()["id"] == str(person.id)
    assert api.call("GET", ME, stranger.access).json()["id"] == str(stranger.id)


def test_refresh_gives_working_tokens(api: Api, person: Person) -> None:
    """A refresh token buys an access token that works and a new refresh token."""
    body = {"refresh_token": person.refresh}
    tokens = api.call("POST", "/api/v1/auth/refresh", json=body).json()
    assert api.call("GET", ME, tokens["access_token"]).status_code == 200
    again = {"refresh_token": tokens["refresh_token"]}
    assert api.call("POST", "/api/v1/auth/refresh", json=again).status_code == 200


def test_token_types_are_not_interchangeable(api: Api, person: Person) -> None:
    """A refresh token opens nothing, an access token buys nothing."""
    assert_refused(api, person.refresh)
    response = api.call("POST", "/api/v1/auth/refresh", json={"refresh_token": person.access})
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"


def test_a_token_minted_elsewhere_works(api: Api, person: Person, secret: str) -> None:
    """Who holds the secret can mint: whole seconds, nothing but the four claims."""
    now_s = int(time.time())
    claims = {"sub": str(person.id), "type": "access", "iat": now_s, "exp": now_s + 60}
    token = jwt.encode(claims, secret, "HS256")
    assert api.call("GET", ME, token).status_code == 200


def test_no_token_is_refused(api: Api) -> None:
    """Without credentials there is a challenge."""
    assert_refused(api, None)
    assert_refused(api, None, "/api/v1/tasks")


@pytest.mark.parametrize("claim", ["sub", "type", "iat", "exp"])
def test_every_claim_is_required(api: Api, person: Person, secret: str, claim: str) -> None:
    """A token that lacks a claim is refused, well signed or not."""
    now_s = int(time.time())
    claims = {"sub": str(person.id), "type": "access", "iat": now_s, "exp": now_s + 60}
    del claims[claim]
    assert_refused(api, jwt.encode(claims, secret, "HS256"))


def test_bad_tokens_are_refused(api: Api, person: Person, secret: str) -> None:
    """Wrong key, algorithm none or other, expired, unknown user, no UUID, no token at all."""
    now_s = int(time.time())
    claims = {"sub": str(person.id), "type": "access", "iat": now_s, "exp": now_s + 60}
    wrong_key = "f" * 64
    assert_refused(api, jwt.encode(claims, wrong_key, "HS256"))
    assert_refused(api, jwt.encode(claims, "", "none"))
    assert_refused(api, jwt.encode(claims, secret, "HS512"))
    assert_refused(api, jwt.encode({**claims, "exp": now_s - 10}, secret, "HS256"))
    assert_refused(api, jwt.encode({**claims, "sub": "admin"}, secret, "HS256"))
    assert_refused(api, mint_token(uuid4(), TokenType.ACCESS, secret))
    assert_refused(api, "nonsense")


def test_an_inactive_user_is_refused(api: Api, person: Person, db: Connection[Any]) -> None:
    """A deactivated user's tokens stop working at once, refresh included."""
    db.execute("UPDATE users SET is_active = false WHERE id = %s", [person.id])
    assert_refused(api, person.access)
    body = {"refresh_token": person.refresh}
    assert api.call("POST", "/api/v1/auth/refresh", json=body).status_code == 401


def test_logout_ends_the_user_s_tokens(api: Api, stranger: Person) -> None:
    """After a logout old tokens are refused, new ones work, and others notice nothing."""
    device_id = f"device-{uuid4()}"
    person = api.login(device_id)
    assert api.call("POST", "/api/v1/auth/logout", person.access).status_code == 204
    assert_refused(api, person.access)
    body = {"refresh_token": person.refresh}
    assert api.call("POST", "/api/v1/auth/refresh", json=body).status_code == 401
    assert api.call("GET", ME, api.login(device_id).access).status_code == 200
    assert api.call("GET", ME, stranger.access).status_code == 200
