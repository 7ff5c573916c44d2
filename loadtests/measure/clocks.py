"""Clocks of several machines: how far one is ahead of another, and how sure that is.

A question leaves at `asked_s` and its answer is back at `answered_s` on the asker's clock; in between the other clock stood at
`clock_s`. Had both ways taken equally long, it was read half-way; it cannot have been read outside, so the doubt is half of the
round trip (Cristian, Probabilistic clock synchronization, 1989). Of several rounds the shortest says most.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class ClockReading:
    """How far the other clock is ahead, give or take the doubt; seconds."""

    offset_s: float
    doubt_s: float

    @classmethod
    def of_round(cls, asked_s: float, clock_s: float, answered_s: float) -> "ClockReading":
        """What one round tells."""
        return cls(clock_s - (asked_s + answered_s) / 2, (answered_s - asked_s) / 2)

    def better(self, other: "ClockReading | None") -> "ClockReading":
        """The one of the two that is surer."""
        return self if other is None or self.doubt_s <= other.doubt_s else other

    def ours(self, moment_s: float | None) -> float | None:
        """A moment of the other clock on the asker's: corrected when the difference is larger than the doubt about it."""
        return moment_s if moment_s is None or abs(self.offset_s) <= self.doubt_s else moment_s - self.offset_s

    def to_json(self) -> dict[str, float]:
        """By field name, to the microsecond."""
        return {"offset_s": round(self.offset_s, 6), "doubt_s": round(self.doubt_s, 6)}

    @classmethod
    def from_json(cls, data: Mapping[str, float]) -> "ClockReading":
        """The reading that `to_json` wrote."""
        return cls(data["offset_s"], data["doubt_s"])


@dataclass(frozen=True)
class WorkerClock:
    """One worker's clock against the master's, before the load and after it."""

    name: str
    begin: ClockReading
    end: ClockReading | None
    """None when it gave no time at its end."""

    @property
    def doubt_s(self) -> float:
        """The larger doubt of the two."""
        return max(reading.doubt_s for reading in (self.begin, self.end) if reading is not None)

    @property
    def drift_s(self) -> float:
        """How far it went ahead of the master's during the load; 0 when nobody knows."""
        return 0.0 if self.end is None else self.end.offset_s - self.begin.offset_s

    @property
    def error_s(self) -> float:
        """What may be wrong with its moments after the offset was taken out: the doubt, or the drift where that is larger."""
        return max(self.doubt_s, abs(self.drift_s))
