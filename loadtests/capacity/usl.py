"""The Universal Scalability Law: throughput over the number of units (instances, workers, users) that share the work.

    X(N) = lambda N / (1 + sigma (N - 1) + kappa N (N - 1))

`lambda` is what one unit does alone, `sigma` the share of the work that waits for its turn (contention), `kappa` what it takes
to keep each pair of units consistent (coherency). N. J. Gunther, Guerrilla Capacity Planning, Springer 2007, chapters 4 to 6;
with kappa = 0 it is Amdahl's law, with sigma = 0 as well it is linear.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.stats import t as student

from loadtests.errors import InputError
from loadtests.measure.intervals import Interval

PARAMETERS = ("lambda", "sigma", "kappa")
CONFIDENCE = 0.95
DRAWS = 400
"""Fits of a bootstrap."""
NOTHING = 1e-4
"""What a coefficient takes of the throughput at the largest N that is tried as nothing at all."""
MOST_UNITS = 1_000_000
MOST_RATE = 1e15
Floats = NDArray[np.float64]
Way = Literal["student", "bootstrap"]


@dataclass(frozen=True)
class Law:
    """The three coefficients; `lambda_` in the unit of the throughput."""

    lambda_: float
    sigma: float
    kappa: float

    def throughput(self, units: float) -> float:
        """X(N)."""
        return self.lambda_ * units / (1 + self.sigma * (units - 1) + self.kappa * units * (units - 1))

    @property
    def peak(self) -> float:
        """N* = sqrt((1 - sigma) / kappa), where X is greatest; infinite if it never falls."""
        return math.sqrt((1 - self.sigma) / self.kappa) if self.kappa > 0 else math.inf

    @property
    def highest(self) -> float:
        """The throughput that no number of units exceeds: at the peak, or Amdahl's lambda / sigma."""
        if math.isfinite(self.peak):
            return self.throughput(max(self.peak, 1.0))
        return self.lambda_ / self.sigma if self.sigma > 0 else math.inf

    def units_for(self, target: float) -> float:
        """The least N with X(N) >= `target`, as a real number; infinite where there is none.

        The lesser root of kappa N^2 + (sigma - kappa - lambda / target) N + 1 - sigma = 0, written so that it does not cancel.
        """
        if target > self.highest:
            return math.inf
        half = (self.lambda_ / target - self.sigma + self.kappa) / 2
        root = math.sqrt(max(0.0, half * half - self.kappa * (1 - self.sigma)))
        return (1 - self.sigma) / (half + root) if half + root > 0 else math.inf


@dataclass(frozen=True)
class Fit:
    """A law fitted to points (N, X) by least squares, and how far it may be trusted.

    The intervals (95 %) take the deviations for independent, normal and of one size at every N. `way` says where they come
    from. "student": the covariance of the linearised problem and Student's t. "bootstrap", where sigma or kappa lies at its
    bound, so that linearising says nothing: the law is fitted again to `DRAWS` sets of points with deviations of the size that
    was found, which is itself drawn from its chi-square distribution. None: no point more than coefficients, so no intervals.
    """

    law: Law
    points: tuple[tuple[float, float], ...]
    r2: float
    """Share of the variance of X that the law explains."""
    deviation: float
    """Residual standard deviation, in the unit of the throughput; NaN without a point more than coefficients."""
    way: Way | None
    bound: tuple[str, ...]
    """Coefficients that lie at their bound."""
    covariance: Floats
    """Of lambda, sigma, kappa; NaN unless `way` is "student"."""
    draws: Floats
    """One row of lambda, sigma, kappa for each fit of the bootstrap; none unless `way` is "bootstrap"."""

    @property
    def most_units(self) -> float:
        """The largest N that was measured."""
        return max(units for units, _ in self.points)

    @property
    def freedom(self) -> int:
        """Points less coefficients."""
        return len(self.points) - len(PARAMETERS)

    @property
    def _coefficients(self) -> Floats:
        return np.array([self.law.lambda_, self.law.sigma, self.law.kappa])

    @cached_property
    def _t(self) -> float:
        return float(student.ppf((1 + CONFIDENCE) / 2, self.freedom))

    def interval(self, parameter: str) -> Interval | None:
        """Of one of `PARAMETERS`, not beyond what it can be; None if nothing can be said."""
        at = PARAMETERS.index(parameter)
        if self.way is None:
            return None
        if self.way == "bootstrap":
            return _ends(self.draws[:, at])
        value = float(self._coefficients[at])
        half = self._t * math.sqrt(self.covariance[at, at])
        return max(0.0, value - half), min(1.0, value + half) if parameter == "sigma" else value + half

    def throughput_interval(self, units: float) -> Interval | None:
        """Of X(N), the law's mean and not of one more measurement; None if nothing can be said."""
        if self.way is None:
            return None
        low, high = self.band(np.array([units], dtype=float))
        return float(low[0]), float(high[0])

    def band(self, units: Floats) -> Floats:
        """Two rows, the lowest and the highest X at each of `units`. Only for a fit that has intervals."""
        if self.way == "bootstrap":
            return _middle(_throughput(units, *self.draws.T[:, :, None]))
        slopes = _slopes(units, self._coefficients)
        halves = self._t * np.sqrt(np.maximum(0.0, np.einsum("ij,jk,ik->i", slopes, self.covariance, slopes)))
        values = _throughput(units, *self._coefficients)
        return np.array([np.maximum(0.0, values - halves), values + halves])

    def peak_interval(self) -> Interval | None:
        """Of N*; its upper end is infinite where the points do not tell that the throughput ever falls.

        E. C. Fieller, Some problems in interval estimation, JRSS B 16 (1954): of all N those at which the slope, of the sign of
        1 - sigma - kappa N^2 and so linear in the coefficients, may be 0. A quadratic in N^2.
        """
        if self.way is None:
            return None
        if self.way == "bootstrap":
            return _ends(np.array([Law(*row).peak for row in self.draws]))
        t2, free, kappa = self._t**2, 1 - self.law.sigma, self.law.kappa
        (ss, sk), (_, kk) = self.covariance[1:, 1:]
        a, b, c = kappa**2 - t2 * kk, free * kappa + t2 * sk, free**2 - t2 * ss
        root = math.sqrt(max(0.0, b * b - a * c))
        low = math.sqrt(c / (b + root)) if c > 0 and b + root > 0 else 0.0
        return low, math.sqrt(max(0.0, b + root) / a) if a > 0 else math.inf


def fit(points: Sequence[tuple[float, float]], seed: int = 0) -> Fit:
    """Fit 0 <= sigma <= 1, kappa >= 0 and lambda > 0; repeated measurements of one N are points of their own.

    Raises InputError for fewer than three different N, and for numbers that are no units or no throughput.
    """
    _check(points)
    units, rates = np.array(points, dtype=float).T
    found, bound = _settled(units, rates)
    residuals = rates - _throughput(units, *found)
    squares, freedom = float(residuals @ residuals), len(points) - len(PARAMETERS)
    spread = float(((rates - rates.mean()) ** 2).sum())
    deviation = math.sqrt(squares / freedom) if freedom else math.nan
    way: Way | None = None if not freedom else "bootstrap" if bound else "student"
    covariance, draws = np.full((3, 3), math.nan), np.empty((0, 3))
    if way == "student":
        covariance = _covariance(units, rates, found, deviation)
    elif way == "bootstrap":
        draws = _bootstrap(units, found, deviation, freedom, seed)
    r2 = 1 - squares / spread if spread > 0 else 1.0
    return Fit(Law(*map(float, found)), tuple(points), r2, deviation, way, bound, covariance, draws)


def _check(points: Sequence[tuple[float, float]]) -> None:
    for units, rate in points:
        if not 1 <= units <= MOST_UNITS:
            raise InputError(f"{units:g}={rate:g}: a number of units lies between 1 and {MOST_UNITS:,}")
        if not 0 < rate < MOST_RATE:
            raise InputError(f"{units:g}={rate:g}: a throughput is above 0; leave out what was not measured")
    different = len({units for units, _ in points})
    if different < len(PARAMETERS):
        raise InputError(
            f"the law has three coefficients and needs measurements of three different numbers of units (got {different}); "
            "measure one more, e.g. 1, 2 and 4"
        )


def _throughput(units: Floats, lambda_: Any, sigma: Any, kappa: Any) -> Floats:
    """X(N) of arrays."""
    found: Floats = lambda_ * units / (1 + sigma * (units - 1) + kappa * units * (units - 1))
    return found


def _slopes(units: Floats, coefficients: Floats) -> Floats:
    """One row for each N: the derivatives of X(N) by lambda, sigma and kappa."""
    lambda_, sigma, kappa = coefficients
    rest = 1 + sigma * (units - 1) + kappa * units * (units - 1)
    per_sigma = -lambda_ * units * (units - 1) / rest**2
    return np.column_stack([units / rest, per_sigma, per_sigma * units])


def _covariance(units: Floats, rates: Floats, found: Floats, deviation: float) -> Floats:
    """Of the coefficients, from the linearised problem: deviation^2 (S^T S)^-1 for the slopes S.

    In coefficients of one size: lambda may be a rate in bytes, and kappa a thousandth.
    """
    scale, unit = _scale(units, rates), float(rates.max())
    inverse = np.linalg.pinv(_slopes(units, found) * scale / unit)
    covariance: Floats = (deviation / unit) ** 2 * (inverse @ inverse.T) * np.outer(scale, scale)
    return covariance


def _settled(units: Floats, rates: Floats) -> tuple[Floats, tuple[str, ...]]:
    """The coefficients, and those of them that lie at a bound.

    A solver within bounds only comes near them. So what is nearly nothing is tried as nothing, and stays it if the fit is as
    good, or off by less than a millionth of the throughput.
    """
    scale = _scale(units, rates)
    free = np.array([True, True, True])
    found, squares = _solved(units, rates, free)
    for at in (2, 1):
        if found[at] > NOTHING * scale[at]:
            continue
        without = free.copy()
        without[at] = False
        other, others = _solved(units, rates, without)
        if others <= squares * (1 + 1e-6) + 1e-12 * float(rates @ rates):
            found, squares, free = other, others, without
    bound = [name for name, moves in zip(PARAMETERS, free, strict=True) if not moves]
    return found, (*bound, *(["sigma"] if found[1] > 1 - 1e-9 else []))


def _scale(units: Floats, rates: Floats) -> Floats:
    """Coefficients of one size: what each would be if it alone halved the throughput at the largest N."""
    most = max(float(units.max()), 1.5)
    return np.array([float((rates / units).max()), 1 / (most - 1), 1 / (most * (most - 1))])


def _solved(units: Floats, rates: Floats, free: NDArray[np.bool_]) -> tuple[Floats, float]:
    """Least squares over the free coefficients, the others being 0; the coefficients and the sum of squares."""
    scale, unit = _scale(units, rates), float(rates.max())
    highest = np.array([math.inf, 1 / scale[1], math.inf])

    def coefficients(moved: Floats) -> Floats:
        every = np.zeros(3)
        every[free] = moved
        found: Floats = every * scale
        return found

    solution = least_squares(
        lambda moved: (_throughput(units, *coefficients(moved)) - rates) / unit,
        np.array([1.0, 0.2, 0.2])[free],
        jac=lambda moved: (_slopes(units, coefficients(moved)) * scale / unit)[:, free],
        bounds=(np.zeros(3)[free], highest[free]),
        xtol=1e-14,
        ftol=1e-14,
        gtol=1e-14,
        max_nfev=500,
    )
    found = coefficients(solution.x)
    return found, float(((rates - _throughput(units, *found)) ** 2).sum())


def _bootstrap(units: Floats, found: Floats, deviation: float, freedom: int, seed: int) -> Floats:
    """Coefficients of laws fitted to what else might have been measured."""
    numbers = np.random.default_rng(seed)
    expected = _throughput(units, *found)
    sizes = deviation * np.sqrt(freedom / numbers.chisquare(freedom, DRAWS))
    free = np.array([True, True, True])
    least = 1e-6 * float(expected.max())
    others = (np.maximum(expected + size * numbers.standard_normal(len(units)), least) for size in sizes)
    drawn = np.array([_solved(units, other, free)[0] for other in others])
    return np.where(drawn > NOTHING**2 * _scale(units, rates=expected), drawn, 0.0)


def _middle(values: Floats) -> Floats:
    """Ends of the middle 95 % of the values along their first axis."""
    tail = (1 - CONFIDENCE) / 2
    found: Floats = np.quantile(values, [tail, 1 - tail], axis=0, method="nearest")
    return found


def _ends(values: Floats) -> Interval:
    low, high = _middle(values)
    return float(low), float(high)
