"""Rate profiles and constant arrivals, against examples worked by hand."""

import math
import random
from itertools import islice, pairwise

import pytest

from loadtests.pacing.schedule import RateProfile, arrival_times, unit_arrivals

RAMP = RateProfile(((0, 0), (10, 2), (30, 2)))
"""From 0 to 2/s in 10 s (10 arrivals), then 2/s for 20 s (40 arrivals)."""
GAP = RateProfile(((0, 1), (2, 1), (2, 0), (5, 0), (5, 4), (6, 4)))
"""1/s for 2 s, nothing for 3 s, 4/s for 1 s."""


@pytest.mark.parametrize(
    ("profile", "time_s", "rate", "area"),
    [
        (RAMP, 0, 0, 0),
        (RAMP, 5, 1, 2.5),
        (RAMP, 10, 2, 10),
        (RAMP, 20, 2, 30),
        (RAMP, 30, 0, 50),
        (RAMP, -1, 0, 0),
        (RAMP, 99, 0, 50),
        (GAP, 1, 1, 1),
        (GAP, 2, 0, 2),
        (GAP, 4, 0, 2),
        (GAP, 5, 4, 2),
        (GAP, 5.5, 4, 4),
    ],
)
def test_rate_and_its_integral(profile: RateProfile, time_s: float, rate: float, area: float) -> None:
    """At a jump the later rate counts; outside the profile there is none; the integral is the area under the drawing."""
    assert profile.rate(time_s) == rate
    assert profile.cumulative(time_s) == area


@pytest.mark.parametrize(
    ("profile", "area", "time_s"),
    [
        (RAMP, 2.5, 5),
        (RAMP, 10, 10),
        (RAMP, 30, 20),
        (RAMP, 0, 0),
        (GAP, 2, 2),
        (GAP, 2.5, 5.125),
        (GAP, 4, 5.5),
    ],
)
def test_inverse_gives_the_earliest_moment_of_an_area(profile: RateProfile, area: float, time_s: float) -> None:
    """By R^-1(a) exactly a arrivals are expected; where nothing comes for a while, it is the moment before the pause."""
    assert profile.inverse(area) == pytest.approx(time_s, abs=1e-12)


@pytest.mark.parametrize("area", [50, 50.1, 1e9])
def test_inverse_ends_with_the_profile(area: float) -> None:
    """At and beyond the total there is no moment."""
    assert RAMP.inverse(area) == math.inf


def test_totals() -> None:
    """The profile knows its length and its expected number of arrivals."""
    assert (RAMP.duration_s, RAMP.total) == (30, 50)
    assert (GAP.duration_s, GAP.total) == (6, 6)


@pytest.mark.parametrize(
    ("knots", "words"),
    [
        ((), "at least two knots"),
        (((0.0, 1.0),), "at least two knots"),
        (((1.0, 1.0), (2.0, 1.0)), "starts at 0 s"),
        (((0.0, 1.0), (5.0, 1.0), (4.0, 1.0)), "must not fall"),
        (((0.0, 1.0), (5.0, -0.1)), "must not be negative"),
    ],
    ids=["empty", "one knot", "late start", "times fall", "negative rate"],
)
def test_impossible_profiles_are_refused(knots: tuple[tuple[float, float], ...], words: str) -> None:
    """A profile that cannot be one raises when it is made, not in the middle of a run."""
    with pytest.raises(ValueError, match=words):
        RateProfile(knots)


@pytest.mark.parametrize("seed", range(5))
def test_constant_arrivals_are_equally_spaced(seed: int) -> None:
    """At 4/s every gap is a quarter of a second, exactly as far as numbers go, and the phase is the first random number."""
    profile = RateProfile(((0, 4), (100, 4)))
    phase = random.Random(seed).random()
    times = list(arrival_times(profile, "constant", random.Random(seed)))
    assert times[0] == pytest.approx(phase / 4, rel=1e-15)
    assert len(times) == 400
    assert all(later - earlier == pytest.approx(0.25, abs=1e-13) for earlier, later in pairwise(times))


@pytest.mark.parametrize(("phase", "count"), [(0.0, 3), (0.49, 3), (0.5, 2), (0.51, 2), (0.99, 2)])
def test_number_of_constant_arrivals_follows_from_total_and_phase(phase: float, count: int) -> None:
    """Of a profile with 2.5 expected arrivals, those with phase + k below 2.5 come."""

    class Fixed(random.Random):
        def random(self) -> float:
            return phase

    assert len(list(arrival_times(RateProfile(((0, 1), (2.5, 1))), "constant", Fixed()))) == count


def test_constant_arrivals_do_not_drift() -> None:
    """The millionth arrival stands where its index says: no error adds up on the way."""
    phase = random.Random(7).random()
    area = next(islice(unit_arrivals("constant", random.Random(7)), 1_000_000, None))
    assert area == phase + 1_000_000
    assert RateProfile(((0, 1000), (2000, 1000))).inverse(area) == pytest.approx((phase + 1_000_000) / 1000, rel=4e-16)


def test_constant_arrivals_on_a_ramp_follow_the_square_root() -> None:
    """On a ramp from 0 the k-th arrival comes at sqrt(2 (k + phase) / slope)."""
    phase = random.Random(3).random()
    times = list(arrival_times(RateProfile(((0, 0), (100, 10))), "constant", random.Random(3)))
    assert len(times) == 500
    assert times == pytest.approx([math.sqrt(2 * (k + phase) / 0.1) for k in range(500)], rel=1e-12)


@pytest.mark.parametrize("process", ["constant", "poisson"])
def test_nothing_arrives_while_the_rate_is_zero(process: str) -> None:
    """A pause in the profile is a pause in the arrivals."""
    profile = RateProfile(((0, 20), (2, 20), (2, 0), (5, 0), (5, 20), (7, 20)))
    times = list(arrival_times(profile, "poisson" if process == "poisson" else "constant", random.Random(1)))
    assert len(times) > 40
    assert [time_s for time_s in times if 2 < time_s < 5] == []


def test_profile_without_load_has_no_arrivals() -> None:
    """A rate of zero all the way gives an empty schedule."""
    assert list(arrival_times(RateProfile(((0, 0), (10, 0))), "poisson", random.Random(1))) == []
