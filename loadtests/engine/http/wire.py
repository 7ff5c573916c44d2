"""HTTP/1.1 on the wire, without any I/O: the bytes of a request, and what the head of a response means.

A response is plain when its head is spelled the usual way and its body is framed by Content-Length alone. Nearly all are,
and `plain_head` reads them in a microsecond. Whatever else arrives goes to a real parser (parser.py) from its first byte.
What the two say about the same bytes is the same; tests/property/test_wire_laws.py holds them against each other.
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import quote

MAX_HEAD_BYTES = 65_536
KNOWN_HEADS = 512
"""Heads that are remembered; a server repeats its own many times within a second, its Date changes once."""

_PLAIN = re.compile(
    rb"HTTP/1\.1 ([2-5][0-9]{2}) ([\t\x20-\x7e]*)\r\n((?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e]*\r\n)+)\r\n"
)
_NOT_PLAIN = {"transfer-encoding", "upgrade", "trailer", "proxy-connection"}
_CONNECTIONS = {"keep-alive", "close"}
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_HAS_BODY = {"POST", "PUT", "PATCH"}
"""Methods whose missing body is announced as such (RFC 9110, section 8.6)."""
_IN_PATHS = "/?#[]@!$&'()*+,;=:%"
"""What a path and its query may hold; everything else is percent-encoded, as UTF-8."""
MAX_LENGTH_DIGITS = 15


class Head(NamedTuple):
    """The head of a response."""

    status: int
    reason: str
    fields: tuple[tuple[str, str], ...]
    """Names as they came, and values."""
    length: int | None
    """Content-Length."""
    keep_alive: bool
    encoding: str
    """Content-Encoding in lower case, or nothing."""
    sets_cookies: bool


class KnownHeads:
    """`plain_head` with a memory: the same bytes mean the same thing."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[bytes, Head | None] = {}

    def read(self, data: bytes) -> tuple[Head, int] | None:
        """The head that `data` begins with and where its body starts; None when it is not complete or not plain."""
        end = data.find(b"\r\n\r\n") + 4
        if end < 4:
            return None
        raw = data[:end]
        try:
            head = self._known[raw]
        except KeyError:
            if len(self._known) >= KNOWN_HEADS:
                self._known.clear()
            head = self._known[raw] = plain_head(raw)
        return None if head is None else (head, end)


def plain_head(raw: bytes) -> Head | None:
    """The meaning of a whole head, its empty line included; None unless it is plain."""
    match = _PLAIN.fullmatch(raw)
    if match is None or len(raw) > MAX_HEAD_BYTES:
        return None
    status = int(match[1])
    fields = []
    for line in match[3].decode("ascii").split("\r\n")[:-1]:
        name, _, value = line.partition(":")
        fields.append((name, value.strip(" \t")))
    known = _by_name(fields)
    lengths, connection = known.get("content-length", []), known.get("connection", [])
    if status in {204, 304} or len(lengths) != 1 or _NOT_PLAIN & known.keys():
        return None
    if not _is_length(lengths[0]) or len(connection) > 1 or not _CONNECTIONS.issuperset(map(str.lower, connection)):
        return None
    closes = [value.lower() for value in connection] == ["close"]
    return head_of(status, match[2].decode("ascii"), fields, keep_alive=not closes)


def head_of(status: int, reason: str, fields: Iterable[tuple[str, str]], keep_alive: bool) -> Head:
    """A head whose framing has been checked already."""
    fields = tuple(fields)
    known = _by_name(fields)
    length = _length(known.get("content-length", [""])[0])
    encoding = ", ".join(known.get("content-encoding", [])).lower()
    return Head(status, reason, fields, length, keep_alive, encoding, "set-cookie" in known)


def _is_length(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= MAX_LENGTH_DIGITS


def _length(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None


def _by_name(fields: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    known: dict[str, list[str]] = {}
    for name, value in fields:
        known.setdefault(name.lower(), []).append(value)
    return known


def encode_target(path: str) -> bytes:
    """A path with its query as the request line has it: a fragment is left out, unsafe characters are percent-encoded."""
    path = path.partition("#")[0]
    if not path.startswith("/"):
        path = "/" + path
    return quote(path, safe=_IN_PATHS).encode("ascii")


def encode_fields(fields: Mapping[str, str | bytes]) -> bytes:
    """Header lines. Raises ValueError for a name that is none, or a value that would begin another line."""
    lines = []
    for name, value in fields.items():
        raw = value if isinstance(value, bytes) else value.encode("latin-1", "strict")
        if not _TOKEN.fullmatch(name) or b"\r" in raw or b"\n" in raw or b"\0" in raw:
            raise ValueError(f"not a header: {name!r}: {value!r}")
        lines.append(b"%s: %s\r\n" % (name.encode("ascii"), raw))
    return b"".join(lines)


class Fields:
    """Header fields of a request, and their lines. Raises ValueError like `encode_fields`.

    A Host among them takes the place of the origin's; a Content-Length is left out, for there is one already.
    """

    def __init__(self, items: Mapping[str, str]) -> None:
        self.items = {name: str(value) for name, value in items.items() if name.lower() != "content-length"}
        self.names = frozenset(name.lower() for name in self.items)
        """In lower case."""
        self.host = next((value for name, value in self.items.items() if name.lower() == "host"), None)
        self.lines = encode_fields({name: value for name, value in self.items.items() if name.lower() != "host"})

    def updated(self, more: Mapping[str, str]) -> "Fields":
        """These, but for those that `more` has under the same name in any case, and `more`."""
        kept = self.without(more.keys())
        return Fields({**kept.items, **more})

    def without(self, names: Iterable[str]) -> "Fields":
        """These, but for some."""
        unwanted = {name.lower() for name in names}
        return Fields({name: value for name, value in self.items.items() if name.lower() not in unwanted})


def request_start(method: str, target: bytes, host: str) -> bytes:
    """The request line and the Host header. Raises ValueError for a method that is none."""
    if not _TOKEN.fullmatch(method):
        raise ValueError(f"not a method: {method!r}")
    return b"%s %s HTTP/1.1\r\nHost: %s\r\n" % (method.encode("ascii"), target, host.encode("ascii"))


def request_end(method: str, body: bytes | None) -> bytes:
    """What follows the other headers: the body's length where there may be one, the empty line, the body."""
    if body is None and method not in _HAS_BODY:
        return b"\r\n"
    body = body or b""
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
