"""Laws of the scalability law's fit and of the autoscaler."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.capacity.autoscaling import Deployment, simulate
from loadtests.capacity.hpa import DEFAULT, GUIDE, Behavior, Controller, Policy, Rules, proposal
from loadtests.capacity.reach import reach
from loadtests.capacity.usl import PARAMETERS, Law, fit
from loadtests.pacing.schedule import RateProfile

LAWS = st.builds(Law, st.floats(10, 1e5), st.floats(0.01, 0.4), st.floats(1e-4, 0.02))
UNITS = (1, 2, 3, 4, 6, 8, 12, 16)


@given(law=LAWS)
def test_fit_recovers_an_exact_law(law: Law) -> None:
    """From points that lie on a law that law is found, and its peak with it."""
    found = fit([(units, law.throughput(units)) for units in UNITS])
    assert (found.law.lambda_, found.law.sigma, found.law.kappa) == pytest.approx((law.lambda_, law.sigma, law.kappa), rel=1e-4)
    assert found.law.peak == pytest.approx(law.peak, rel=1e-4)
    assert found.r2 > 1 - 1e-9


@given(law=LAWS, scale=st.floats(-9, 9).map(lambda power: 10.0**power))
def test_fit_does_not_depend_on_the_unit_of_throughput(law: Law, scale: float) -> None:
    """Counted in another unit, only lambda changes."""
    points = [(units, law.throughput(units) * (1 + 1e-4 * math.sin(7 * units))) for units in UNITS]
    one, other = fit(points), fit([(units, rate * scale) for units, rate in points])
    assert other.law.lambda_ == pytest.approx(one.law.lambda_ * scale, rel=1e-4)
    assert (other.law.sigma, other.law.kappa) == pytest.approx((one.law.sigma, one.law.kappa), rel=1e-3, abs=1e-7)


@given(
    law=st.builds(Law, st.floats(10, 1e5), st.floats(0, 1), st.one_of(st.just(0.0), st.floats(1e-6, 0.1))),
    share=st.floats(0.01, 0.999),
)
def test_units_for_is_the_inverse(law: Law, share: float) -> None:
    """X(units for X) is X up to the peak, the least N of the two that have it, and beyond the peak there is none."""
    highest = law.highest if math.isfinite(law.highest) else 1e6
    if law.peak <= 1:
        return
    units = law.units_for(share * highest)
    assert law.throughput(units) == pytest.approx(share * highest, rel=1e-6)
    assert units <= law.peak * (1 + 1e-9)
    assert math.isinf(law.highest) or law.units_for(1.001 * highest) == math.inf


@given(law=LAWS, target=st.floats(0.1, 3))
def test_no_answer_beyond_its_range(law: Law, target: float) -> None:
    """An answer reaches its target within twice the largest number measured; nothing else gives a number of units."""
    found = fit([(units, law.throughput(units)) for units in UNITS])
    asked = target * law.throughput(16)
    answer = reach(found, asked)
    assert (answer.units is None) == (answer.kind != "answer")
    assert answer.linear <= answer.amdahl
    if answer.units is not None:
        assert answer.units <= 32
        assert found.law.throughput(answer.units) >= asked * (1 - 1e-9)
        assert answer.units == 1 or found.law.throughput(answer.units - 1) < asked * (1 + 1e-9)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Of 300 seeded experiments about 95 % have the truth within each interval: 91 to 98.5 %, three standard errors."""
    numbers = np.random.default_rng(20260101)
    law, trials = Law(955, 0.05, 0.004), 300
    held = dict.fromkeys([*PARAMETERS, "X(10)", "X(32)", "peak"], 0)
    for _ in range(trials):
        points = [(units, law.throughput(units) + 50 * numbers.standard_normal()) for units in UNITS for _ in range(2)]
        found = fit(points)
        assert found.way == "student"
        truths = dict(zip(PARAMETERS, (law.lambda_, law.sigma, law.kappa), strict=True))
        intervals = {name: found.interval(name) for name in PARAMETERS}
        truths |= {"X(10)": law.throughput(10), "X(32)": law.throughput(32), "peak": law.peak}
        intervals |= {
            "X(10)": found.throughput_interval(10),
            "X(32)": found.throughput_interval(32),
            "peak": found.peak_interval(),
        }
        for name, interval in intervals.items():
            assert interval is not None
            held[name] += interval[0] <= truths[name] <= interval[1]
    assert {name: count for name, count in held.items() if not 0.91 * trials <= count <= 0.985 * trials} == {}


POLICIES = st.builds(Policy, st.sampled_from(("Pods", "Percent")), st.integers(1, 200), st.sampled_from((15, 30, 60, 120)))
RULES = st.builds(
    Rules,
    st.lists(POLICIES, min_size=1, max_size=3).map(tuple),
    st.sampled_from((0.0, 60.0, 300.0)),
    st.sampled_from(("Max", "Min", "Disabled")),
)
BEHAVIORS = st.one_of(st.none(), st.builds(Behavior, RULES, RULES))
WANTED = st.lists(st.integers(0, 60), min_size=1, max_size=60)


def followed(behavior: Behavior | None, wanted: list[int], least: int = 3, most: int = 20) -> list[int]:
    """Pods at each decision, 15 s apart, from the least on; index 0 is before the first."""
    controller, pods = Controller(least, most, behavior), [least]
    for index, proposed in enumerate(wanted):
        pods.append(controller.decide(index * 15.0, pods[-1], [proposed]))
    return pods


@given(behavior=BEHAVIORS, wanted=WANTED)
def test_pods_stay_within_their_range(behavior: Behavior | None, wanted: list[int]) -> None:
    """Never fewer than the least nor more than the most, whatever is asked for."""
    assert all(3 <= pods <= 20 for pods in followed(behavior, wanted))


@given(behavior=BEHAVIORS, wanted=WANTED)
def test_pods_move_towards_what_is_asked_for(behavior: Behavior | None, wanted: list[int]) -> None:
    """No decision goes past all that was asked for so far, nor away from it."""
    pods = followed(behavior, wanted)
    for index, (before, after) in enumerate(pairwise(pods)):
        asked = [min(max(one, 3), 20) for one in [*wanted[: index + 1], before]]
        assert min(asked) <= after <= max(asked)


@given(up=RULES, wanted=WANTED)
def test_never_faster_than_the_policies(up: Rules, wanted: list[int]) -> None:
    """Within any period no more pods are added than the policy that allows the most permits, from the pods at its start.

    (Scaling down is switched off, so that what was deleted gives no room to add.)
    """
    pods = followed(Behavior(up, Rules(DEFAULT.down.policies, 0, "Disabled")), wanted)
    for end in range(1, len(pods)):
        if pods[end] == pods[end - 1]:
            continue
        limits = []
        for policy in up.policies:
            start = pods[max(0, end - int(policy.period_s // 15))]
            limits.append(start + policy.value if policy.kind == "Pods" else math.ceil(start * (1 + policy.value / 100)))
        assert pods[end] <= max(limits)
        assert up.select == "Max" or pods[end] <= min(limits)
        assert up.select != "Disabled"


@given(pods=st.integers(1, 200), off=st.floats(-0.09, 0.09), target=st.integers(20, 90))
def test_at_rest_within_the_tolerance(pods: int, off: float, target: int) -> None:
    """Within 10 % of the target (less the per cent that is cut off) the number of pods stays as it is."""
    utilisation = target * (1 + off) / 100
    assert proposal(pods, [utilisation] * pods, target / 100) == pods or utilisation * 100 - 1 < target * 0.9


@given(pods=st.integers(1, 50), utilisation=st.floats(0, 1), unready=st.integers(0, 20))
def test_unready_pods_never_make_more(pods: int, utilisation: float, unready: int) -> None:
    """Pods that start already are not asked for again: with them the autoscaler asks for no more than its load needs."""
    current = pods + unready
    asked = proposal(current, [utilisation] * pods, 0.6, unready)
    assert asked <= max(current, math.ceil(pods * utilisation / 0.6 + 1e-6))


RATES = st.lists(st.floats(0, 60_000), min_size=2, max_size=8)


@given(rates=RATES, startup_s=st.integers(0, 120), behavior=st.sampled_from((GUIDE, DEFAULT, None)))
def test_every_request_is_accounted_for(rates: list[float], startup_s: int, behavior: Behavior | None) -> None:
    """What is above capacity is part of what is offered; pods that are ready are among the pods; the range is kept."""
    profile = RateProfile(tuple((index * 60.0, rate) for index, rate in enumerate(rates)))
    course = simulate(Deployment(2100, behavior=behavior, startup_s=startup_s), profile.rate, profile.duration_s)
    assert course.offered == pytest.approx(profile.total, rel=0.02, abs=1)
    assert 0 <= course.above <= course.offered
    assert all(1 <= second.ready <= second.pods and 3 <= second.pods <= 20 for second in course.seconds)
    assert (course.short_s == 0) == (course.above <= 1e-9 * course.offered)


@given(rate=st.floats(0, 25_000))
def test_a_constant_load_comes_to_rest(rate: float) -> None:
    """Under a constant load that the most pods can carry the number of pods ends within the tolerance of its target."""
    course = simulate(Deployment(2100), lambda _: rate, 1800)
    last = course.seconds[-1]
    assert len({second.pods for second in course.seconds[-600:]}) == 1
    assert last.utilisation <= 0.6 * 1.1 + 0.011
    assert last.above == 0
