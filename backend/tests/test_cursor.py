"""Cursors: what is written is read, and nothing else is."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.repositories.tasks import Cursor
from app.schemas.cursor import read_cursor, write_cursor

moments = st.datetimes(timezones=st.just(UTC))
cursors = st.builds(Cursor, moments, st.uuids())


@given(cursors)
def test_what_is_written_is_read(cursor: Cursor) -> None:
    """To the microsecond, at any time; and it may stand in a URL as it is."""
    text = write_cursor(cursor)
    assert read_cursor(text) == cursor
    assert len(text) == 32
    assert set(text.replace("-", "").replace("_", "")) <= set(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    )


@given(cursors, cursors)
def test_different_places_have_different_cursors(one: Cursor, other: Cursor) -> None:
    """One text a place."""
    assert (write_cursor(one) == write_cursor(other)) == (one == other)


@given(st.text(max_size=64))
def test_text_is_no_cursor(text: str) -> None:
    """Whatever is sent: a cursor that was written here, or ValueError."""
    with suppress(ValueError):
        assert write_cursor(read_cursor(text)) == text


@given(st.binary(max_size=48).map(lambda raw: urlsafe_b64encode(raw).decode()))
def test_other_bytes_are_no_cursor(text: str) -> None:
    """Also when they are encoded well, and when they name a time that no calendar knows."""
    with suppress(ValueError):
        assert write_cursor(read_cursor(text)) == text


GOOD = write_cursor(Cursor(datetime(2026, 1, 1, tzinfo=UTC), UUID(int=7)))


@pytest.mark.parametrize(
    "text",
    [
        "",
        GOOD[:-1],
        GOOD[:-4],
        GOOD + "AAAA",
        GOOD + "=",
        f" {GOOD}",
        f"!{GOOD}",
        GOOD + "\n",
        "ü" * 32,
        urlsafe_b64encode(b"\x7f" + b"\xff" * 23).decode(),
        urlsafe_b64encode(b"\x80" + b"\x00" * 23).decode(),
    ],
)
def test_near_misses(text: str) -> None:
    """Cut, longer, decorated, or of a time beyond the calendar."""
    with pytest.raises(ValueError, match="is not a next_cursor of this API"):
        read_cursor(text)


def test_its_form_is_fixed() -> None:
    """Microseconds since 1970 and the id: a client may keep a cursor over a new version of us."""
    moment_us = 1_767_225_600_000_000
    assert urlsafe_b64decode(GOOD) == moment_us.to_bytes(8, "big") + UUID(int=7).bytes
