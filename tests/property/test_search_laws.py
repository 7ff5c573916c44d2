"""Laws of the capacity search: what it finds of a target whose capacity is known, and in how many steps."""

import math
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.capacity.search import FACTOR, Answer, Bounds, Step, Tried, next_step

Oracle = Callable[[Step], bool]
rates = st.floats(1.0, 1e5)
precisions = st.sampled_from([0.01, 0.05, 0.1, 0.5])


def halvings(ratio: float, precision: float) -> int:
    """How many middles it takes until an interval from 1 to `ratio` is one from 1 to 1 + `precision` at the most."""
    return max(0, math.ceil(math.log2(math.log(ratio) / math.log1p(precision)) - 1e-9))


def searched(bounds: Bounds, oracle: Oracle) -> tuple[Answer, list[Tried]]:
    """The whole search; it must end within its steps and never leave its bounds."""
    tried: list[Tried] = []
    while isinstance(found := next_step(bounds, tried), Step):
        assert bounds.lowest <= found.rate <= bounds.highest
        assert len(tried) < bounds.most_steps
        tried.append(Tried(found, oracle(found)))
    return found, tried


def around(start: float, precision: float = 0.05, most_steps: int = 200, grain: float = 0.0) -> Bounds:
    """Bounds far below and above a start."""
    return Bounds(start, start / 1024, start * 1024, precision, most_steps, grain=grain)


@given(rates, st.floats(-10, 9.9), precisions)
def test_the_answer_is_within_the_precision_and_never_above(start: float, doublings: float, precision: float) -> None:
    """Of a target that passes up to its capacity and never above: the answer passes, and so much more would not."""
    bounds, truth = around(start, precision), start * FACTOR**doublings * (1 + 1e-9)
    answer, _ = searched(bounds, lambda step: step.rate <= truth)
    assert answer.kind == "confirmed" and not answer.bounded
    assert answer.rate is not None and answer.failing is not None
    assert answer.rate <= truth < answer.failing <= answer.rate * (1 + precision) * (1 + 1e-9)


@given(rates, st.floats(-10, 9.9), precisions, st.integers(1, 4))
def test_it_takes_the_steps_that_theory_gives(start: float, doublings: float, precision: float, tries: int) -> None:
    """A rate for each factor of two, those of the halving, one plateau, and its other tries for each rate that failed."""
    truth = start * FACTOR**doublings * (1 + 1e-9)
    _, tried = searched(replace(around(start, precision), tries=tries), lambda step: step.rate <= truth)
    climb = math.floor(doublings + 1e-6) + 2 if doublings >= 0 else math.ceil(-doublings - 1e-6) + 1
    different = {one.step for one in tried}
    failed = {one.step for one in tried if not one.passed}
    assert abs(len(different) - (climb + halvings(FACTOR, precision) + 1)) <= (abs(doublings - round(doublings)) < 1e-5)
    assert len(tried) == len(different) + len(failed) * (tries - 1)
    assert [one.step.plateau for one in tried] == [False] * (len(tried) - 1) + [True]


@given(st.integers(1, 2000), st.integers(1, 50_000), st.sampled_from([1.0, 0.5, 0.1]))
def test_rates_are_those_of_whole_users(users: int, capacity: int, per_user: float) -> None:
    """Every rate is a multiple of what one user offers; where that is coarser than the precision, neighbours are the answer."""
    bounds = Bounds(users * per_user, per_user, 65_536 * per_user, 0.05, 100, grain=per_user)
    answer, tried = searched(bounds, lambda step: step.rate <= capacity * per_user * (1 + 1e-9))
    assert all(math.isclose(one.step.rate / per_user, round(one.step.rate / per_user)) for one in tried)
    assert answer.rate is not None and answer.failing is not None
    found, failing = round(answer.rate / per_user), round(answer.failing / per_user)
    assert found <= capacity < failing
    assert failing == found + 1 or failing <= found * 1.05 + 1e-6


@given(rates, st.floats(-9, 9), st.floats(0, 1), st.integers(0, 2**32))
def test_noise_below_the_capacity_costs_no_more_than_itself(start: float, doublings: float, chance: float, seed: int) -> None:
    """Steps that fail at random within 10 % below the capacity: the answer is confirmed, not above it, nor further below it."""
    rng, truth = random.Random(seed), start * FACTOR**doublings

    def oracle(step: Step) -> bool:
        return step.rate <= truth and (step.rate <= 0.9 * truth or rng.random() >= chance)

    answer, tried = searched(around(start), oracle)
    assert answer.kind == "confirmed" and answer.rate is not None and answer.failing is not None
    assert 0.9 * truth / 1.05 * (1 - 1e-9) <= answer.rate <= truth
    assert tried[-1] == Tried(Step(answer.rate, plateau=True), passed=True)


@given(rates, st.floats(0, 1), st.integers(4, 40), st.integers(0, 2**32))
def test_it_ends_whatever_it_is_told(start: float, chance: float, most_steps: int, seed: int) -> None:
    """Within its steps and bounds, even when results are thrown like coins; what it names passed, and below what failed."""
    rng = random.Random(seed)
    answer, tried = searched(around(start, most_steps=most_steps), lambda _: rng.random() < chance)
    if answer.rate is not None:
        assert any(one.passed and one.step.rate == answer.rate for one in tried)
        assert answer.failing is None or answer.rate < answer.failing
    assert (answer.kind == "confirmed") == (tried[-1].passed and tried[-1].step.plateau)


@pytest.mark.parametrize(("precision", "count"), [(1.0, 0), (0.5, 1), (0.05, 4), (0.01, 7)])
def test_halvings(precision: float, count: int) -> None:
    """From a factor of two to the precision."""
    assert halvings(2.0, precision) == count
    assert 2 ** (0.5**count) <= 1 + precision + 1e-9
