"""Laws of shards, mixes and the planned stream."""

from bisect import bisect_right
from itertools import accumulate

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from loadtests.pacing.draws import user_draws
from loadtests.pacing.mix import Mix
from loadtests.pacing.schedule import Process, RateProfile
from loadtests.pacing.shard import shard
from loadtests.pacing.stream import (
    DIGEST_MODULUS,
    ClosedLoad,
    OpenLoad,
    StreamDigest,
    ThinkingUser,
    Turn,
    open_turns,
    planned_stream,
    turns_between,
)

PROCESSES: st.SearchStrategy[Process] = st.sampled_from(["constant", "poisson"])
WEIGHTS = st.lists(st.floats(0.01, 100), min_size=1, max_size=5)
TURNS = st.lists(
    st.builds(Turn, st.floats(0, 3600), st.integers(0, 9), st.integers(0, 2**64 - 1)),
    min_size=1,
    max_size=20,
)


@given(users=st.integers(0, 500), workers=st.integers(1, 40))
def test_shards_are_a_fair_partition(users: int, workers: int) -> None:
    """Every user is in exactly one shard, and shards differ by at most one user."""
    shards = [shard(users, index, workers) for index in range(workers)]
    assert sorted(user for one in shards for user in one) == list(range(users))
    sizes = [len(one) for one in shards]
    assert max(sizes) - min(sizes) <= 1


@given(weights=WEIGHTS, uniform=st.floats(0, 1, exclude_max=True))
def test_mix_picks_the_journey_whose_share_holds_the_number(weights: list[float], uniform: float) -> None:
    """Shares add up to one, and the pick is the one whose stretch of [0, 1) the number lies in."""
    mix = Mix(weights)
    assert abs(sum(mix.shares) - 1) < 1e-12
    picked = mix.pick(uniform)
    assert 0 <= picked < len(weights)
    edges = list(accumulate(mix.shares))
    assume(all(abs(uniform - edge) > 1e-9 for edge in edges))
    assert picked == min(bisect_right(edges, uniform), len(weights) - 1)


@settings(max_examples=40)
@given(
    users=st.integers(0, 12),
    workers=st.integers(1, 6),
    seed=st.integers(0, 2**63),
    process=PROCESSES,
    rate=st.floats(0.1, 3),
    ramp_s=st.floats(0, 5),
)
def test_stream_does_not_depend_on_the_number_of_workers(
    users: int, workers: int, seed: int, process: Process, rate: float, ramp_s: float
) -> None:
    """Shards add up to the same turns and the same digest as one worker alone."""
    load = OpenLoad(RateProfile(((0.0, 0.0), (ramp_s, rate), (8.0, rate))), process)
    mix = Mix([3, 1])
    turns, digest = planned_stream(load, mix, seed, range(users))
    parts = [planned_stream(load, mix, seed, shard(users, index, workers)) for index in range(workers)]
    assert sum(part[0] for part in parts) == turns
    assert sum(part[1] for part in parts) % DIGEST_MODULUS == digest


@settings(max_examples=30)
@given(seeds=st.lists(st.integers(0, 2**63), min_size=2, max_size=4, unique=True), process=PROCESSES)
def test_seeds_give_streams_of_their_own(seeds: list[int], process: Process) -> None:
    """No two seeds give the same stream."""
    load = OpenLoad(RateProfile(((0.0, 2.0), (5.0, 2.0))), process)
    assert len({planned_stream(load, Mix([1, 1]), seed, range(3))[1] for seed in seeds}) == len(seeds)


def digest_of(user: int, turns: list[Turn]) -> int:
    """Digest of one user's turns."""
    one = StreamDigest(user)
    for turn in turns:
        one.add(turn)
    return one.value()


@settings(max_examples=150)
@given(turns=TURNS, data=st.data())
def test_digest_sees_every_change_of_any_turn(turns: list[Turn], data: st.DataObject) -> None:
    """One turn a microsecond later, of another journey, with another draw, left out or doubled: another digest."""
    index = data.draw(st.integers(0, len(turns) - 1))
    turn = turns[index]
    changed = data.draw(
        st.sampled_from(
            [
                [turn._replace(due_s=turn.due_s + 1.5e-6)],
                [turn._replace(journey=turn.journey + 1)],
                [turn._replace(draw=turn.draw ^ 1)],
                [turn._replace(draw=turn.draw ^ (1 << 63))],
                [],
                [turn, turn],
            ]
        )
    )
    assert digest_of(0, turns[:index] + changed + turns[index + 1 :]) != digest_of(0, turns)
    assert digest_of(1, turns) != digest_of(0, turns)
    assert digest_of(0, list(turns)) == digest_of(0, turns)


@given(
    shortest=st.floats(0.001, 10),
    spread=st.floats(0, 10),
    now_s=st.floats(0, 1e5),
    seed=st.integers(0, 2**32),
    duration_s=st.floats(1, 1e5),
)
def test_thinking_user_keeps_its_bounds(shortest: float, spread: float, now_s: float, seed: int, duration_s: float) -> None:
    """A turn is due within the think time after the answer, and never after the end; without one, none would have fit."""
    load = ClosedLoad(shortest, shortest + spread, duration_s)
    turn = ThinkingUser(load, Mix([1, 2, 3]), user_draws(seed, 0)).next(now_s)
    if turn is None:
        assert now_s + shortest + spread >= duration_s - 1e-6
        return
    assert now_s + shortest - 1e-6 <= turn.due_s <= now_s + shortest + spread + 1e-6
    assert turn.due_s < duration_s
    assert 0 <= turn.journey < 3
    assert 0 <= turn.draw < 2**64


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**63),
    process=st.sampled_from(["constant", "uniform", "poisson"]),
    rate=st.floats(0.1, 3),
    ramp_s=st.floats(0, 5),
    part=st.tuples(st.integers(-1, 25), st.integers(0, 20)),
)
def test_turns_between_two_moments_are_those_of_the_stream(
    seed: int, process: Process, rate: float, ramp_s: float, part: tuple[int, int]
) -> None:
    """Counted without their moments they are as many as have theirs there, within the load and beyond it."""
    load = OpenLoad(RateProfile(((0.0, 0.0), (ramp_s, rate), (ramp_s + 15.0, rate))), process)
    from_s, to_s = part[0], part[0] + part[1]
    turns = [turn.due_s for user in range(4) for turn in open_turns(load, Mix([1.0, 2.0]), user_draws(seed, user))]
    assume(all(abs(due_s - end) > 1e-9 for due_s in turns for end in (from_s, to_s)))
    assert turns_between(load, seed, 4, from_s, to_s) == sum(from_s <= due_s < to_s for due_s in turns)
