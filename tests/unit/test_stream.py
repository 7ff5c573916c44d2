"""The planned stream: mix, shards, users, and the digest that proves what was planned."""

import random

import pytest

from loadtests.pacing.draws import user_draws
from loadtests.pacing.mix import Mix
from loadtests.pacing.schedule import RateProfile
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
)

MIX = Mix([3, 1])
LOAD = OpenLoad(RateProfile(((0, 2), (10, 2))), "constant")


@pytest.mark.parametrize(
    ("uniform", "index"),
    [(0.0, 0), (0.29999, 0), (0.3, 1), (0.49999, 1), (0.5, 2), (0.999999999, 2), (1 - 2**-53, 2)],
)
def test_mix_picks_by_cumulative_weight(uniform: float, index: int) -> None:
    """Weights 3, 2, 5 divide [0, 1) at 0.3 and 0.5; a boundary belongs to the journey after it."""
    assert Mix([3, 2, 5]).pick(uniform) == index


def test_mix_of_one_is_always_that_one() -> None:
    """A single journey is picked whatever the number."""
    assert {Mix([0.1]).pick(k / 1000) for k in range(1000)} == {0}


def test_mix_shares_converge() -> None:
    """Of 20,000 picks from 3 to 1, the second gets a quarter within four standard errors."""
    rng = random.Random(11)
    picks = [MIX.pick(rng.random()) for _ in range(20_000)]
    assert MIX.shares == (0.75, 0.25)
    assert abs(sum(picks) / 20_000 - 0.25) < 4 * (0.25 * 0.75 / 20_000) ** 0.5


@pytest.mark.parametrize("weights", [[], [0], [1, 0], [1, -1]])
def test_mix_refuses_weights_that_are_not_positive(weights: list[float]) -> None:
    """A journey that can never come, or no journey at all, is a mistake."""
    with pytest.raises(ValueError, match="must be positive"):
        Mix(weights)


def test_shards_by_hand() -> None:
    """Seven users on three workers: every third user each."""
    assert [list(shard(7, index, 3)) for index in range(3)] == [[0, 3, 6], [1, 4], [2, 5]]


@pytest.mark.parametrize(("index", "workers"), [(3, 3), (-1, 3), (0, 0)])
def test_shard_of_a_worker_that_does_not_exist_is_refused(index: int, workers: int) -> None:
    """A worker's index must be below the number of workers."""
    with pytest.raises(ValueError, match="does not exist"):
        shard(10, index, workers)


def test_users_draw_from_streams_of_their_own() -> None:
    """Seed and user make the stream, and concatenation cannot confuse them."""
    firsts = {user_draws(seed, user).random() for seed in range(20) for user in range(20)}
    assert len(firsts) == 400
    assert user_draws(1, 11).random() != user_draws(11, 1).random()
    assert user_draws(5, 6).random() == user_draws(5, 6).random()


def test_turns_of_a_user_are_the_same_every_time() -> None:
    """Moments, journeys and draws depend on seed and user alone."""
    once, again = (list(open_turns(LOAD, MIX, user_draws(1, 4))) for _ in range(2))
    assert once == again
    assert len(once) == 20
    assert {turn.journey for turn in once} <= {0, 1}
    assert len({turn.draw for turn in once}) == 20
    assert all(0 <= turn.draw < 2**64 for turn in once)


def test_turns_differ_with_seed_and_user() -> None:
    """Another seed, or another user, gives other turns and another digest."""
    digests = {planned_stream(LOAD, MIX, seed, range(user, user + 1))[1] for seed in (1, 2, 3) for user in (0, 1, 2)}
    assert len(digests) == 9


def test_stream_does_not_depend_on_the_order_of_users() -> None:
    """Digests add up modulo 2^128, so parts may come in any order and number."""
    turns, digest = planned_stream(LOAD, MIX, 9, range(5))
    parts = [planned_stream(LOAD, MIX, 9, range(user, user + 1)) for user in (3, 0, 4, 2, 1)]
    assert sum(part[0] for part in parts) == turns == 100
    assert sum(part[1] for part in parts) % DIGEST_MODULUS == digest
    assert 0 <= digest < DIGEST_MODULUS


def test_digest_counts_turns_and_sees_each_of_them() -> None:
    """Another moment, another journey, another draw or one turn twice are another stream; the moments carry the order."""
    turns = (Turn(1.0, 0, 5), Turn(2.0, 1, 6))

    def digest(*some: Turn, user: int = 0) -> int:
        one = StreamDigest(user)
        for turn in some:
            one.add(turn)
        assert one.turns == len(some)
        return one.value()

    others = [
        turns[:1],
        (*turns, turns[1]),
        (turns[0], Turn(2.5, 1, 6)),
        (turns[0], Turn(2.0, 0, 6)),
        (turns[0], Turn(2.0, 1, 7)),
    ]
    assert digest(*turns) == digest(*reversed(turns))
    assert len({digest(*turns), digest(*turns, user=1), *(digest(*other) for other in others)}) == len(others) + 2


def test_digest_is_of_microseconds() -> None:
    """Moments within the same microsecond are one moment to the digest; the next microsecond is another."""

    def digest(due_s: float) -> int:
        one = StreamDigest(0)
        one.add(Turn(due_s, 0, 0))
        return one.value()

    assert digest(1.000_000_1) == digest(1.0)
    assert digest(1.000_001) != digest(1.0)


def test_thinking_user_waits_its_think_time_after_each_answer() -> None:
    """Every turn of the closed model is due between the shortest and the longest think time after the answer."""
    thinker = ThinkingUser(ClosedLoad(1.0, 3.0, 1e9), MIX, random.Random(2))
    waits = []
    for now_s in range(0, 5000, 5):
        turn = thinker.next(float(now_s))
        assert turn is not None
        waits.append(turn.due_s - now_s)
    assert 1.0 <= min(waits) < 1.05
    assert 2.95 < max(waits) <= 3.0
    assert abs(sum(waits) / 1000 - 2.0) < 4 * (4 / 12 / 1000) ** 0.5


@pytest.mark.parametrize(("now_s", "comes"), [(57.9, True), (58.0, False), (59.9, False), (70.0, False)])
def test_thinking_user_stops_at_the_end(now_s: float, comes: bool) -> None:
    """With a think time of exactly 2 s and an end at 60 s, the last turn follows an answer before 58 s."""
    turn = ThinkingUser(ClosedLoad(2.0, 2.0, 60.0), MIX, random.Random(1)).next(now_s)
    assert (turn is not None) is comes


def test_thinking_user_spends_the_same_randomness_on_every_turn() -> None:
    """Journeys and draws do not depend on when the answers came."""
    fast, slow = (ThinkingUser(ClosedLoad(1, 2, 1e9), MIX, random.Random(8)) for _ in range(2))
    for step in range(50):
        early, late = fast.next(step * 1.0), slow.next(step * 100.0)
        assert early is not None
        assert late is not None
        assert (early.journey, early.draw) == (late.journey, late.draw)
