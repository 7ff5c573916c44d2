"""Guest login, tokens, and everything that is refused."""

import json
import time
from typing import Any
from uuid import uuid4

import jwt
import pytest
from psycopg import Connection

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
        {"device_id": "d", "name": "\ud800"},
        {"device_id": "d", "name": 5},
    ],
)
def test_a_bad_guest_is_refused(api: Api, body: dict[str, object]) -> None:
    """Missing, empty, long, unstorable or wrongly typed fields are 422."""
    json_type = {"Content-Type": "application/json"}
    sent = json.dumps(body)  # unlike httpx, this can name a lone surrogate
    response = api.call("POST", "/api/v1/auth/guest", content=sent, headers=json_type)
    assert response.status_code == 422


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
    """Who holds the secret can mint: whole seconds, no claims but four; a version is not asked."""
    now_s = int(time.time())
    claims = {"sub": str(person.id), "type": "access", "iat": now_s, "exp": now_s + 60}
    token = jwt.encode(claims, secret, "HS256")
    assert api.call("GET", ME, token).status_code == 200


def test_no_token_is_refused(api: Api) -> None:
    """Without credentials there is a challenge."""
    assert_refused(api, None)
    assert_refused(api, None, "/api/v1/tasks")


def test_bad_tokens_are_refused(api: Api, person: Person, secret: str) -> None:
    """Wrong key, other algorithm, expired, unknown user, a version to come, no token at all."""
    now_s = int(time.time())
    claims = {"sub": str(person.id), "type": "access", "iat": now_s, "exp": now_s + 60}
    for path in (ME, "/api/v1/tasks"):
        assert_refused(api, jwt.encode(claims, "f" * 64, "HS256"), path)
        assert_refused(api, jwt.encode(claims, secret, "HS512"), path)
        assert_refused(api, jwt.encode({**claims, "exp": now_s - 10}, secret, "HS256"), path)
        assert_refused(api, api.token(uuid4()), path)
        assert_refused(api, api.token(person.id, version=1), path)
        assert_refused(api, "nonsense", path)


@pytest.mark.parametrize("value", ["", "Bearer", "Basic {}", "Bearer x{}", "{}", "Bearer {} x"])
@pytest.mark.parametrize("path", [ME, "/api/v1/tasks"])
def test_a_malformed_header_is_refused(api: Api, person: Person, path: str, value: str) -> None:
    """The token alone, another scheme or more than a token is no credential."""
    given = [("authorization", value.format(person.access))]
    assert api.ask("GET", path, headers=given).status == 401


def test_the_scheme_s_case_does_not_matter(api: Api, person: Person) -> None:
    """As in RFC 9110, 11.1."""
    for path in (ME, "/api/v1/tasks"):
        given = [("authorization", f"bEARER {person.access}")]
        assert api.ask("GET", path, headers=given).status == 200


def test_an_inactive_user_is_refused(api: Api, db: Connection[Any]) -> None:
    """A deactivated user's tokens stop working at once, refresh and login included."""
    device_id = f"device-{uuid4()}"
    person = api.login(device_id)
    db.execute("UPDATE users SET is_active = false WHERE id = %s", [person.id])
    assert_refused(api, person.access)
    assert_refused(api, person.access, "/api/v1/tasks")
    task = {"json": {"prompt": "write", "output_type": "docs"}}
    login = {"json": {"device_id": device_id, "name": "Ann"}}
    refresh = {"json": {"refresh_token": person.refresh}}
    calls = [
        ("POST", "/api/v1/tasks", person.access, task),
        ("GET", f"/api/v1/tasks/{uuid4()}", person.access, {}),
        ("DELETE", f"/api/v1/tasks/{uuid4()}", person.access, {}),
        ("POST", "/api/v1/auth/logout", person.access, {}),
        ("POST", "/api/v1/auth/guest", None, login),
        ("POST", "/api/v1/auth/refresh", None, refresh),
    ]
    assert {response.status_code for response in api.together(calls)} == {401}


def test_logout_ends_the_user_s_tokens(api: Api, stranger: Person) -> None:
    """After a logout old tokens are refused, new ones work, and others notice nothing."""
    device_id = f"device-{uuid4()}"
    person = api.login(device_id)
    assert api.call("POST", "/api/v1/auth/logout", person.access).status_code == 204
    assert_refused(api, person.access)
    assert_refused(api, person.access, "/api/v1/tasks")
    body = {"refresh_token": person.refresh}
    assert api.call("POST", "/api/v1/auth/refresh", json=body).status_code == 401
    assert api.call("GET", ME, api.login(device_id).access).status_code == 200
    assert api.call("GET", ME, stranger.access).status_code == 200


def test_the_token_s_version_is_the_user_s(api: Api, secret: str) -> None:
    """Each logout raises the version that tokens carry; one without a version has 0."""
    device_id = f"device-{uuid4()}"
    versions = []
    for _ in range(3):
        person = api.login(device_id)
        versions.append(jwt.decode(person.access, secret, ["HS256"])["ver"])
        versions.append(jwt.decode(person.refresh, secret, ["HS256"])["ver"])
        assert api.call("POST", "/api/v1/auth/logout", person.access).status_code == 204
    assert versions == [0, 0, 1, 1, 2, 2]
    now_s = int(time.time())
    bare = {"sub": str(person.id), "type": "access", "iat": now_s, "exp": now_s + 60}
    assert_refused(api, jwt.encode(bare, secret, "HS256"))


def test_of_simultaneous_logouts_one_counts(api: Api, person: Person) -> None:
    """A token ends with the first: the others are refused, and the version rises by one."""
    calls: list[tuple[str, str, str | None, dict[str, Any]]]
    calls = [("POST", "/api/v1/auth/logout", person.access, {})] * 5
    statuses = sorted(response.status_code for response in api.together(calls))
    assert statuses == [204, 401, 401, 401, 401]
    assert api.call("GET", ME, api.token(person.id, version=1)).status_code == 200
