"""A log's requests added up as they are read: endpoints, requests in each second, and, where it was asked for, every moment.

Memory does not grow with the number of lines: there is an entry for each second that has requests, and a bounded number of
endpoints. Every moment takes ten bytes more.
"""

import random
from array import array
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from loadtests.traffic.access_log import SECOND_US, Hit
from loadtests.traffic.endpoints import FEW, ID, MOST_ENDPOINTS, Endpoint, template_of
from loadtests.traffic.journeys import BY_REQUEST

VARIANTS = FEW + 1


@dataclass(frozen=True)
class Wanted:
    """What is recorded."""

    own: Collection[str] = ()
    """Paths that the harness asks for itself: health checks and logins."""
    keep_ids: bool = False
    """Whether requests for things that existed then are replayed."""
    exact: bool = False
    """Whether every moment is kept."""

    def refusal(self, path: str, template: str) -> str | None:
        """Why a request is left out, if it is."""
        if path in self.own:
            return "the harness asks for it itself"
        return "asks for things that existed then; --keep-ids keeps it" if ID in template and not self.keep_ids else None


@dataclass
class Tally:
    """The sums. Moments are microseconds since the epoch."""

    wanted: Wanted
    endpoints: list[Endpoint] = field(default_factory=list)
    kept: int = 0
    beyond: int = 0
    """Requests of endpoints beyond MOST_ENDPOINTS, which are left out."""
    coarse: int = 0
    """Kept requests whose arrival is known to the second only."""
    seconds: Counter[int] = field(default_factory=Counter)
    """Kept requests in each second of the epoch."""
    first_us: int = 0
    last_us: int = 0
    _moments_us: "array[int]" = field(default_factory=lambda: array("q"))
    _places: "array[int]" = field(default_factory=lambda: array("H"))
    _index: dict[tuple[str, str], int] = field(default_factory=dict)
    _draws: random.Random = field(default_factory=lambda: random.Random(0))

    def add(self, hit: Hit) -> None:
        """Take one more request."""
        index = self._index_of(hit)
        if index is None:
            self.beyond += 1
            return
        endpoint = self.endpoints[index]
        variant = endpoint.count(hit.target, hit.status, self._draws)
        if endpoint.left_out is not None:
            return
        self.first_us = min(self.first_us, hit.at_us) if self.kept else hit.at_us
        self.last_us = max(self.last_us, hit.at_us) if self.kept else hit.at_us
        self.kept += 1
        self.coarse += not hit.exact
        self.seconds[hit.at_us // SECOND_US] += 1
        if self.wanted.exact:
            self._moments_us.append(hit.at_us)
            self._places.append(index * VARIANTS + variant)

    def in_order(self) -> Iterator[tuple[int, tuple[int, int]]]:
        """(microseconds since the first, (endpoint, variant)) of every kept request, in order of time."""
        import numpy as np  # noqa: PLC0415  # a third of a second that other commands need not wait for

        moments_us = np.frombuffer(self._moments_us, np.int64)
        for place in np.argsort(moments_us, kind="stable"):
            yield int(moments_us[place]) - self.first_us, divmod(self._places[place], VARIANTS)

    def _index_of(self, hit: Hit) -> int | None:
        path = hit.target.partition("?")[0]
        key = hit.method, template_of(path)
        index = self._index.get(key)
        if index is None and len(self.endpoints) < MOST_ENDPOINTS:
            index = self._index[key] = len(self.endpoints)
            journey = BY_REQUEST.get((hit.method, path))
            self.endpoints.append(Endpoint(*key, journey, self.wanted.refusal(path, key[1])))
        return index
