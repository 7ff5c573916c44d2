"""How often one address may log in."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from app.core import limits
from app.settings import ApiSettings
from tests.asgi import Answer
from tests.support import DEAD_PORT_URL, Api, metric, running_api

LIMIT = 3
Run = Callable[..., contextlib.AbstractContextManager[Api]]


@pytest.fixture
def limited(runner: asyncio.Runner, settings: ApiSettings, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Applications with a limit, in a minute that never ends and that no other test has."""
    set_clock(monkeypatch, float(uuid4().int % 10**12))

    @contextlib.contextmanager
    def run(**changes: object) -> Iterator[Api]:
        update = {"login_limit_per_minute": LIMIT, "trust_proxy": False, **changes}
        with running_api(runner, settings.model_copy(update=update)) as api:
            yield api

    return run


def set_clock(monkeypatch: pytest.MonkeyPatch, now_s: float) -> None:
    """Let it be this moment, for good."""

    class Clock:
        time = staticmethod(lambda: now_s)

    monkeypatch.setattr(limits, "time", Clock)


def login(api: Api, address: str, real: str | None = None) -> Answer:
    """Log a new device in."""
    headers = [("content-type", "application/json")]
    if real is not None:
        headers.append(("x-real-ip", real))
    body = b'{"device_id": "%s", "name": "Ann"}' % str(uuid4()).encode()
    return api.ask("POST", "/api/v1/auth/guest", headers=headers, body=body, client=address)


def test_one_too_many_is_refused(limited: Run) -> None:
    """With a word on when to come back; nobody is made, and other addresses notice nothing."""
    with limited() as api:
        assert [login(api, "192.0.2.1").status for _ in range(LIMIT)] == [200] * LIMIT
        before = metric("agenthq_logins_limited_total")
        made = metric("agenthq_db_statements_total", query="create_guest")
        for _ in range(2):
            refused = login(api, "192.0.2.1")
            assert (refused.status, refused.get("retry-after")) == (429, "60")
            assert refused.body == b'{"detail":"too many logins from this address"}'
        assert metric("agenthq_logins_limited_total") == before + 2
        assert metric("agenthq_db_statements_total", query="create_guest") == made
        assert login(api, "192.0.2.2").status == 200


def test_instances_count_together(limited: Run) -> None:
    """An address has one limit, however many instances there are."""
    with limited() as one, limited() as other:
        statuses = [login(api, "192.0.2.3").status for api in (one, other) * LIMIT]
        assert statuses == [200] * LIMIT + [429] * LIMIT


def test_simultaneous_logins_are_counted(limited: Run) -> None:
    """As many pass as may, not one more."""
    with limited() as api:
        body = {"json": {"device_id": str(uuid4()), "name": "Ann"}}
        answers = api.together([("POST", "/api/v1/auth/guest", None, body)] * 20)
        statuses = sorted(answer.status_code for answer in answers)
        assert statuses == [200] * LIMIT + [429] * (20 - LIMIT)


def test_a_minute_later_all_is_forgiven(limited: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts belong to a minute."""
    with limited() as api:
        now_s = float(uuid4().int % 10**12)
        set_clock(monkeypatch, now_s)
        assert [login(api, "192.0.2.4").status for _ in range(LIMIT + 1)][-1] == 429
        set_clock(monkeypatch, now_s + limits.WINDOW_S)
        assert login(api, "192.0.2.4").status == 200


def test_a_client_cannot_choose_its_address(limited: Run) -> None:
    """What it says about itself counts only if a proxy of ours has said it."""
    with limited() as api:
        statuses = [login(api, "192.0.2.5", f"198.51.100.{n}").status for n in range(LIMIT + 1)]
        assert statuses == [200] * LIMIT + [429]


def test_behind_a_proxy_the_client_s_address_counts(limited: Run) -> None:
    """Not the proxy's, which is everybody's."""
    with limited(trust_proxy=True) as api:
        assert [login(api, "10.0.0.1", "198.51.100.1").status for _ in range(LIMIT + 1)][-1] == 429
        assert login(api, "10.0.0.1", "198.51.100.2").status == 200
        # Without the header the proxy itself is the client.
        assert login(api, "10.0.0.1").status == 200


def test_without_redis_everybody_is_allowed(limited: Run) -> None:
    """A login is worth more than the limit; before the circuit is open and after."""
    with limited(redis_url=DEAD_PORT_URL) as api:
        assert [login(api, "192.0.2.6").status for _ in range(LIMIT + 3)] == [200] * (LIMIT + 3)
    with limited(redis_url=DEAD_PORT_URL, cache=False) as api:
        before = metric("agenthq_cache_errors_total", command="INCR")
        assert [login(api, "192.0.2.6").status for _ in range(LIMIT + 3)] == [200] * (LIMIT + 3)
        assert metric("agenthq_cache_errors_total", command="INCR") == before + LIMIT + 3


def test_no_limit(limited: Run) -> None:
    """0 counts nobody."""
    with limited(login_limit_per_minute=0) as api:
        assert [login(api, "192.0.2.7").status for _ in range(10)] == [200] * 10


def test_bad_logins_count_too(limited: Run) -> None:
    """Whoever guesses is held up as well."""
    with limited() as api:
        headers = [("content-type", "application/json")]
        statuses = [
            api.ask("POST", "/api/v1/auth/guest", headers=headers, body=b"{}").status
            for _ in range(LIMIT + 1)
        ]
        assert statuses == [422] * LIMIT + [429]
