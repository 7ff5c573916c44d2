"""From single requests to endpoints: what is asked for again and again, whoever asks, by method and path template.

    GET /users/42/orders?page=1    GET /users/{id}/orders

Segments that are numbers, UUIDs or hexadecimal ids stand for `{id}`. Memory is bounded: each endpoint has so many samples.
"""

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

ID = "{id}"
MOST_ENDPOINTS = 300
"""Endpoints that are told apart; what is asked for later than so many others is left out and counted."""
FEW = 4
"""So many different queries of an endpoint are requests of their own; more are samples of one."""
SAMPLES = 50
"""Targets that stand for all that were asked for."""
_ID = re.compile(r"\d+|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|(?=[a-fA-F]*\d)[0-9a-fA-F]{12,}")
LONGEST_NAME = 80
"""Characters of a name before the number that may follow; names are part of files' names."""
_NO_NAME = re.compile(r"[^A-Za-z0-9]+")


@lru_cache(maxsize=4096)
def template_of(path: str) -> str:
    """A path with `{id}` in the place of each id."""
    return "/".join(ID if _ID.fullmatch(segment) else segment for segment in path.split("/"))


@dataclass
class Endpoint:
    """One method and path template, or a known journey that asks for it."""

    method: str
    template: str
    journey: str | None
    """Name of the journey that is known to make this request."""
    left_out: str | None
    """Why it is not replayed, if it is not."""
    requests: int = 0
    client_errors: int = 0
    server_errors: int = 0
    variants: dict[str, int] = field(default_factory=dict)
    """Targets to their numbers, in the order of their first requests; no more than FEW + 1 of them."""
    counts: list[int] = field(default_factory=list)
    """Requests of each variant."""
    samples: list[str] = field(default_factory=list)
    """Targets, each request with the same chance to be among them."""

    @property
    def title(self) -> str:
        """How people are told of it."""
        return f"{self.method} {self.template}"

    @property
    def is_few(self) -> bool:
        """Whether each of its targets is a request of its own."""
        return len(self.variants) <= FEW

    def count(self, target: str, status: int, draws: random.Random) -> int:
        """Take one more request; the number of its variant, FEW when it is none of the first."""
        self.requests += 1
        self.client_errors += 400 <= status < 500
        self.server_errors += status >= 500
        if self.journey is not None or self.left_out is not None:
            return 0
        self._sample(target, draws)
        variant = self.variants.get(target)
        if variant is None:
            variant = min(len(self.variants), FEW)
            if len(self.variants) <= FEW:
                self.variants[target] = variant
                self.counts.append(0)
        self.counts[variant] += 1
        return variant

    def _sample(self, target: str, draws: random.Random) -> None:
        """Vitter's algorithm R."""
        if len(self.samples) < SAMPLES:
            self.samples.append(target)
        elif (place := draws.randrange(self.requests)) < SAMPLES:
            self.samples[place] = target


def names_of(endpoints: Mapping[int, Endpoint], taken: set[str]) -> dict[tuple[int, int], str]:
    """Names by (endpoint, variant): a known journey's, or one made of method and path that is not `taken`."""
    found: dict[tuple[int, int], str] = {}
    for index, endpoint in endpoints.items():
        if endpoint.journey is not None:
            found[index, 0] = endpoint.journey
            continue
        words = _NO_NAME.sub("_", f"{endpoint.method.lower()}_{endpoint.template}")[:LONGEST_NAME].strip("_")
        if endpoint.is_few:
            for variant in range(len(endpoint.variants)):
                found[index, variant] = _free(words, taken)
        else:
            found |= dict.fromkeys(((index, variant) for variant in range(FEW + 1)), _free(words, taken))
    return found


def _free(words: str, taken: set[str]) -> str:
    name, number = words, 1
    while name in taken:
        number += 1
        name = f"{words}_{number}"
    taken.add(name)
    return name
