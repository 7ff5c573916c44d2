"""The planned stream: (moment, user, journey, payload) of every turn, a function of the seed alone.

Each user draws from a generator of its own, seeded by (seed, user), so neither the number of workers nor the answers of the
target can change what anybody was going to do. A digest of the stream proves it: one hash a user, added up modulo 2^128, so
that shards add up to the same number in any order.
"""

import math
import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

from loadtests.pacing.mix import Mix
from loadtests.pacing.schedule import Process, RateProfile, arrival_times

DIGEST_MODULUS = 2**128
_PACKED_TURN = struct.Struct("<IQIQ")


class Turn(NamedTuple):
    """One turn of a user: due `due_s` seconds after the start; `draw` (64 random bits) chooses the payload."""

    due_s: float
    journey: int
    draw: int


@dataclass(frozen=True)
class OpenLoad:
    """Arrivals that do not wait for answers."""

    profile: RateProfile
    process: Process


@dataclass(frozen=True)
class ClosedLoad:
    """The next turn comes a think time after the last answer; times in seconds, uniform between the two."""

    think_min_s: float
    think_max_s: float
    duration_s: float


def user_rng(seed: int, user: int) -> random.Random:
    """The random stream of one user."""
    return random.Random(int.from_bytes(blake2b(f"{seed}:{user}".encode(), digest_size=16).digest()))


def open_turns(load: OpenLoad, mix: Mix, rng: random.Random) -> Iterator[Turn]:
    """Every turn of one user, in order of time."""
    for due_s in arrival_times(load.profile, load.process, rng):
        yield Turn(due_s, mix.pick(rng.random()), rng.getrandbits(64))


class ThinkingUser:
    """Turns of one user of the closed model: `next(now_s)` gives the turn that follows an answer at `now_s`."""

    def __init__(self, load: ClosedLoad, mix: Mix, rng: random.Random) -> None:
        self._load, self._mix, self._rng = load, mix, rng

    def next(self, now_s: float) -> Turn | None:
        """The next turn, or None when it would fall after the end."""
        due_s = now_s + self._rng.uniform(self._load.think_min_s, self._load.think_max_s)
        turn = Turn(due_s, self._mix.pick(self._rng.random()), self._rng.getrandbits(64))
        return turn if due_s < self._load.duration_s else None


class StreamDigest:
    """Running hash of one user's turns, to the microsecond."""

    def __init__(self, user: int) -> None:
        self._user = user
        self._hash = blake2b(digest_size=16)
        self.turns = 0

    def add(self, turn: Turn) -> None:
        """Take one more turn, in order."""
        self._hash.update(_PACKED_TURN.pack(self._user, round(turn.due_s * 1e6), turn.journey, turn.draw))
        self.turns += 1

    def value(self) -> int:
        """The user's share of the stream's digest; add shares modulo DIGEST_MODULUS."""
        return int.from_bytes(self._hash.digest())


def planned_turns(load: OpenLoad, mix: Mix, seed: int, users: int) -> int:
    """Number of turns of the whole plan. Constant pacing counts by its phases: k + phase < total, for k = 0, 1, 2 ..."""
    if load.process == "constant":
        return sum(max(0, math.ceil(load.profile.total - user_rng(seed, user).random())) for user in range(users))
    return sum(sum(1 for _ in open_turns(load, mix, user_rng(seed, user))) for user in range(users))


def planned_stream(load: OpenLoad, mix: Mix, seed: int, users: range) -> tuple[int, int]:
    """(number of turns, digest) of the users' whole stream, computed without running anything."""
    turns, digest = 0, 0
    for user in users:
        one = StreamDigest(user)
        for turn in open_turns(load, mix, user_rng(seed, user)):
            one.add(turn)
        turns, digest = turns + one.turns, (digest + one.value()) % DIGEST_MODULUS
    return turns, digest
