"""From what a server has counted since it started to what happened since the round before."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from loadtests.measure.counters import increase


@dataclass(frozen=True)
class Growth:
    """What was added between two rounds."""

    by_name: Mapping[str, float]
    seconds: float

    def per_second(self, name: str) -> float | None:
        """The rate; None for a counter that the round before did not have."""
        return self.by_name[name] / self.seconds if name in self.by_name and self.seconds > 0 else None

    def share(self, part: str, rest: str) -> float | None:
        """The part of both together; None when neither grew."""
        whole = self.by_name.get(part, math.nan) + self.by_name.get(rest, math.nan)
        return self.by_name[part] / whole if whole > 0 else None


class Rounds:
    """Remembers the counters of the last round that was answered: what comes after a gap is the mean over the gap."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._before: Mapping[str, float] = {}
        self._at_s = clock()

    def step(self, counters: Mapping[str, float]) -> Growth:
        """The growth since the round before; empty in the first one."""
        now, before = self._clock(), self._before
        grown = {name: increase((before[name], value)) for name, value in counters.items() if name in before}
        growth = Growth(grown, now - self._at_s)
        self._before, self._at_s = dict(counters), now
        return growth
