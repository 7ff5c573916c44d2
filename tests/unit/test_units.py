"""Quantities as people write and read them."""

import pytest

from loadtests.units import (
    DURATION_S,
    RATE_PER_S,
    RATIO,
    SIZE_BYTES,
    format_duration,
    format_size,
    parse_duration,
    parse_quantity,
    percent,
)
from loadtests.units import significant as three_digits


@pytest.mark.parametrize(
    ("text", "units", "value"),
    [
        ("200ms", DURATION_S, 0.2),
        ("1.5s", DURATION_S, 1.5),
        ("250 us", DURATION_S, 0.00025),
        (" 2 h ", DURATION_S, 7200.0),
        ("2GB", SIZE_BYTES, 2e9),
        ("2GiB", SIZE_BYTES, 2147483648.0),
        ("0.5kB", SIZE_BYTES, 500.0),
        ("50%", RATIO, 0.5),
        ("10_000/s", RATE_PER_S, 10_000.0),
        ("10,000/s", RATE_PER_S, 10_000.0),
        ("1,234,567.5 ms", DURATION_S, 1234.5675),
        ("1e3/s", RATE_PER_S, 1000.0),
        ("600/m", RATE_PER_S, 10.0),
        ("1000", {"": 1.0}, 1000.0),
        ("-3", {"": 1.0}, -3.0),
    ],
)
def test_quantity_is_read_in_its_base_unit(text: str, units: dict[str, float], value: float) -> None:
    """A number with one of the allowed units becomes a number of base units."""
    assert parse_quantity(text, units, "1") == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "units", "value"),
    [("99.9%", RATIO, 0.999), ("0.7%", RATIO, 0.007), ("9ms", DURATION_S, 0.009), ("141ms", DURATION_S, 0.141)],
)
def test_quantity_is_the_nearest_number_to_what_is_written(text: str, units: dict[str, float], value: float) -> None:
    """99.9% is 0.999 and not the next number above it, for limits are compared exactly."""
    assert parse_quantity(text, units, "1") == value


@pytest.mark.parametrize("text", ["200", "ms", "", "200 msec", "200MS", "1.ms", "1 2ms", "--1ms", "0x10ms", "nanms", "1e999ms"])
def test_quantity_without_a_known_unit_is_refused(text: str) -> None:
    """A bare number, an unknown unit or a broken number is refused in one line that names the text, the units, an example."""
    with pytest.raises(ValueError, match="is not a quantity in us, ms, s, m, h") as caught:
        parse_quantity(text, DURATION_S, "200ms")
    assert repr(text) in str(caught.value)
    assert "'200ms'" in str(caught.value)


@pytest.mark.parametrize("text", ["1,5s", "0,5s", "1,0000s", "10,00s", "1000,000s", "1,s", ",5s", "1,,000s", "1,000,5s"])
def test_comma_stands_between_thousands_or_nowhere(text: str) -> None:
    """Who writes a decimal comma is told so: `1,5s` must never be read as fifteen seconds."""
    with pytest.raises(ValueError, match="is not a quantity"):
        parse_quantity(text, DURATION_S, "200ms")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30.0),
        ("500ms", 0.5),
        ("10m", 600.0),
        ("1h30m", 5400.0),
        ("1m0.5s", 60.5),
        ("0s", 0.0),
        (" 2 s ", 2.0),
    ],
)
def test_duration_adds_up_its_parts(text: str, seconds: float) -> None:
    """A duration is one part or several, each with its unit."""
    assert parse_duration(text) == pytest.approx(seconds, rel=1e-12)


@pytest.mark.parametrize("text", ["", "30", "s", "-5s", "30 seconds", "1h,30m", "1..5s", "s30", "1d", "30S"])
def test_duration_that_cannot_be_meant_is_refused(text: str) -> None:
    """A duration without a unit, below zero or with a word in it is refused with the text in the message."""
    with pytest.raises(ValueError, match=r"is not a (duration|quantity)"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 ms"),
        (0.181, "181 ms"),
        (0.00125, "1.25 ms"),
        (0.000_4, "400 us"),
        (0.000_000_1, "0.1 us"),
        (1.0, "1 s"),
        (30.0, "30 s"),
        (12.345, "12.3 s"),
        (3600.0, "3,600 s"),
        (-0.5, "-500 ms"),
    ],
)
def test_duration_is_shown_in_the_unit_that_suits_it(seconds: float, text: str) -> None:
    """People get three significant digits and a unit."""
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("size_bytes", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (90_193_920, "90.2 MB"), (2e9, "2 GB")]
)
def test_size_is_shown_in_decimal_units(size_bytes: float, text: str) -> None:
    """People get sizes in B, kB, MB or GB."""
    assert format_size(size_bytes) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (0.1234, "0.123"), (12.34, "12.3"), (99.96, "100"), (1234.4, "1,234"), (-1e6, "-1,000,000")]
)
def test_numbers_keep_three_significant_digits(value: float, text: str) -> None:
    """Small numbers keep three digits, large ones all digits before the point."""
    assert three_digits(value) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0 %"),
        (0.00377, "0.377 %"),
        (0.58887, "58.9 %"),
        (0.98745, "98.7 %"),
        (0.99, "99 %"),
        (0.99004, "99 %"),
        (0.991, "99.1 %"),
        (0.9995, "99.95 %"),
        (0.999999, "99.9999 %"),
        (1.0, "100 %"),
        (1.0004, "100 %"),
        (19.5, "1,950 %"),
    ],
)
def test_shares_have_three_digits_and_more_only_just_below_all(share: float, text: str) -> None:
    """What is nearly all must not look like all: an availability differs in what is missing."""
    assert percent(share) == text
