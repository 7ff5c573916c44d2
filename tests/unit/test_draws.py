"""The users' random numbers."""

import random
from collections import Counter

import pytest

from loadtests.pacing.draws import Draws, SplitMix64, user_draws

REFERENCE = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821]
"""The first numbers of SplitMix64 with seed 1234567, as published with its implementations in other languages."""


def test_numbers_are_those_of_the_published_generator() -> None:
    """Bit for bit, so that what is known of its quality holds for ours."""
    draws = SplitMix64(1234567)
    assert [draws.getrandbits(64) for _ in REFERENCE] == REFERENCE


def test_random_is_the_top_of_the_bits() -> None:
    """A float has 53 bits and is never 1."""
    assert SplitMix64(1234567).random() == (REFERENCE[0] >> 11) / 2**53
    assert all(0 <= SplitMix64(seed).random() < 1 for seed in range(1000))


@pytest.mark.parametrize("bits", [1, 8, 63, 64])
def test_getrandbits_keeps_within_its_bits(bits: int) -> None:
    """Numbers of k bits, over the whole range."""
    draws = SplitMix64(5)
    found = [draws.getrandbits(bits) for _ in range(200)]
    assert max(found) < 2**bits
    assert max(found) >= 2 ** (bits - 1)


def test_uniform_numbers_are_uniform() -> None:
    """Chi-square over 100 cells: 99 degrees of freedom, and the 99.99 % point is 161."""
    draws, cells, count = user_draws(1, 7), 100, 50_000
    found = Counter(int(draws.random() * cells) for _ in range(count))
    expected = count / cells
    assert sum((found[cell] - expected) ** 2 / expected for cell in range(cells)) < 161


def test_users_do_not_follow_each_other() -> None:
    """Neighbours' streams are uncorrelated: of 20,000 pairs the correlation is below four standard errors."""
    one, other = user_draws(1, 1), user_draws(1, 2)
    pairs = [(one.random() - 0.5, other.random() - 0.5) for _ in range(20_000)]
    correlation = sum(a * b for a, b in pairs) / len(pairs) * 12
    assert abs(correlation) < 4 / len(pairs) ** 0.5


def test_pythons_generator_is_one_too() -> None:
    """Whatever gives random() and getrandbits(k) can be given in its place."""
    source: Draws = random.Random(1)
    assert 0 <= source.random() < 1
