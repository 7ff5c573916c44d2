"""The planned stream: (moment, user, journey, payload) of every turn, a function of the seed and of the recording, if any.

Each user draws from a generator of its own, seeded by (seed, user), so neither the number of workers nor the answers of the
target can change what anybody was going to do. A digest of the stream proves it: one hash a turn, added up modulo 2^128, so
that shards add up to the same number in any order.
"""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from itertools import dropwhile
from typing import NamedTuple

from loadtests.pacing.draws import Draws, user_draws
from loadtests.pacing.mix import Mix
from loadtests.pacing.recorded import RecordedLoad
from loadtests.pacing.schedule import Process, RateProfile, arrival_times, unit_arrivals

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


PlannedLoad = OpenLoad | RecordedLoad
"""Loads whose whole stream is known beforehand."""


def turns_of(load: PlannedLoad, mix: Mix, seed: int, user: int, from_s: float = 0.0) -> Iterator[Turn]:
    """Every turn of one user, in order of time, that is due at `from_s` or later."""
    return dropwhile(lambda turn: turn.due_s < from_s, _turns_of(load, mix, seed, user))


def _turns_of(load: PlannedLoad, mix: Mix, seed: int, user: int) -> Iterator[Turn]:
    draws = user_draws(seed, user)
    if isinstance(load, OpenLoad):
        return open_turns(load, mix, draws)
    return (Turn(due_s, journey, draws.getrandbits(64)) for due_s, journey in load.of_user(user))


def open_turns(load: OpenLoad, mix: Mix, draws: Draws) -> Iterator[Turn]:
    """Every turn of one user of an open load, in order of time."""
    for due_s in arrival_times(load.profile, load.process, draws):
        yield Turn(due_s, mix.pick(draws.random()), draws.getrandbits(64))


class ThinkingUser:
    """Turns of one user of the closed model: `next(now_s)` gives the turn that follows an answer at `now_s`."""

    def __init__(self, load: ClosedLoad, mix: Mix, draws: Draws) -> None:
        self._load, self._mix, self._draws = load, mix, draws

    def next(self, now_s: float) -> Turn | None:
        """The next turn, or None when it would fall after the end."""
        load, draws = self._load, self._draws
        due_s = now_s + load.think_min_s + (load.think_max_s - load.think_min_s) * draws.random()
        turn = Turn(due_s, self._mix.pick(draws.random()), draws.getrandbits(64))
        return turn if due_s < load.duration_s else None


class StreamDigest:
    """Sum of the hashes of one user's turns, their moments to the microsecond."""

    __slots__ = ("_sum", "_user", "turns")

    def __init__(self, user: int) -> None:
        self._user = user
        self._sum = self.turns = 0

    def add(self, turn: Turn) -> None:
        """Take one more turn."""
        packed = _PACKED_TURN.pack(self._user, round(turn.due_s * 1e6), turn.journey, turn.draw)
        self._sum += int.from_bytes(blake2b(packed, digest_size=16).digest())
        self.turns += 1

    def value(self) -> int:
        """The user's share of the stream's digest; add shares modulo DIGEST_MODULUS."""
        return self._sum % DIGEST_MODULUS


def planned_turns(load: PlannedLoad, mix: Mix, seed: int, users: int) -> int:
    """Number of turns of the whole plan. Constant pacing counts by its phases: k + phase < total, for k = 0, 1, 2 ..."""
    if isinstance(load, RecordedLoad):
        return load.before(load.duration_s)
    if load.process == "constant":
        return sum(max(0, math.ceil(load.profile.total - user_draws(seed, user).random())) for user in range(users))
    return sum(sum(1 for _ in open_turns(load, mix, user_draws(seed, user))) for user in range(users))


def expected_turns(load: PlannedLoad, users: int, before_s: float) -> float:
    """Turns that all users together are expected to have before a moment; recorded ones are counted."""
    return load.before(before_s) if isinstance(load, RecordedLoad) else users * load.profile.cumulative(before_s)


def turns_between(load: PlannedLoad, seed: int, users: int, from_s: float, to_s: float) -> int:
    """Number of turns that are due from one moment to before another; without their moments, so about 2 us a turn."""
    if isinstance(load, RecordedLoad):
        return load.before(to_s) - load.before(from_s)
    begin, end = load.profile.cumulative(from_s), load.profile.cumulative(to_s)
    if load.process == "constant":
        phases = (user_draws(seed, user).random() for user in range(users))
        return sum(max(0, math.ceil(end - phase)) - max(0, math.ceil(begin - phase)) for phase in phases)
    return sum(_arrivals_between(load.process, user_draws(seed, user), begin, end) for user in range(users))


def _arrivals_between(process: Process, draws: Draws, begin: float, end: float) -> int:
    """Arrivals of rate one of a user whose turns draw their journeys and payloads in between, as `open_turns` does."""
    found = 0
    for area in unit_arrivals(process, draws):
        if area >= end:
            break
        draws.random()
        draws.getrandbits(64)
        found += area >= begin
    return found


def planned_stream(load: PlannedLoad, mix: Mix, seed: int, users: range) -> tuple[int, int]:
    """(number of turns, digest) of the users' whole stream, computed without running anything."""
    turns, digest = 0, 0
    for user in users:
        one = StreamDigest(user)
        for turn in turns_of(load, mix, seed, user):
            one.add(turn)
        turns, digest = turns + one.turns, (digest + one.value()) % DIGEST_MODULUS
    return turns, digest
