"""Content-Encodings undone."""

import gzip
import random
import tracemalloc
import zlib

import brotli
import pytest

from loadtests.engine.http.bodies import ACCEPT_ENCODING, decode
from loadtests.engine.http.failures import Failure

TEXT = b"some words, and some words again " * 300
NOISE = random.Random(7).randbytes(100_000)
ENCODED = {
    "gzip": (gzip.compress, "gzip"),
    "x-gzip": (gzip.compress, "x-gzip"),
    "deflate with a header": (zlib.compress, "deflate"),
    "deflate without a header": (lambda body: zlib.compress(body, wbits=-zlib.MAX_WBITS), "deflate"),
    "deflate, uncompressed": (lambda body: zlib.compress(body, 0, -zlib.MAX_WBITS), "deflate"),
    "br": (brotli.compress, "br"),
    "identity": (bytes, "identity"),
    "nothing": (bytes, ""),
    "stacked": (lambda body: brotli.compress(gzip.compress(zlib.compress(body))), "deflate, gzip, br"),
    "stacked with nothing": (lambda body: gzip.compress(gzip.compress(body)), "gzip,identity , ,gzip"),
}


@pytest.mark.parametrize("name", ENCODED)
@pytest.mark.parametrize("plain", [b"a", TEXT, NOISE], ids=["short", "text", "noise"])
def test_decoded(name: str, plain: bytes) -> None:
    """What was encoded comes back, up to exactly the limit."""
    encode, encoding = ENCODED[name]
    assert decode(encode(plain), encoding, len(plain) if "," not in encoding else 2 * len(NOISE)) == plain


@pytest.mark.parametrize("name", [name for name in ENCODED if ENCODED[name][1] not in {"", "identity"}])
def test_empty_body(name: str) -> None:
    """An answer without a body, to HEAD for example, has none in any encoding; an encoded nothing is nothing."""
    encode, encoding = ENCODED[name]
    assert decode(b"", encoding, 10) == b""
    assert decode(encode(b""), encoding, 1000) == b""


@pytest.mark.parametrize("name", ["gzip", "deflate with a header", "deflate without a header", "br", "stacked"])
def test_incomplete(name: str) -> None:
    """A body that stops anywhere before its end is not accepted for a shorter one."""
    encode, encoding = ENCODED[name]
    whole = encode(TEXT)
    for end in (1, 2, len(whole) // 2, len(whole) - 1):
        with pytest.raises(Failure, match=r"incomplete|is not") as caught:
            decode(whole[:end], encoding, 10**6)
        assert caught.value.kind == "malformed"


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "gzip, identity"])
def test_not_what_it_says(encoding: str) -> None:
    """A body in another encoding than it says is malformed, and the error behind that is told."""
    with pytest.raises(Failure) as caught:
        decode(b"this is plain text, not anything else", encoding, 1000)
    assert caught.value.kind == "malformed"
    assert isinstance(caught.value.original, zlib.error | brotli.error)


def test_damaged() -> None:
    """A gzip body whose checksum is wrong is malformed."""
    body = bytearray(gzip.compress(TEXT))
    body[-6] ^= 1
    with pytest.raises(Failure, match="malformed"):
        decode(bytes(body), "gzip", 10**6)


@pytest.mark.parametrize("encoding", ["zstd", "compress", "gzip, zstd", "GZIP"])
def test_unknown_encoding(encoding: str) -> None:
    """An encoding that was not offered is not guessed at; names come in lower case."""
    with pytest.raises(Failure, match="unknown Content-Encoding"):
        decode(gzip.compress(b"a") if encoding != "gzip, zstd" else b"a", encoding, 1000)


def test_offered_encodings_are_understood() -> None:
    """Every encoding that requests offer is one that answers may have."""
    for encoding in ACCEPT_ENCODING.split(", "):
        encode = {"gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress}[encoding]
        assert decode(encode(TEXT), encoding, len(TEXT)) == TEXT


def test_gzip_of_several_members() -> None:
    """Several gzip files after one another are one gzip file (RFC 1952, section 2.2): no part of the body is lost."""
    assert decode(gzip.compress(b"one ") + gzip.compress(b"two"), "gzip", 1000) == b"one two"


@pytest.mark.parametrize("name", ["gzip", "deflate with a header", "deflate without a header", "br", "stacked"])
def test_bomb(name: str) -> None:
    """A small body that would become a huge one is refused at the limit, and never takes much more memory than that."""
    encode, encoding = ENCODED[name]
    bomb, limit = encode(bytes(20_000_000)), 100_000
    assert len(bomb) < limit
    tracemalloc.start()
    try:
        with pytest.raises(Failure) as caught:
            decode(bomb, encoding, limit)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert caught.value.kind == "too_large"
    assert peak_bytes < 10 * limit


@pytest.mark.parametrize("name", ["gzip", "deflate with a header", "deflate without a header", "br"])
def test_one_byte_too_many(name: str) -> None:
    """The limit is exact."""
    encode, encoding = ENCODED[name]
    with pytest.raises(Failure) as caught:
        decode(encode(TEXT), encoding, len(TEXT) - 1)
    assert caught.value.kind == "too_large"
