"""From the values of an axis to places of a drawing, and the ticks between them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

MOST_TICKS = 8
STEPS = (1, 2, 5)


def plain_number(value: float) -> str:
    """With thousands' separators and no more digits than it needs (`1,200`, `0.25`)."""
    return f"{round(value, 12):,.12g}"


@dataclass(frozen=True)
class Scale:
    """Values `low` to `high` at the places `start` to `end`, and the ticks among them."""

    low: float
    high: float
    start: float
    end: float
    log: bool
    ticks: Sequence[float]

    @staticmethod
    def over(
        low: float, high: float, place: tuple[float, float], log: bool, round_ends: bool, ticks: Sequence[float] | None = None
    ) -> "Scale":
        """A scale over `low` to `high` at the given places; a single value is widened.

        With `round_ends` it reaches from a round value at or below `low` to one at or above `high`.
        """
        if low == high:
            low, high = (low / 2, high * 2) if log else (low - (abs(low) or 1) / 2, high + (abs(high) or 1) / 2)
        found = list(ticks if ticks is not None else log_ticks(low, high) if log else linear_ticks(low, high))
        if round_ends and ticks is None:
            ends = _fine(low, high) if log else found
            low, high = min(low, ends[0]), max(high, ends[-1])
        return Scale(low, high, *place, log, [tick for tick in found if low <= tick <= high])

    def shows(self, value: float) -> bool:
        """Whether the value has a place: it is finite and, on a logarithmic scale, above zero."""
        return math.isfinite(value) and (value > 0 or not self.log)

    def place(self, value: float) -> float:
        """Where `value` is drawn. Raises ValueError for a value that has no place."""
        low, high, at = (math.log10(one) for one in (self.low, self.high, value)) if self.log else (self.low, self.high, value)
        return self.start + (self.end - self.start) * (at - low) / (high - low)


def linear_ticks(low: float, high: float, most: int = MOST_TICKS) -> list[float]:
    """At most `most` multiples of 1, 2 or 5 times a power of ten, the first at or below `low`, the last at or above `high`."""
    power = math.floor(math.log10((high - low) / most))
    steps = (factor * 10.0**exponent for exponent in range(power, power + 3) for factor in STEPS)
    for step in steps:
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        if last - first < most:
            break
    return [index * step for index in range(first, last + 1)]


def log_ticks(low: float, high: float, most: int = MOST_TICKS) -> list[float]:
    """1, 2 and 5 of every power of ten from `low` to `high`, or only powers of ten, or every so many, if these are too many."""
    fine = _fine(low, high)
    if len(fine) <= most:
        return fine
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    stride = math.ceil((last - first + 1) / most)
    return [10.0**power for power in range(first, last + 1, stride)]


def _fine(low: float, high: float) -> list[float]:
    """1, 2 and 5 of every power of ten, the first at or below `low`, the last at or above `high`."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    fine = [factor * 10.0**power for power in range(first - 1, last + 1) for factor in STEPS]
    begin = max(index for index, tick in enumerate(fine) if tick <= low * (1 + 1e-9))
    end = min(index for index, tick in enumerate(fine) if tick >= high * (1 - 1e-9))
    return fine[begin : end + 1]
