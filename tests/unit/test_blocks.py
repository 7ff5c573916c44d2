"""What a single run's seconds tell: blocks of them drawn anew."""

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from loadtests.measure.blocks import RESAMPLES, quantiles, ratios, redrawn
from loadtests.measure.histogram import Histogram
from loadtests.report.within import effects_within
from tests.unit.runs import SyntheticRun, complete, planned_samples, slower


def test_every_resample_is_as_long_as_the_run_and_has_each_second_alike() -> None:
    """Circular blocks favour no second; neighbours come together."""
    times = redrawn(60)
    assert times.shape == (RESAMPLES, 60)
    assert set(times.sum(axis=1)) == {60.0}
    assert times.mean(axis=0) == pytest.approx(np.ones(60), abs=0.2)
    assert np.corrcoef(times[:, 10], times[:, 11])[0, 1] > 0.5
    assert redrawn(1).tolist() == [[1.0]] * RESAMPLES


def test_a_resample_of_each_second_once_has_the_quantiles_of_the_run() -> None:
    """Nearest rank, as everywhere."""
    rng = random.Random(1)
    seconds = [Counter(rng.randrange(1, 1500) for _ in range(rng.randrange(20))) for _ in range(15)]
    histogram = Histogram()
    for second in seconds:
        for value in second.elements():
            histogram.record(value)
    found = quantiles(seconds, np.ones((1, 15)), [0.5, 0.95, 0.99])
    assert [int(values[0]) for values in found] == histogram.quantiles(0.5, 0.95, 0.99)


def test_resamples_without_a_value_are_left_out() -> None:
    """A series that was asked for in one second only is not in all of them."""
    times = np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 2.0]])
    (found,) = quantiles([{5: 3}, {}], times, [0.5])
    assert found.tolist() == [5.0, 5.0]
    assert [values.tolist() for values in quantiles([{}, {}], times, [0.5, 0.9])] == [[], []]
    assert ratios([1.0, 0.0], [4.0, 0.0], times).tolist() == [0.25, 0.25]


def test_two_runs_differ_by_their_effect_and_the_chance_of_their_seconds(tmp_path: Path) -> None:
    """Twice as slow is a ratio of two for every series and quantile, and the resamples lie about it."""
    first = complete(SyntheticRun.create(tmp_path))
    second = SyntheticRun.create(tmp_path)
    complete(second, slower(planned_samples(second.plan), 2))
    found = effects_within(first.folder, second.folder)
    assert set(found) == {
        "failure_ratio",
        *(
            f"{latency}({name}).{quantile}"
            for latency in ("service_time", "response_time")
            for name in ("list_tasks", "create_task")
            for quantile in ("p50", "p95", "p99")
        ),
    }
    middle = sorted(found["service_time(list_tasks).p50"])
    assert middle[RESAMPLES // 20] < np.log(2) < middle[-RESAMPLES // 20]
    assert set(found["failure_ratio"]) == {0.0}
    same = effects_within(first.folder, first.folder)
    assert set(same["service_time(list_tasks).p95"]) == {0.0}
