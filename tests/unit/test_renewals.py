"""When tokens are renewed: staggered or together, always after now and before their end."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.pacing.draws import user_draws
from loadtests.traffic.renewals import first_life, first_renewal, next_renewal, period

LIFE_S, BEFORE_S = 1800.0, 60.0


def test_first_lives_spread_the_renewals_evenly() -> None:
    """With staggered renewals a user's first token lives so long that the renewals fall anywhere in the first period."""
    moments = sorted(
        first_life(LIFE_S, BEFORE_S, "staggered", user_draws(1, user, "renewals")) - BEFORE_S for user in range(2000)
    )
    assert moments[0] > 0
    assert moments[-1] <= LIFE_S - BEFORE_S
    for tenth in range(1, 10):
        assert moments[200 * tenth] == pytest.approx(tenth / 10 * (LIFE_S - BEFORE_S), rel=0.2)


def test_together_all_tokens_live_equally_long() -> None:
    """A storm needs tokens that end at the same moment."""
    assert first_life(LIFE_S, BEFORE_S, "together", random.Random(1)) == LIFE_S


def test_moments_depend_on_the_seed_and_the_user_alone() -> None:
    """The same seed gives the same moments; another one, or another user, others."""

    def moment(seed: int, user: int) -> float:
        return first_renewal(LIFE_S, BEFORE_S, 1790.0, "staggered", user_draws(seed, user, "renewals"))

    assert moment(1, 1) == moment(1, 1)
    assert len({moment(seed, user) for seed in range(10) for user in range(10)}) == 100


def test_renewals_do_not_draw_from_the_turns() -> None:
    """The stream of renewals is another one than that of the turns, which stays what it was."""
    assert user_draws(1, 1).random() != user_draws(1, 1, "renewals").random()
    assert user_draws(1, 1, "").random() == user_draws(1, 1).random()


def test_a_storm_comes_at_multiples_of_the_period() -> None:
    """Whoever got its token a little earlier or later, and whoever was late, all renew at 15, 30, 45 s."""
    for ends_s in (17.0, 20.0):
        assert first_renewal(20, 5, ends_s, "together", random.Random(1)) == 15
    for now_s, expected in ((15.0, 30.0), (16.5, 30.0), (29.9, 30.0), (30.0, 45.0), (31.0, 45.0)):
        assert next_renewal(20, 5, now_s + 20, "together", now_s) == expected


@pytest.mark.parametrize("ends_s", [-3.0, 10.0, 15.9])
def test_a_token_that_does_not_live_until_the_storm_is_renewed_at_the_start(ends_s: float) -> None:
    """Logins took long, or tokens end on whole seconds: nobody enters the load with a token that is about to end."""
    assert first_renewal(20, 5, ends_s, "together", random.Random(1)) == 0


def test_staggered_renewals_never_come_after_the_end() -> None:
    """A token from a login before the load is renewed before its end, wherever the random moment lies."""
    moments = [first_renewal(20, 5, 9.0, "staggered", user_draws(1, user, "renewals")) for user in range(200)]
    assert max(moments) == 4.0
    assert min(moments) < 1.0


@given(
    life_s=st.floats(0.1, 1e5),
    before_s=st.floats(0, 1e5),
    now_s=st.floats(0, 1e6),
    how=st.sampled_from(["staggered", "together"]),
)
def test_the_next_renewal_is_later(life_s: float, before_s: float, now_s: float, how: str) -> None:
    """Whatever the token's life, a user never renews without end; a token that lives long enough is renewed before its end."""
    moment = next_renewal(life_s, before_s, now_s + life_s, "together" if how == "together" else "staggered", now_s)
    assert moment > now_s
    assert moment <= now_s + period(life_s, before_s) + 1e-3


def test_storms_add_up() -> None:
    """From storm to storm, a thousand times: none is left out and none comes twice."""
    now_s = 0.1
    for number in range(1, 1001):
        now_s = next_renewal(20.1, 5, now_s + 20, "together", now_s)
        assert now_s == pytest.approx(number * 15.1)
