"""Latencies in HdrHistogram's buckets: one microsecond to one hour, three significant digits.

Guarantee: a quantile of recorded values between 1 us and 1 h is at most 0.1 % above the exact one and never below it;
values above an hour are counted in an overflow bucket. Count, sum, smallest and largest value are exact. One histogram
takes 188 kB, whatever it holds.

Recording does not go through HdrHistogram's own method, which takes longer than all the rest of a measurement: with a lowest
value of 1 and three digits, 2048 sub-buckets of 1 us are followed by ever coarser halves of 1024, so that the bucket of v is

    v                              below 2048
    1024 * shift + (v >> shift)    above, with shift = bits(v) - 11

which is HdrHistogram's counts index (tests/property/test_histogram_laws.py holds it against the original).
"""

import ctypes
import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import accumulate
from typing import Any

from hdrh.histogram import HdrHistogram

LOWEST_US = 1
HIGHEST_US = 3_600_000_000
DIGITS = 3
_SUB_BUCKET_BITS = 11
_SUB_BUCKETS = 2**_SUB_BUCKET_BITS
_NONE_YET = 2**63
"""Above every duration in microseconds."""


class Histogram:
    """A mergeable histogram of durations in whole microseconds."""

    __slots__ = ("_counts", "_hdr", "_min_us", "count", "max_us", "overflow", "sum_us")

    def __init__(self) -> None:
        self._hdr = HdrHistogram(LOWEST_US, HIGHEST_US, DIGITS)
        self._counts = self._hdr.counts
        self._zero()

    def _zero(self) -> None:
        self.count = self.sum_us = self.overflow = self.max_us = 0
        self._min_us = _NONE_YET

    @property
    def min_us(self) -> int | None:
        """Smallest value; None when empty."""
        return self._min_us if self.count else None

    def record(self, value_us: int) -> None:
        """Add one value; O(1), never raises. Below zero (a clock that stepped back) counts as zero."""
        # Comparisons, not min() and max(): a call costs as much as all of them.
        if value_us < self._min_us:
            self._min_us = value_us = max(value_us, 0)
        self.count += 1
        self.sum_us += value_us
        if value_us > self.max_us:  # noqa: PLR1730
            self.max_us = value_us
        if value_us < _SUB_BUCKETS:
            self._counts[value_us] += 1
        elif value_us <= HIGHEST_US:
            shift = value_us.bit_length() - _SUB_BUCKET_BITS
            self._counts[(shift << 10) + (value_us >> shift)] += 1
        else:
            self.overflow += 1

    def merge(self, other: "Histogram") -> None:
        """Add all of `other`'s values: the result is what one histogram of both would hold."""
        if not other.count:
            return
        self.count += other.count
        self.sum_us += other.sum_us
        self.overflow += other.overflow
        self.max_us = max(self.max_us, other.max_us)
        self._min_us = min(self._min_us, other._min_us)
        self._hdr.encoder.add(other._hdr.encoder)

    def quantile(self, q: float) -> int:
        """The `q`-quantile (0 to 1) in microseconds: nearest rank, upper edge of the bucket, at most the largest value.

        The rank is ceil(q * count), at least 1. Raises ValueError for an empty histogram: no data is not zero.
        """
        return self.quantiles(q)[0]

    def quantiles(self, *qs: float) -> list[int]:
        """Several quantiles at the price of one, each as `quantile` has it."""
        if not self.count:
            raise ValueError("an empty histogram has no quantiles")
        first, end = self._filled()
        upto = list(accumulate(self._counts[first:end]))
        found = []
        for q in qs:
            # Exactly, as q is written: in floating point 0.07 * 100 lies above 7, and its ceiling is 8.
            rank = max(1, math.ceil(Fraction(repr(q)) * self.count))
            if rank > self.count - self.overflow:
                found.append(self.max_us)
                continue
            value: int = self._hdr.get_value_from_index(first + bisect_left(upto, rank))
            found.append(min(self._hdr.get_highest_equivalent_value(value), self.max_us))
        return found

    def bucket_at(self, rank: int) -> tuple[int, int]:
        """Edges in microseconds of the bucket that holds the value of this rank (1 to `count`), within the values there are."""
        if rank > self.count - self.overflow:
            return HIGHEST_US, self.max_us
        first, end = self._filled()
        value = self._hdr.get_value_from_index(first + bisect_left(list(accumulate(self._counts[first:end])), rank))
        return max(value, self._min_us), min(self._hdr.get_highest_equivalent_value(value), self.max_us)

    def at_most(self, bounds_us: Sequence[int]) -> list[int]:
        """How many values lie in buckets that end at or below each of the bounds, which ascend.

        So `at_most([b])[0] >= rank` is the same as `quantile <= b` for the quantile of that rank.
        """
        if not self.count:
            return [0] * len(bounds_us)
        first, end = self._filled()
        upto = [0, *accumulate(self._counts[first:end])]
        # The buckets before that of the next value are those that end at the bound or below.
        return [upto[min(max(bucket_of(bound + 1) - first, 0), end - first)] for bound in bounds_us]

    def _filled(self) -> tuple[int, int]:
        """First bucket that may hold something, and the one after the last."""
        return bucket_of(min(self.min_us or 0, HIGHEST_US)), bucket_of(min(self.max_us, HIGHEST_US)) + 1

    @property
    def mean_us(self) -> float:
        """Exact mean in microseconds; raises ZeroDivisionError when empty."""
        return self.sum_us / self.count

    def values(self) -> Iterator[tuple[int, int]]:
        """Each bucket that holds anything, from the smallest: a value in its middle, and how many there are."""
        for index in range(*self._filled()):
            if count := self._counts[index]:
                yield self._hdr.get_value_from_index(index) + (1 << max(0, (index >> 10) - 1) >> 1), count
        if self.overflow:
            yield self.max_us, self.overflow

    def clear(self) -> None:
        """Forget everything, in place and fast (HdrHistogram's own reset loops over every bucket in Python)."""
        self._zero()
        ctypes.memset(self._counts, 0, ctypes.sizeof(self._counts))

    def encode_hdr(self) -> str:
        """The buckets alone in HdrHistogram's V2 encoding, as a line of an .hlog file has them."""
        # What HdrHistogram would know, had the values gone through its own method.
        self._hdr.total_count = self.count - self.overflow
        self._hdr.max_value, self._hdr.min_value = min(self.max_us, HIGHEST_US), self.min_us or 0
        encoded: bytes = self._hdr.encode()
        return encoded.decode("ascii")

    def to_json(self) -> dict[str, Any]:
        """A compact, exact form; its size grows with the number of distinct values."""
        if not self.count:
            return {"n": 0}
        return {
            "n": self.count,
            "sum": self.sum_us,
            "min": self.min_us,
            "max": self.max_us,
            "over": self.overflow,
            "hdr": self.encode_hdr(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Histogram":
        """The histogram that `to_json` wrote. Raises ValueError when its parameters are not ours."""
        made = cls()
        if not data["n"]:
            return made
        hdr = HdrHistogram.decode(data["hdr"])
        found = (hdr.lowest_trackable_value, hdr.highest_trackable_value, hdr.significant_figures)
        if found != (LOWEST_US, HIGHEST_US, DIGITS):
            raise ValueError(f"a histogram of {found} cannot be merged with one of {(LOWEST_US, HIGHEST_US, DIGITS)}")
        made._hdr, made._counts = hdr, hdr.counts
        made.count, made.sum_us, made.overflow = data["n"], data["sum"], data["over"]
        made._min_us, made.max_us = data["min"], data["max"]
        return made


def bucket_of(value_us: int) -> int:
    """HdrHistogram's counts index of a value from 0 us to an hour."""
    shift = value_us.bit_length() - _SUB_BUCKET_BITS
    return value_us if shift <= 0 else (shift << 10) + (value_us >> shift)
