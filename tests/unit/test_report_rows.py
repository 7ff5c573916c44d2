"""Margins: how far observed is from the limit."""

from pathlib import Path

import pytest

from loadtests.objectives.evaluate import Result
from loadtests.objectives.grammar import BUILT_IN, parse_objective
from loadtests.report.rows import Row, margin, reasons, rows
from loadtests.scenario.implicit import ALWAYS
from tests.unit.rich_run import rich_text
from tests.unit.runs import SyntheticRun, complete, planned_samples, slower


@pytest.mark.parametrize(
    ("text", "observed", "expected"),
    [
        ("response_time.p95 < 200ms", 0.1, 0.5),
        ("response_time.p95 < 200ms", 0.2, 0.0),
        ("response_time.p95 <= 200ms", 0.3, -0.5),
        ("rate >= 99% of 1000/s", 990.0, 0.0),
        ("rate >= 1000/s", 1500.0, 0.5),
        ("rate > 1000/s", 900.0, -0.1),
        ("failure_ratio <= 0%", 0.0, None),
        ("failure_ratio <= 0%", 0.1, None),
        ("rate >= 1000/s", None, None),
    ],
)
def test_margin_is_the_room_left_in_shares_of_the_limit(text: str, observed: float | None, expected: float | None) -> None:
    """Positive where the objective is met, on either side; of a limit of zero there are no shares."""
    found = margin(parse_objective(text, BUILT_IN), observed)
    assert found == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.5, "+50 %"), (-3.575, "\u2212358 %"), (0.001, "+0.1 %"), (0.0, "0 %"), (19.0, "+1,900 %"), (None, "n/a")],
)
def test_margin_in_words(share: float | None, text: str) -> None:
    """Three digits, with a sign."""
    assert Row(Result("x", "x", 1.0, "1", "pass", 1.0, "x"), "x", "< 1", share).margin_text == text


@pytest.mark.parametrize(
    ("observed", "bar"), [(0.0, 0.0), (50.0, 0.25), (100.0, 0.5), (150.0, 0.75), (900.0, 1.0), (None, None)]
)
def test_bar_has_the_limit_in_its_middle(observed: float | None, bar: float | None) -> None:
    """The bar ends at twice the limit."""
    assert Row(Result("x", "x", observed, "1", "pass", 100.0, "x"), "x", "< 100", None).bar == bar


def test_missed_objectives_come_first(tmp_path: Path) -> None:
    """Otherwise rows stand as in the scenario, each with what it is about and its limit in the unit of the observation."""
    run = SyntheticRun.create(tmp_path, rich_text(""))
    complete(run, slower(planned_samples(run.plan), 10))
    found = rows(run.evidence(), run.verdict())
    names = [row.result.name for row in found]
    missed, met = ["fast", "connections", "busy", "slow", "create"], ["throughput", "failures", "users", "done", "quick"]
    assert names == [*missed, *met, *ALWAYS]
    assert [(row.metric, row.limit) for row in found][-8:-3] == [
        ("rate", ">= 10.8/s"),
        ("failure_ratio", "< 10 %"),
        ("users.max", ">= 6"),
        ("task_success", ">= 99 %"),
        ("task_processing.p95", "< 5 s"),
    ]


def test_reasons_of_an_invalid_run_are_its_health(tmp_path: Path) -> None:
    """What cannot be believed is neither met nor missed: the reasons name the checks that failed, not the objectives."""
    run = SyntheticRun.create(tmp_path)
    run.start()
    run.play(slower(planned_samples(run.plan), 10))
    assert run.verdict().word == "invalid"
    assert not [reason for reason in reasons(run.verdict()) if reason.startswith("fast")]


def test_failed_run_names_what_it_missed(tmp_path: Path) -> None:
    """With the value and what was asked; a run that passed needs no reason."""
    run = SyntheticRun.create(tmp_path)
    complete(run)
    assert reasons(run.verdict()) == []
    slow = SyntheticRun.create(tmp_path)
    (reason,) = reasons(complete(slow, slower(planned_samples(slow.plan), 10)).verdict())
    assert reason.startswith("fast: ") and reason.endswith("(asked: response_time.p95 < 200 ms)")
