"""Text and JSON that PostgreSQL can store."""

import json
from typing import Annotated, Any

from pydantic import AfterValidator

MAX_METADATA_BYTES = 16_384


def _storable_text(value: str) -> str:
    # PostgreSQL's text has no NUL; without this check the insert would fail with a 500.
    if "\x00" in value:
        raise ValueError("must not contain NUL characters")
    try:
        value.encode()
    except UnicodeEncodeError:
        # A lone surrogate, which JSON can name. The error's own message would echo it.
        raise ValueError("must be text that UTF-8 can carry") from None
    return value


def _storable_json(value: dict[str, Any]) -> dict[str, Any]:
    try:
        encoded = json.dumps(value, allow_nan=False, ensure_ascii=False)
        size_bytes = len(encoded.encode())
    except (ValueError, RecursionError) as error:
        # NaN, infinity, lone surrogates, or nesting without end.
        raise ValueError("must be JSON that UTF-8 can carry") from error
    if size_bytes > MAX_METADATA_BYTES:
        raise ValueError(f"must not exceed {MAX_METADATA_BYTES} bytes of JSON")
    # An escaped backslash before "u0000" is text; only an odd one makes it a NUL.
    if "\\u0000" in encoded.replace("\\\\", ""):
        raise ValueError("must not contain NUL characters")
    return value


StorableText = Annotated[str, AfterValidator(_storable_text)]
StorableJson = Annotated[dict[str, Any], AfterValidator(_storable_json)]
