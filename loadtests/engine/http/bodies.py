"""Content-Encoding undone, within a limit: gzip, deflate and br."""

import zlib

import brotli

from loadtests.engine.http.failures import Failure

ACCEPT_ENCODING = "gzip, deflate, br"


def decode(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """The body without its Content-Encoding (`gzip`, or several, applied in the order given).

    Raises Failure: `malformed` when it is not what it says or the encoding is unknown, `too_large` beyond `max_bytes`.
    """
    for name in reversed([part.strip() for part in encoding.split(",")]):
        if name in {"", "identity"} or not body:
            continue
        body = _decode_one(body, name, max_bytes)
    return body


def _decode_one(body: bytes, name: str, max_bytes: int) -> bytes:
    try:
        match name:
            case "gzip" | "x-gzip":
                plain, whole = _inflate(body, 16 + zlib.MAX_WBITS, max_bytes)
            case "deflate":
                # Either with zlib's header, as it should be, or without, as many send it.
                wrapped = body[0] & 0x0F == 8 and int.from_bytes(body[:2]) % 31 == 0
                plain, whole = _inflate(body, zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS, max_bytes)
            case "br":
                plain, whole = _brotli(body, max_bytes)
            case _:
                raise Failure("malformed", f"unknown Content-Encoding {name!r}")
    except (zlib.error, brotli.error) as error:
        raise Failure("malformed", f"the body is not {name}: {error}") from error
    if len(plain) > max_bytes:
        raise Failure("too_large", "body, once decoded")
    if not whole:
        raise Failure("malformed", f"the body is an incomplete {name}")
    return plain


def _inflate(body: bytes, window_bits: int, max_bytes: int) -> tuple[bytes, bool]:
    """At most a byte more than the limit, and whether the end was reached; a gzip may have several members (RFC 1952, 2.2)."""
    plain = b""
    while True:
        inflater = zlib.decompressobj(window_bits)
        plain += inflater.decompress(body, max_bytes + 1 - len(plain))
        body = inflater.unused_data
        if not inflater.eof or not body or window_bits <= zlib.MAX_WBITS or len(plain) > max_bytes:
            return plain, inflater.eof


def _brotli(body: bytes, max_bytes: int) -> tuple[bytes, bool]:
    decompressor = brotli.Decompressor()
    plain: bytes = decompressor.process(body, output_buffer_limit=max_bytes + 1)
    return plain, decompressor.is_finished()
