"""Quantities with a unit, as people write them: `200ms`, `1.5s`, `5m`, `2GB`, `99.9%`, `10000/s`.

A number without its unit is refused: whether `30` means seconds or milliseconds is not for a program to guess.
"""

import math
import re
from decimal import Decimal
from fractions import Fraction

DURATION_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
SIZE_BYTES = {"B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30}
RATIO = {"%": 0.01}
RATE_PER_S = {"/s": 1.0, "/m": 1 / 60}

_QUANTITY = re.compile(
    r"\s*([+-]?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9][0-9_]*)(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)\s*([A-Za-z%/]*)\s*", re.IGNORECASE
)


def parse_quantity(text: str, units: dict[str, float], example: str) -> float:
    """Value of `text` in the base unit of `units`.

    Raises ValueError, whose text names the units that are allowed, for anything else.
    """
    match = _QUANTITY.fullmatch(text)
    number = float(re.sub("[_,]", "", match[1])) if match else math.inf
    if match is None or match[2] not in units or math.isinf(number):
        raise ValueError(f"{text!r} is not a quantity in {', '.join(units)} (write e.g. {example!r})")
    return product(number, units[match[2]])


def product(one: float, other: float) -> float:
    """The float nearest to the product of two numbers as they are written in decimals: 9 x 0.001 is 0.009.

    A limit that is met exactly is met, so it must not be off by a rounding error.
    """
    return float(Fraction(repr(one)) * Fraction(repr(other)))


def parse_duration(text: str) -> float:
    """Seconds of a duration such as `500ms`, `30s`, `10m` or `1h30m`; never negative."""
    parts = re.findall(r"[0-9][0-9.]*\s*[a-z]+", text.strip())
    if "".join(parts) != text.strip() or not parts:
        raise ValueError(f"{text!r} is not a duration (write e.g. '30s', '500ms' or '1h30m')")
    return sum(parse_quantity(part, DURATION_S, "30s") for part in parts)


def duration_text(seconds: float) -> str:
    """A duration as a file has it, exactly: `parse_duration` reads the same number back."""
    return f"{Decimal(repr(seconds)):f}s"


def exact(value: float, units: dict[str, float]) -> str:
    """A quantity in the largest unit that leaves no leading zero, with every digit it has (`1.234 s`, `10,000/s`)."""
    fitting = [unit for unit, factor in units.items() if abs(value) >= factor]
    unit = max(fitting, key=units.__getitem__) if fitting else min(units, key=units.__getitem__)
    number = f"{Decimal(repr(float(Fraction(repr(value)) / Fraction(repr(units[unit]))))):,f}".removesuffix(".0")
    return f"{number}{'' if unit in ('', '/s') else ' '}{unit}"


def format_duration(seconds: float) -> str:
    """A duration for people: three significant digits and the unit that suits it (`1.25 ms`, `30 s`)."""
    if seconds == 0:
        return "0 ms"
    for unit in ("s", "ms", "us"):
        if abs(seconds) >= DURATION_S[unit]:
            return f"{significant(seconds / DURATION_S[unit])} {unit}"
    return f"{significant(seconds * 1e6)} us"


def format_size(size_bytes: float) -> str:
    """A size for people, in decimal units (`512 MB`)."""
    for unit in ("GB", "MB", "kB"):
        if abs(size_bytes) >= SIZE_BYTES[unit]:
            return f"{significant(size_bytes / SIZE_BYTES[unit])} {unit}"
    return f"{size_bytes:.0f} B"


def significant(value: float) -> str:
    """`value` with three significant digits and thousands' separators (`0.123`, `12.3`, `1,234`)."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def percent(share: float) -> str:
    """A share for people (`98.7 %`): three significant digits, but just below 100 % two of what is missing (`99.95 %`)."""
    value = share * 100
    if 99 < value < 100:
        digits = 1 - math.floor(math.log10(100 - value))
        return f"{value:.{digits}f}".rstrip("0").rstrip(".") + " %"
    return f"{significant(value)} %"
