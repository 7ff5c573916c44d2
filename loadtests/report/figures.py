"""Figures of reports that are not a run's."""

import math

from loadtests.units import significant


def figure(value: float) -> str:
    """Four significant digits, thousands' separators from a hundred on, or that there is no end."""
    if math.isinf(value):
        return "no end"
    if abs(value) >= 100 or value == 0:
        return significant(value)
    return f"{value:.4g}"


def between(interval: tuple[float, float] | None) -> str:
    """An interval in words (`15 to 17`, `15 or more`)."""
    if interval is None:
        return "not known"
    low, high = interval
    if math.isinf(high):
        return f"{figure(low)} or more"
    return figure(low) if figure(low) == figure(high) else f"{figure(low)} to {figure(high)}"
