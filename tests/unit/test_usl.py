import itertools
import math

import pytest

from loadtests.capacity.reach import reach
from loadtests.capacity.usl import PARAMETERS, Fit, Law, fit
from loadtests.errors import InputError
from tests.unit.published import CISCO, COEF, RAYTRACER, SPECSDM91


def errors(found: Fit) -> list[float]:
    """Standard errors of lambda, sigma, kappa."""
    return [math.sqrt(found.covariance[at, at]) for at in range(3)]


def test_cisco_in_practical_scalability() -> None:
    """B. Schwartz, Practical Scalability Analysis with the Universal Scalability Law: coefficients, peak, throughput there."""
    found = fit(CISCO)
    assert found.law.lambda_ == pytest.approx(995.6486, rel=1e-6)
    assert found.law.sigma == pytest.approx(0.02671591, rel=1e-5)
    assert found.law.kappa == pytest.approx(7.690945e-4, rel=1e-5)
    assert math.floor(found.law.peak) == 35
    assert found.law.throughput(35) == pytest.approx(12341, abs=1)
    assert found.law.throughput(20) == pytest.approx(11063.6331, abs=1e-2)  # codahale's usl4j, ModelTest


def test_specsdm91_in_the_r_package() -> None:
    """S. Moeding's R package usl, tests/summary, residuals and fitted: everything it prints of a fit."""
    found = fit(SPECSDM91)
    assert found.way == "student"
    assert found.law.sigma == pytest.approx(0.0277285, rel=1e-5)
    assert found.law.kappa == pytest.approx(0.0001044, abs=5e-8)
    assert found.law.lambda_ == pytest.approx(89.9952330, rel=1e-8)
    assert errors(found) == pytest.approx([14.2134894, 0.0091217, 0.0000199], rel=2e-3)
    assert found.deviation == pytest.approx(82.85, abs=0.005)
    assert found.freedom == 4
    assert found.r2 == pytest.approx(0.9896, abs=5e-5)
    residuals = [rate - found.law.throughput(units) for units, rate in SPECSDM91]
    assert residuals == pytest.approx([-25.10, -81.66, 111.09, 3.05, -49.99, -46.60, 56.00], abs=0.005)
    assert [found.law.throughput(units) for units, _ in SPECSDM91] == pytest.approx(
        [90, 1078, 1541, 1850, 1879, 1822, 1646], abs=0.5
    )
    assert found.law.peak == pytest.approx(97, abs=0.5)


def test_raytracer_in_the_r_package() -> None:
    """Gunther's ray tracer, in the R package's tests/confint: kappa lies at its bound, so the peak is at infinity."""
    found = fit(RAYTRACER)
    assert found.law.sigma == pytest.approx(0.0578, abs=5e-5)
    assert found.law.lambda_ == pytest.approx(21.8488, abs=5e-5)
    assert (found.law.kappa, found.bound, found.way) == (0.0, ("kappa",), "bootstrap")
    assert found.law.peak == math.inf
    assert found.law.highest == pytest.approx(21.8488 / 0.0578, rel=2e-3)
    # The package prints 0.0337 to 0.0819 and 17.9 to 25.8 from a covariance that lets kappa be negative.
    lowest, highest = found.interval("sigma") or (0, 0)
    assert 0.0337 * 0.9 < lowest < 0.0578 < highest < 0.0819
    lowest, highest = found.interval("lambda") or (0, 0)
    assert 17.9 * 0.95 < lowest < 21.8 < highest < 25.8


def test_rounded_table_in_the_r_package() -> None:
    """The R package's tests/coef: a table made of sigma = kappa = 0.02, lambda = 1."""
    law = fit(COEF).law
    assert (law.sigma, law.kappa, law.lambda_) == pytest.approx((0.02, 0.02, 1.0), abs=5e-4)


def test_intervals_are_students() -> None:
    """Away from bounds an interval is the estimate and t times its standard error: t of 4 degrees of freedom is 2.776."""
    found = fit(SPECSDM91)
    for name, value, error in zip(
        PARAMETERS, (found.law.lambda_, found.law.sigma, found.law.kappa), errors(found), strict=True
    ):
        assert found.interval(name) == pytest.approx((value - 2.7764 * error, value + 2.7764 * error), rel=1e-3)
    low, high = found.throughput_interval(1) or (0, 0)
    assert (low, high) == pytest.approx(found.interval("lambda"))


@pytest.mark.parametrize("scale", [1e-6, 1e5, 1e10])
def test_intervals_do_not_depend_on_the_unit_of_throughput(scale: float) -> None:
    """Counted in bytes they are as wide as in megabytes."""
    one, other = fit(SPECSDM91), fit([(units, rate * scale) for units, rate in SPECSDM91])
    low, high = one.interval("lambda") or (0, 0)
    assert other.interval("lambda") == pytest.approx((low * scale, high * scale), rel=1e-5)
    assert [other.interval(name) for name in ("sigma", "kappa")] == [
        pytest.approx(one.interval(name), rel=1e-5) for name in ("sigma", "kappa")
    ]
    assert other.peak_interval() == pytest.approx(one.peak_interval(), rel=1e-5)


def test_peak_has_an_interval() -> None:
    """The interval of the peak holds the peak, and has no upper end when kappa's has nothing as its lower one."""
    found = fit(SPECSDM91)
    low, high = found.peak_interval() or (0, 0)
    assert low < found.law.peak < high < math.inf
    unsure = fit([(1, 955), (2, 1878), (3, 2600), (4, 3548), (6, 4900)])
    assert (unsure.peak_interval() or (0, 0))[1] == math.inf


@pytest.mark.parametrize(
    ("sigma", "kappa", "bound"), [(0.03, 0.0, ("kappa",)), (0.0, 0.002, ("sigma",)), (0.0, 0.0, ("sigma", "kappa"))]
)
def test_bounds_are_recognised(sigma: float, kappa: float, bound: tuple[str, ...]) -> None:
    """What costs nothing is found to be nothing, and linear scaling has no peak."""
    law = Law(955, sigma, kappa)
    found = fit([(units, law.throughput(units)) for units in (1, 2, 4, 8)])
    assert found.bound == bound
    assert found.law.lambda_ == pytest.approx(955, rel=1e-5)


def test_as_many_points_as_coefficients() -> None:
    """Three points are fitted, and nothing is said of how sure that is."""
    found = fit([(1, 955), (2, 1800), (4, 3000)])
    assert found.way is None
    assert math.isnan(found.deviation)
    assert [found.interval(name) for name in PARAMETERS] == [None, None, None]
    assert found.throughput_interval(3) is None
    assert found.peak_interval() is None
    assert reach(found, 2500).interval is None


def test_repeated_measurements() -> None:
    """Each repetition is a point: it does not change an exact law, and it makes the intervals possible."""
    law = Law(955, 0.03, 0.001)
    found = fit([(units, law.throughput(units) * factor) for units, factor in itertools.product((1, 2, 4), (0.99, 1.01))])
    assert found.freedom == 3
    low, high = found.interval("lambda") or (0, 0)
    assert low < 955 < high


@pytest.mark.parametrize(
    ("points", "text"),
    [
        ([(1, 955), (2, 1878), (2, 1890)], "three different numbers of units \\(got 2\\)"),
        ([], "got 0"),
        ([(1, 955), (2, 0), (3, 1)], "2=0: a throughput is above 0"),
        ([(0, 955), (2, 1878), (3, 2000)], "0=955: a number of units lies between 1 and 1,000,000"),
        ([(1, math.nan), (2, 1878), (3, 2000)], "1=nan"),
    ],
)
def test_refuses_what_cannot_be_fitted(points: list[tuple[float, float]], text: str) -> None:
    """Too few points, and numbers that are none, are the user's to mend."""
    with pytest.raises(InputError, match=text):
        fit(points)


def test_units_within_what_was_measured() -> None:
    """The answer is a whole number that reaches the target while one less does not, and lies in its interval."""
    found = fit(CISCO)
    answer = reach(found, 10_000)
    assert answer.kind == "answer"
    assert answer.units is not None and answer.interval is not None
    assert found.law.throughput(answer.units) >= 10_000 > found.law.throughput(answer.units - 1)
    assert answer.interval[0] <= answer.units <= answer.interval[1]
    assert answer.linear <= answer.amdahl <= answer.units


def test_units_that_do_not_exist() -> None:
    """A target above the peak is never reached; the answer says where the peak is, and bounds are not answers."""
    answer = reach(fit(CISCO), 13_000)
    assert (answer.kind, answer.units, answer.interval) == ("never", None, None)
    assert answer.highest == pytest.approx(12_343, abs=1)
    assert answer.highest_at == pytest.approx(35.57, abs=0.01)
    assert answer.linear == 14


def test_units_too_far_away() -> None:
    """No answer beyond twice the largest number measured, even if the law has one: bounds alone."""
    found = fit([(units, rate) for units, rate in CISCO if units <= 4])
    assert found.law.units_for(8_000) > 8
    answer = reach(found, 8_000)
    assert (answer.kind, answer.units, answer.furthest) == ("too far", None, 8)
    assert 8 < answer.linear <= answer.amdahl
    assert reach(found, 8_000, furthest=8).kind != "too far"


def test_bounds_that_do_not_exist() -> None:
    """Amdahl's law ends at lambda / sigma: beyond it there is no bound but the linear one."""
    answer = reach(fit(RAYTRACER), 500)
    assert (answer.kind, answer.linear, answer.amdahl) == ("too far", 23, math.inf)


def test_whole_units_are_exact() -> None:
    """A target that a whole number of units meets exactly takes that number and not one more."""
    law = Law(1000, 0.02, 0.001)
    found = fit([(units, law.throughput(units)) for units in (1, 2, 3, 4, 6, 8)])
    assert reach(found, law.throughput(5) - 1e-6).units == 5
