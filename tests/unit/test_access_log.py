"""Reading nginx's access logs: both formats, compressed or not, and what cannot be read."""

import gzip
import io
from pathlib import Path

import pytest

from loadtests.errors import InputError
from loadtests.traffic.access_log import Hit, Reading, hits, open_log
from tests.unit.access_logs import START_S, combined_line, main_line

US = 1_000_000


def read(*lines: str) -> tuple[list[Hit], Reading]:
    """What is read of these lines."""
    reading = Reading()
    return list(hits(lines, reading)), reading


def test_own_format_tells_when_a_request_arrived() -> None:
    """The line is written at the end: `msec` less `request_time` is the arrival, to the millisecond."""
    (hit,), _ = read(main_line(1.5, "POST /a/b?c=d HTTP/1.1", 201, took_s=0.75))
    assert hit == Hit(START_S * US + 1_500_000, True, "POST", "/a/b?c=d", 201)


@pytest.mark.parametrize("key", ["msec=", "request_time="])
def test_without_either_time_the_second_has_to_do(key: str) -> None:
    """An arrival needs both; a log of the format as it was before has the second of the end."""
    (hit,), _ = read(main_line(1.5, took_s=0.75).replace(key, "other="))
    assert (hit.at_us, hit.exact) == ((START_S + 2) * US, False)


def test_combined_format_tells_the_second() -> None:
    """A user's name with blanks and brackets is no hindrance."""
    (hit,), _ = read(combined_line(3, "GET / HTTP/2.0", 404, user="Ann [x] Lee"))
    assert hit == Hit((START_S + 3) * US, False, "GET", "/", 404)


def test_combined_format_with_times_of_its_own_is_exact() -> None:
    """A format that adds both times at its end is as good as ours."""
    line = combined_line(3).rstrip("\n") + f" request_time=0.250 msec={START_S + 3}.500\n"
    (hit,), _ = read(line)
    assert (hit.at_us, hit.exact) == ((START_S + 3) * US + 250_000, True)


def test_what_a_client_writes_of_times_is_no_time() -> None:
    """Its User-Agent stands before those that nginx adds."""
    line = combined_line(3).replace("curl/8.0", "x request_time=9.000 msec=1.000 y").rstrip("\n")
    (hit,), _ = read(f"{line} request_time=0.250 msec={START_S + 3}.500\n")
    assert (hit.at_us, hit.exact) == ((START_S + 3) * US + 250_000, True)


@pytest.mark.parametrize("msec", ["msec=99999999999991", "msec=" + "9" * 5000])
def test_a_time_that_none_can_be_leaves_the_second(msec: str) -> None:
    """Nor does it stop the reading."""
    (hit,), reading = read(main_line(0, took_s=0.0).replace("msec=1", msec))
    assert (hit.at_us, hit.exact, str(reading)) == (START_S * US, False, "1 lines")


def test_a_moment_before_the_epoch_is_unreadable() -> None:
    """No clock of a server stands there, and nothing after it could count from there."""
    found, reading = read(
        combined_line(0).replace("2026", "0001"),
        main_line(0).replace("request_time=0.250", "request_time=999999999.000").replace("msec=1", "msec="),
    )
    assert (found, reading.unreadable) == ([], 2)


def test_time_zone_is_minded() -> None:
    """17:50 in UTC is 19:50 two hours to the east, in both formats."""
    own = main_line(0).replace("17:50", "19:50").replace("+00:00", "+02:00").replace("msec=", "other=")
    (first, second), _ = read(own, combined_line(0).replace("17:50", "19:50").replace("+0000", "+0200"))
    assert first.at_us == second.at_us == START_S * US


def test_formats_may_change_within_a_log() -> None:
    """Each line is read for what it is."""
    found, reading = read(combined_line(0), main_line(1), main_line(2), combined_line(3))
    assert [hit.at_us // US - START_S for hit in found] == [0, 1, 2, 3]
    assert str(reading) == "4 lines"


def test_what_cannot_be_read_is_counted_and_named() -> None:
    """Broken lines, with the number of the first, apart from clients that spoke no HTTP."""
    garbage = combined_line(2, request=r"\x16\x03\x01")
    no_date = combined_line(2).replace("25/Nov/2026", "35/Nov/2026")
    found, reading = read(main_line(0), "half a li", no_date, garbage, main_line(1, request=""), "\n", main_line(1))
    assert len(found) == 2
    assert (reading.lines, reading.unreadable, reading.first_unreadable, reading.malformed) == (7, 3, 2, 2)
    assert str(reading) == "7 lines, 3 unreadable (the first is line 2), 2 without an HTTP request"


@pytest.mark.parametrize(
    ("logged", "sent"),
    [
        (r"/a?b=\x22c\x22", "/a?b=%22c%22"),
        (r"/\xC3\xA4", "/%C3%A4"),
        ("/a?b={c}", "/a?b=%7Bc%7D"),
        ("/a\\b", "/a%5Cb"),
        ("/a%20b", "/a%20b"),
    ],
)
def test_targets_are_written_as_they_may_be_sent(logged: str, sent: str) -> None:
    """What nginx escaped is percent-encoded, and so are braces."""
    (hit,), _ = read(main_line(0, f"GET {logged} HTTP/1.1"))
    assert hit.target == sent


def test_a_log_may_be_compressed(tmp_path: Path) -> None:
    """By its content, whatever it is called; members one after the other are one log."""
    file = tmp_path / "access.log"
    file.write_bytes(gzip.compress(main_line(0).encode()) + gzip.compress(main_line(1).encode()))
    with open_log(str(file)) as lines:
        assert len(list(hits(lines, Reading()))) == 2


def test_bytes_that_are_no_text_spoil_no_line(tmp_path: Path) -> None:
    """Other servers may write them as they come; they are taken as nginx writes them."""
    file = tmp_path / "access.log"
    file.write_bytes(main_line(0, "GET /\x00 HTTP/1.1").encode("latin-1").replace(b"\x00", b"\xe4"))
    with open_log(str(file)) as lines:
        (hit,) = hits(lines, Reading())
    assert hit.target == "/%e4"


@pytest.mark.parametrize("content", [None, gzip.compress(b"x" * 999)[:-9], b"\x1f\x8b rubbish"], ids=["none", "cut", "rubbish"])
def test_a_log_that_cannot_be_read_is_one_line(tmp_path: Path, content: bytes | None) -> None:
    """A file that is not there, or whose compression is broken."""
    file = tmp_path / "access.log"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InputError, match=r"access\.log: cannot be read: ."), open_log(str(file)) as lines:
        list(lines)


def test_lines_are_streamed() -> None:
    """A request is known as soon as its line is read, so no more than a line needs to be in memory."""
    lines = io.StringIO(main_line(0) + main_line(1))
    next(hits(lines, Reading()))
    assert lines.readline() == main_line(1)
