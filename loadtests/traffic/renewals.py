"""When users renew their tokens: each at moments of its own, or all at the same ones.

A token of life L that is renewed `before` its end gives a period P = L - before. Moments are seconds since the start of the
load.

    staggered   the first renewal comes at a random part of P, the others P after the one before
    together    everybody renews at P, 2 P, 3 P ...
"""

import math
from typing import Literal

from loadtests.pacing.draws import Draws

LEAST_PERIOD_S = 1.0
"""A token is renewed at most once in this time, however short it lives."""
MARGIN_S = 1.0
"""Tokens end on whole seconds: one that ends so soon after a moment may not live to see it."""

Renewing = Literal["staggered", "together"]


def period(life_s: float, before_s: float) -> float:
    """Time between two renewals of a user."""
    return max(life_s - before_s, LEAST_PERIOD_S)


def first_life(ttl_s: float, before_s: float, how: Renewing, draws: Draws) -> float:
    """Life of a user's first minted token: staggered, so much of `ttl_s` that the renewals spread evenly over a period."""
    return ttl_s if how == "together" else ttl_s - draws.random() * (ttl_s - before_s)


def first_renewal(life_s: float, before_s: float, ends_s: float, how: Renewing, draws: Draws) -> float:
    """When a token that was got before the load, and ends at `ends_s`, is renewed.

    A token that does not live until the first common moment is renewed at the start of the load.
    """
    every_s = period(life_s, before_s)
    if how == "together":
        return every_s if ends_s > every_s + MARGIN_S else 0.0
    return max(0.0, min(draws.random() * every_s, ends_s - before_s))


def next_renewal(life_s: float, before_s: float, ends_s: float, how: Renewing, now_s: float) -> float:
    """When a token that was got at `now_s`, and ends at `ends_s`, is renewed: after `now_s`."""
    if how == "together":
        every_s = period(life_s, before_s)
        return (math.floor(now_s / every_s + 1e-9) + 1) * every_s
    return max(ends_s - before_s, now_s + LEAST_PERIOD_S)
