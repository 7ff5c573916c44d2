r"""nginx's access logs, line by line: its own `combined` format and this project's `main` (nginx.conf).

    combined  ADDRESS - USER [25/Nov/2026:17:38:55 +0000] "GET /a HTTP/1.1" 200 512 "-" "curl/8.0"
    main      2026-11-25T17:38:55+00:00 ADDRESS "GET /a HTTP/1.1" 200 bytes=512 request_time=0.012 msec=1795628335.250 ...

A line is written when its request ends. Where both `msec=` (the end, to the millisecond) and `request_time=` stand in it, the
request's arrival is their difference; else the whole second of the line's own time has to do. nginx writes what is not
printable, and quotation marks, as \xHH.
"""

import gzip
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from io import TextIOWrapper
from pathlib import Path
from typing import NamedTuple, TextIO

from loadtests.errors import InputError

STDIN = "-"
SECOND_US = 1_000_000
_GZIP = b"\x1f\x8b"
_COMBINED = re.compile(r'\S+ \S+ .*?\[([^\]]+)\] "([^"]*)" (\d{3}) (.*)')
_MAIN = re.compile(r'(\d{4}-\d\d-\d\dT\S+) \S+ "([^"]*)" (\d{3}) (.*)')
_REQUEST = re.compile(r"([A-Z][A-Z-]*) (/[!-~]*) HTTP/\d(?:\.\d)?")
# The last one counts: a client may write the same into its User-Agent, which stands before. More digits are no time.
_MSEC = re.compile(r"(?:.* )?msec=(\d{1,11})\.(\d{3})(?: |$)")
_TOOK = re.compile(r"(?:.* )?request_time=(\d{1,9})\.(\d{3})(?: |$)")
_ESCAPED = re.compile(r"\\x([0-9A-Fa-f]{2})")


class Hit(NamedTuple):
    """A request as it arrived."""

    at_us: int
    """Microseconds since the epoch."""
    exact: bool
    """Whether that is good to the millisecond; else to the second."""
    method: str
    target: str
    """Path and query."""
    status: int


@dataclass
class Reading:
    """What became of the lines."""

    lines: int = 0
    unreadable: int = 0
    first_unreadable: int | None = None
    """Number of a line, from 1."""
    first_coarse: int | None = None
    """Number of a line whose request arrived in a known second, but at no known moment."""
    malformed: int = 0
    """Lines whose client did not speak HTTP."""

    def __str__(self) -> str:
        text = f"{self.lines:,} lines"
        if self.unreadable:
            text += f", {self.unreadable:,} unreadable (the first is line {self.first_unreadable:,})"
        return text + (f", {self.malformed:,} without an HTTP request" if self.malformed else "")


@contextmanager
def open_log(name: str) -> Iterator[TextIO]:
    """A log by its path, or standard input; compressed by gzip or not. Raises InputError when it cannot be read."""
    try:
        with open(0, "rb", closefd=False) if name == STDIN else Path(name).open("rb") as raw:
            data = gzip.GzipFile(fileobj=raw) if raw.peek(2)[:2] == _GZIP else raw
            with TextIOWrapper(data, encoding="ascii", errors="backslashreplace") as lines:
                yield lines
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror or error}") from error
    except (EOFError, zlib.error) as error:
        raise InputError(f"{name}: cannot be read: {error}") from error


def hits(lines: Iterable[str], reading: Reading) -> Iterator[Hit]:
    """The requests of a log in its order; `reading` counts on the way. Lines may be of either format."""
    formats: list[tuple[re.Pattern[str], Callable[[str], int]]] = [(_MAIN, _iso_s), (_COMBINED, _clf_s)]
    for number, line in enumerate(lines, 1):
        reading.lines = number
        match = formats[0][0].match(line)
        if match is None:
            formats.reverse()  # the next line will most likely be of this one's format
            match = formats[0][0].match(line)
        hit = None
        if match is not None:
            try:
                hit = _hit(match, formats[0][1])
            except (ValueError, OverflowError):  # no moment
                match = None
        if match is None:
            reading.unreadable += 1
            reading.first_unreadable = reading.first_unreadable or number
        elif hit is None:
            reading.malformed += 1
        else:
            if not hit.exact:
                reading.first_coarse = reading.first_coarse or number
            yield hit


def _hit(match: re.Match[str], seconds: Callable[[str], int]) -> Hit | None:
    """The request of a line; None when its client sent none. Raises ValueError for a time that is none."""
    time, text, status, rest = match.groups()
    at_us, exact = seconds(time) * SECOND_US, False
    request = _REQUEST.fullmatch(text)
    if request is None:
        return None
    ended, took = _MSEC.match(rest), _TOOK.match(rest)
    if ended and took:
        at_us, exact = _microseconds(ended) - _microseconds(took), True
    if at_us < 0:
        raise ValueError("before the epoch")
    return Hit(at_us, exact, request[1], _printable(request[2]), int(status))


def _microseconds(match: re.Match[str]) -> int:
    return int(match[1]) * SECOND_US + int(match[2]) * 1000


def _printable(target: str) -> str:
    r"""The target as it may be sent: \xHH percent-encoded, and braces, which no URL may have."""
    if "\\" in target:
        target = _ESCAPED.sub(r"%\1", target).replace("\\", "%5C")
    return target.replace("{", "%7B").replace("}", "%7D") if "{" in target or "}" in target else target


@lru_cache(maxsize=16)
def _iso_s(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


@lru_cache(maxsize=16)
def _clf_s(text: str) -> int:
    return int(datetime.strptime(text, "%d/%b/%Y:%H:%M:%S %z").timestamp())
