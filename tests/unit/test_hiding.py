"""What may hold a secret is not repeated."""

import base64
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests import settings
from loadtests.errors import InputError
from loadtests.orchestrate.preflight import check_dsn
from loadtests.settings import hidden, without_user
from loadtests.sinks.address import address_of


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://127.0.0.1:8086", "http://127.0.0.1:8086"),
        ("http://me:secret@host:1/x", "http://***@host:1/x"),
        ("http://me:sec@ret/x@host", "http://***@host"),
        ("me:secret@host", "***@host"),
        ("http//me:secret@host", "***@host"),
        ("10 users", "10 users"),
    ],
)
def test_address_is_shown_without_its_user(address: str, shown: str) -> None:
    """Whatever else is wrong with it."""
    assert without_user(address) == shown


@given(st.text(min_size=8), st.text(), st.text())
def test_secret_is_hidden_in_each_form(secret: str, before: str, after: str) -> None:
    """As a server may repeat it: as it was sent, in an address, in base64."""
    encoded = base64.b64encode(secret.encode()).decode()
    for form in (secret, quote(secret, safe=""), quote_plus(secret), encoded, encoded.rstrip("=")):
        shown = hidden(f"{before}<{form}>{after}", [secret])
        assert "<***>" in shown or form not in shown


def test_nothing_is_no_secret() -> None:
    """An empty one is in every text, and hides none of it."""
    assert hidden("a text", ["", "x y"]) == "a text"


def test_basic_authentication_is_hidden() -> None:
    """User and password together, as InfluxDB 1 is sent them."""
    env = {settings.INFLUX_USER: "me", settings.INFLUX_PASSWORD: "planted", settings.INFLUX_TOKEN: "token-1"}
    address = address_of("http://h", None, env)
    assert address is not None
    said = f"401 Basic {base64.b64encode(b'me:planted').decode()} planted token-1 me"
    assert address.hide(said) == "401 Basic *** *** *** me"
    assert "planted" not in repr(address)


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://u:planted-1@planted-2@127.0.0.1/x",
        "postgresql://u:planted-1/planted-2@127.0.0.1/x",
        "postgresql//u:planted@127.0.0.1/x",
        "postgresql://u:planted%zz@127.0.0.1/x",
        "host=h password=planted with spaces",
    ],
)
def test_database_address_that_would_be_taken_apart_wrongly(dsn: str) -> None:
    """Is bad input at once: later errors would name a part of the password as a host."""
    with pytest.raises(InputError, match="LOADTEST_DSN") as caught:
        check_dsn({settings.DSN: dsn})
    assert "planted" not in str(caught.value)


def test_good_database_addresses() -> None:
    """An encoded @ is no trouble."""
    check_dsn({settings.DSN: "postgresql://u:pl%40nted@127.0.0.1:5432/x"})
    check_dsn({settings.DSN: "host=/run/pg dbname=x"})
    check_dsn({})
