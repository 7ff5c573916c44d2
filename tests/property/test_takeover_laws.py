"""Laws of taking over: every user has one worker, and one that others play has exactly its turns."""

from hypothesis import given
from hypothesis import strategies as st

from loadtests.pacing.mix import Mix
from loadtests.pacing.schedule import Process, RateProfile
from loadtests.pacing.stream import OpenLoad, turns_of
from loadtests.pacing.takeover import Holdings

PROCESSES: tuple[Process, ...] = ("constant", "uniform", "poisson")


@given(users=st.integers(0, 60), workers=st.integers(2, 6), data=st.data())
def test_every_user_has_one_living_worker(users: int, workers: int, data: st.DataObject) -> None:
    """Whatever the order in which workers are lost; heirs of one loss differ by one user at the most."""
    holdings, living, now_s = Holdings(users, workers), set(range(workers)), 0.0
    while len(living) > 1:
        lost = data.draw(st.sampled_from(sorted(living)))
        living -= {lost}
        now_s += 1.0
        had = dict(holdings.of(lost))
        shares = holdings.hand_over(lost, list(living), now_s)
        sizes = [len(share) for share in shares.values()]
        assert max(sizes) - min(sizes) <= 1 and sum(sizes) == len(had)
        assert dict(holdings.of(lost)) == had, "what a lost worker had to do is a fact"
        assert sorted(user for worker in living for user in holdings.of(worker)) == list(range(users))
        assert all(holdings.of(heir)[user] == now_s for heir, share in shares.items() for user in share)


@given(
    seed=st.integers(0, 2**32),
    process=st.sampled_from(PROCESSES),
    rate=st.floats(0.1, 20),
    from_s=st.floats(0, 12),
)
def test_the_rest_of_a_stream_is_a_part_of_it(seed: int, process: Process, rate: float, from_s: float) -> None:
    """Journeys and payloads included: nobody can tell from a turn that another worker played the ones before."""
    load, mix = OpenLoad(RateProfile(((0.0, 0.0), (1.0, rate), (10.0, rate))), process), Mix([3, 1])
    whole = list(turns_of(load, mix, seed, 7))
    assert list(turns_of(load, mix, seed, 7, from_s)) == [turn for turn in whole if turn.due_s >= from_s]
