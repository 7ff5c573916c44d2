"""Where a page ends, as text that says nothing to a client."""

import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from uuid import UUID

from app.repositories.tasks import Cursor

# Microseconds since 1970, then the task's id: together they order all tasks.
_FORM = struct.Struct(">q16s")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def write_cursor(cursor: Cursor) -> str:
    """32 characters that may stand in a URL."""
    moment_us = (cursor.created_at - _EPOCH) // timedelta(microseconds=1)
    return urlsafe_b64encode(_FORM.pack(moment_us, cursor.task_id.bytes)).decode()


def read_cursor(text: str) -> Cursor:
    """The opposite. Raises ValueError when the text is no cursor."""
    try:
        moment_us, task_id = _FORM.unpack(urlsafe_b64decode(text.encode("ascii")))
        cursor = Cursor(_EPOCH + timedelta(microseconds=moment_us), UUID(bytes=task_id))
        # Decoding passes over whatever is not of its alphabet.
        if write_cursor(cursor) == text:
            return cursor
    except (ValueError, OverflowError, struct.error):
        pass
    raise ValueError("is not a next_cursor of this API")
