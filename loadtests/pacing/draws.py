"""Random numbers of a user, in sixteen bytes: ten thousand of Python's own generators take 25 MB.

SplitMix64 (Steele, Lea and Flood, Fast Splittable Pseudorandom Number Generators, OOPSLA 2014): a counter that grows by the
golden ratio, and a mixing function over it.
"""

from hashlib import blake2b
from typing import Protocol

_MASK = 2**64 - 1
_GOLDEN = 0x9E3779B97F4A7C15


class Draws(Protocol):
    """A source of random numbers; Python's random.Random is one."""

    def random(self) -> float:
        """Uniform in [0, 1)."""

    def getrandbits(self, k: int, /) -> int:
        """Uniform over the integers of `k` bits."""


class SplitMix64:
    """The stream that a 64-bit seed gives."""

    __slots__ = ("_state",)

    def __init__(self, seed: int) -> None:
        self._state = seed & _MASK

    def _next(self) -> int:
        self._state = state = (self._state + _GOLDEN) & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        return state ^ (state >> 31)

    def random(self) -> float:
        """Uniform in [0, 1), with 53 bits."""
        return (self._next() >> 11) * 2.0**-53

    def getrandbits(self, k: int, /) -> int:
        """Uniform over the integers of `k` bits, at most 64."""
        return self._next() >> (64 - k)


def user_draws(seed: int, user: int, what: str = "") -> SplitMix64:
    """The random stream of one user of a run: that of its turns, or of something else, which does not change them."""
    key = f"{seed}:{user}:{what}" if what else f"{seed}:{user}"
    return SplitMix64(int.from_bytes(blake2b(key.encode(), digest_size=8).digest()))
