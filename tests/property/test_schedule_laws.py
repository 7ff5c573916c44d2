"""Laws of rate profiles and arrivals, over random piecewise-linear profiles."""

import math
import random
from itertools import islice, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtests.pacing.schedule import WAVE_KNOTS, Process, RateProfile, arrival_times, unit_arrivals, wave

RATES = st.one_of(st.just(0.0), st.floats(0.001, 1000), st.sampled_from([1.0, 1.0 + 1e-9, 1.0 + 1e-14, 1e-3, 500.0]))
STEPS = st.one_of(st.just(0.0), st.floats(0.001, 100), st.sampled_from([1.0, 1e-3, 60.0]))
PROCESS_NAMES: tuple[Process, ...] = ("constant", "uniform", "poisson")
PROCESSES: st.SearchStrategy[Process] = st.sampled_from(["constant", "uniform", "poisson"])


@st.composite
def profiles(draw: st.DrawFn, rates: st.SearchStrategy[float] = RATES) -> RateProfile:
    """Ramps, plateaus, jumps (steps of no length), stretches without load, slopes close to none."""
    knots = [(0.0, draw(rates))]
    for step_s, rate in draw(st.lists(st.tuples(STEPS, rates), min_size=1, max_size=8)):
        knots.append((knots[-1][0] + step_s, rate))
    return RateProfile(tuple(knots))


def scale(profile: RateProfile) -> float:
    """A number of arrivals beside which rounding errors are small: the largest rate over the whole time."""
    return max(rate for _, rate in profile.knots) * profile.duration_s


SHARES = st.floats(0, 1, exclude_max=True)


@settings(max_examples=300)
@given(profile=profiles(), share=SHARES)
def test_inverse_undoes_cumulative(profile: RateProfile, share: float) -> None:
    """By R^-1(a) a arrivals are expected: R(R^-1(a)) = a for every a below the total."""
    area = share * profile.total
    time_s = profile.inverse(area)
    if area >= profile.total:
        assert time_s == math.inf
        return
    assert 0 <= time_s <= profile.duration_s
    assert math.isclose(profile.cumulative(time_s), area, rel_tol=1e-9, abs_tol=1e-9 * scale(profile))


@settings(max_examples=200)
@given(profile=profiles(st.floats(0.5, 200)), share=SHARES)
def test_cumulative_undoes_inverse_where_there_is_load(profile: RateProfile, share: float) -> None:
    """R^-1(R(t)) = t wherever the rate is positive."""
    time_s = share * profile.duration_s
    if profile.cumulative(time_s) < profile.total:
        assert math.isclose(profile.inverse(profile.cumulative(time_s)), time_s, rel_tol=1e-9, abs_tol=1e-6)


@settings(max_examples=200)
@given(profile=profiles(), share=SHARES)
def test_inverse_gives_the_earliest_moment(profile: RateProfile, share: float) -> None:
    """R^-1(R(t)) is never after t: a pause is skipped at its beginning."""
    time_s = share * profile.duration_s
    area = profile.cumulative(time_s)
    if area < profile.total:
        earliest = profile.inverse(area)
        assert earliest <= time_s or profile.cumulative(earliest) - area <= 1e-9 * scale(profile)


@settings(max_examples=150)
@given(profile=profiles(), shares=st.lists(SHARES, min_size=2, max_size=20))
def test_both_directions_rise(profile: RateProfile, shares: list[float]) -> None:
    """More time never expects fewer arrivals, and more arrivals never take less time."""
    areas = [profile.cumulative(share * profile.duration_s) for share in sorted(shares)]
    times = [profile.inverse(share * profile.total) for share in sorted(shares)]
    slack = 1e-12 * scale(profile)
    assert all(later >= earlier - slack for earlier, later in pairwise(areas))
    assert all(later >= earlier - 1e-9 for earlier, later in pairwise(times))
    assert all(0 <= area <= profile.total + slack for area in areas)


@settings(max_examples=60)
@given(profile=profiles(), share=SHARES)
def test_cumulative_is_the_area_under_the_rate(profile: RateProfile, share: float) -> None:
    """R(t) equals the sum of thin slices under rate(t), to what slices can tell."""
    time_s, slices = share * profile.duration_s, 2000
    width = time_s / slices
    area = sum(profile.rate((index + 0.5) * width) * width for index in range(slices))
    highest = max(rate for _, rate in profile.knots)
    assert abs(profile.cumulative(time_s) - area) <= 2 * len(profile.knots) * highest * width + 1e-9 * scale(profile)


@settings(max_examples=80)
@given(profile=profiles(st.floats(0, 5)), seed=st.integers(0, 2**64), process=PROCESSES)
def test_arrivals_rise_and_stay_inside(profile: RateProfile, seed: int, process: Process) -> None:
    """Every schedule is a rising sequence of moments within the profile."""
    times = list(islice(arrival_times(profile, process, random.Random(seed)), 500))
    assert all(0 <= time_s <= profile.duration_s for time_s in times)
    assert all(later >= earlier - 1e-9 for earlier, later in pairwise(times))


@settings(max_examples=80)
@given(profile=profiles(st.floats(0, 3)), seed=st.integers(0, 2**64))
def test_constant_arrivals_are_the_total_to_within_one(profile: RateProfile, seed: int) -> None:
    """Constant pacing makes as many arrivals as the integral says, rounded by the phase, and each at its own area."""
    phase = random.Random(seed).random()
    times = list(arrival_times(profile, "constant", random.Random(seed)))
    assert len(times) == max(0, math.ceil(profile.total - phase))
    for index in {0, len(times) // 2, len(times) - 1} & set(range(len(times))):
        assert math.isclose(profile.cumulative(times[index]), index + phase, rel_tol=1e-9, abs_tol=1e-9 * (1 + scale(profile)))


@settings(max_examples=40)
@given(rate=st.floats(0.01, 100), seconds=st.floats(1, 100), seed=st.integers(0, 2**32), cut=st.floats(0.1, 0.9))
def test_a_longer_load_begins_like_a_shorter_one(rate: float, seconds: float, seed: int, cut: float) -> None:
    """The end of a profile does not change what comes before it."""
    for process in PROCESS_NAMES:
        long = RateProfile(((0, rate), (seconds, rate)))
        short = RateProfile(((0, rate), (seconds * cut, rate)))
        whole = list(islice(arrival_times(long, process, random.Random(seed)), 300))
        begin = list(islice(arrival_times(short, process, random.Random(seed)), 300))
        assert whole[: len(begin)] == begin


@settings(max_examples=100)
@given(seed=st.integers(0, 2**64))
def test_uniform_arrivals_have_one_in_each_interval(seed: int) -> None:
    """Arrival k lies in [k, k + 1)."""
    assert [int(area) for area in islice(unit_arrivals("uniform", random.Random(seed)), 100)] == list(range(100))


WAVES = {
    "mean": st.floats(0.01, 1000),
    "share": st.floats(0, 1),
    "period_s": st.floats(0.1, 600),
    "periods": st.floats(0.01, 20),
}


@settings(max_examples=150)
@given(**WAVES, at=st.floats(0, 1, exclude_max=True))
def test_wave_is_a_sine(mean: float, share: float, period_s: float, periods: float, at: float) -> None:
    """Never further from mean + amplitude sin(2 pi t / period) than linear interpolation between its knots allows."""
    amplitude, duration_s = mean * share, period_s * periods
    profile = RateProfile(tuple(wave(duration_s, mean, amplitude, period_s)))
    time_s = at * duration_s
    sine = mean + amplitude * math.sin(2 * math.pi * time_s / period_s)
    bound = amplitude * (math.pi / WAVE_KNOTS) ** 2 / 2
    assert profile.duration_s == duration_s
    assert abs(profile.rate(time_s) - sine) <= bound * 1.001 + 1e-9 * mean


@settings(max_examples=100)
@given(mean=WAVES["mean"], share=WAVES["share"], period_s=WAVES["period_s"], periods=st.integers(1, 20))
def test_wave_has_its_mean_over_whole_periods(mean: float, share: float, period_s: float, periods: int) -> None:
    """What is above the mean equals what is below it."""
    profile = RateProfile(tuple(wave(period_s * periods, mean, mean * share, period_s)))
    assert math.isclose(profile.total, mean * period_s * periods, rel_tol=1e-6)


@given(mean=st.floats(0, 10), above=st.floats(0.001, 10))
def test_wave_below_nothing_is_refused(mean: float, above: float) -> None:
    """There is no negative rate."""
    with pytest.raises(ValueError, match="amplitude"):
        list(wave(1.0, mean, mean + above, 1.0))
