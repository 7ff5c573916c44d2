"""Arrivals that were recorded: each request has the moment and the name that it once had, whatever the seed.

Request k is a turn of user k mod `users`, so who acts when does not depend on who plays whom.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class RecordedLoad:
    """Moments in microseconds since the start, never falling, and for each the index of its journey in the mix.

    Time runs `speed` times as fast as it did; what would be due at `duration_s` or later is left out.
    """

    moments_us: Sequence[int]
    journeys: Sequence[int]
    users: int
    duration_s: float
    speed: float = 1.0

    def due_s(self, index: int) -> float:
        """When request `index` is due, in seconds after the start of the load."""
        return self.moments_us[index] / 1e6 / self.speed

    def before(self, time_s: float) -> int:
        """Number of requests that are due before `time_s`."""
        return bisect_left(range(len(self.moments_us)), min(time_s, self.duration_s), key=self.due_s)

    def of_user(self, user: int) -> Iterator[tuple[float, int]]:
        """(moment in s, index of the journey) of every turn of one user, in order."""
        for index in range(user, self.before(self.duration_s), self.users):
            yield self.due_s(index), self.journeys[index]
