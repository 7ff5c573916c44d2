"""The judgement while a run goes on: what it takes from windows, and that its end is the verdict's."""

from pathlib import Path

import pytest

from loadtests.objectives.grammar import BUILT_IN, parse_objective
from loadtests.report.course import HISTORY, RATE_AFTER_S, Course, Figures, changes, judged_early, stages_of
from loadtests.store.windows import read_windows
from tests.unit.runs import SyntheticRun, complete, planned_samples
from tests.unit.seconds import series, window
from tests.unit.texts import RAMPED, asking, changed, plan_of


def failing(figures: Figures) -> list[tuple[str, str]]:
    """Name and observed value of what is missed."""
    return [(result.name, result.observed_text) for result in figures.failing]


@pytest.mark.parametrize(
    ("objective", "judged"),
    [
        ("response_time.p95 < 200ms", True),
        ("service_time(list_tasks).max < 1s", True),
        ("rate >= 9/s", True),
        ("failure_ratio < 1%", True),
        ("availability >= 99%", True),
        ("failures <= 3", True),
        ("requests > 1000", False),  # missed until it is reached
        ("users.max >= 10", False),
        ("task_success >= 99%", False),
        ("task_processing.p95 < 30s", False),
    ],
)
def test_what_is_judged_early(objective: str, judged: bool) -> None:
    """What windows can tell before the end."""
    assert judged_early(parse_objective(objective, BUILT_IN)) is judged


def test_an_objective_fails_and_recovers(tmp_path: Path) -> None:
    """It is named in the second that it begins to be missed, and again when it is met."""
    course = Course(plan_of(tmp_path, asking("failure_ratio < 10%", "response_time(create_task).p95 < 1s")))
    good = course.add(window(0, {"list_tasks": series(50)}))
    assert [result.name for result in good.results] == ["o0"], "what has no data is not judged"
    bad = course.add(window(1, {"list_tasks": series(failures={"timeout": 10})}))
    assert failing(bad) == [("o0", "16.7 %")]
    began, recovered = changes(good.failing, bad)
    assert ([result.name for result in began], recovered) == (["o0"], [])
    still = course.add(window(2, {"list_tasks": series(1)}))
    assert changes(bad.failing, still) == ([], [])
    met = course.add(window(3, {"list_tasks": series(100)}))
    began, recovered = changes(still.failing, met)
    assert (began, [result.name for result in recovered], failing(met)) == ([], ["o0"], [])


def test_rates_are_of_the_steady_part(tmp_path: Path) -> None:
    """A rate is judged when enough steady seconds are known; the ramp and the drain are not among them."""
    course = Course(plan_of(tmp_path, asking("rate >= 9/s", "rate(create_task) >= 1/s")))
    for number in range(5 + RATE_AFTER_S - 1):
        assert course.add(window(number, {"list_tasks": series(8), "auth_refresh": series(50)})).results == ()
    figures = course.add(window(5 + RATE_AFTER_S - 1, {"list_tasks": series(8)}))
    assert failing(figures) == [("o0", "8.0/s")], "a name that was never seen has no rate"
    for number in range(5 + RATE_AFTER_S, 20):
        figures = course.add(window(number, {"list_tasks": series(12)}))
    assert failing(figures) == []
    observed = figures.results[0].observed
    assert course.add(window(20, {"list_tasks": series(500)})).results[0].observed == observed


def test_seconds_without_a_window_count(tmp_path: Path) -> None:
    """A second in which nobody reported is a second without answers."""
    course = Course(plan_of(tmp_path, asking("rate >= 9/s")))
    course.add(window(5, {"list_tasks": series(10)}))
    assert failing(course.add(window(14, {"list_tasks": series(10)}))) == [("o0", "2.0/s")]


def test_a_halted_load_has_no_rate_any_more(tmp_path: Path) -> None:
    """What ends early is not blamed on the target."""
    course = Course(plan_of(tmp_path, asking("rate >= 9/s")))
    for number in range(12):
        course.add(window(number, {"list_tasks": series(10)}))
    course.halt()
    for number in range(12, 20):
        figures = course.add(window(number, {}))
    assert failing(figures) == []
    assert figures.results[0].observed == 10.0


def test_logins_are_not_of_the_mix(tmp_path: Path) -> None:
    """A slow login counts for `auth_refresh` alone."""
    course = Course(plan_of(tmp_path, asking("response_time.max < 1s", "response_time(auth_refresh).max < 1s")))
    figures = course.add(window(0, {"list_tasks": series(3), "auth_refresh": series(2, 5000)}))
    assert failing(figures) == [("o1", "5 s")]
    assert (figures.requests, figures.failures, figures.history[-1].achieved) == (3, 0, 3)


def test_the_end_is_the_verdict(tmp_path: Path) -> None:
    """After the last window every objective that was judged has the verdict's own value and status."""
    run = SyntheticRun.create(tmp_path)
    verdict = complete(run, planned_samples(run.plan, fail_every=7)).verdict()
    course = Course(run.plan)
    for one in read_windows(run.folder.file("windows.jsonl")):
        figures = course.add(one)
    judged = {result.name for result in figures.results}
    assert judged == {"fast", "throughput", "failures"}
    final = [(one.name, one.observed, one.status) for one in verdict.objectives if one.name in judged]
    assert [(one.name, one.observed, one.status) for one in figures.results] == final
    assert {"throughput", "failures"} == {result.name for result in figures.failing}


def test_memory_does_not_grow(tmp_path: Path) -> None:
    """An hour of windows leaves as much as a minute of them."""
    course = Course(plan_of(tmp_path, changed('duration = "10s"', 'duration = "1h"')))

    def sizes() -> list[int]:
        return [len(part) for part in vars(course).values() if hasattr(part, "__len__")]

    for number in range(HISTORY):
        course.add(window(number))
    after_a_minute = sizes()
    for number in range(HISTORY, 3600):
        course.add(window(number, {"list_tasks": series(1)}))
    assert sizes() == after_a_minute


def test_stages_without_a_plan_of_them(tmp_path: Path) -> None:
    """A ramp and a steady part; without a ramp only the latter."""
    assert [(one.name, one.begin_s, one.end_s) for one in stages_of(plan_of(tmp_path, RAMPED))] == [
        ("ramp", 0, 5),
        ("steady", 5, 20),
    ]
    assert [(one.name, one.begin_s, one.end_s) for one in stages_of(plan_of(tmp_path))] == [("steady", 0, 10)]


def test_stages_of_a_plan(tmp_path: Path) -> None:
    """Each is named by its shape and the rate of all users; a jump takes no time and is none."""
    stages = """stages = [
        { duration = "5s", to = 1.0 },
        { duration = "15s", to = 1.0 },
        { duration = "0s", to = 4.0 },
        { duration = "10s", at = 4.0 },
        { duration = "8s", at = 2.0, wave = { amplitude = 1.0, period = "4s" } },
        { duration = "2s", to = 0.5 },
    ]"""
    plan = plan_of(tmp_path, changed('duration = "10s"', f"rate_per_user = 0.5\n{stages}"))
    assert [(one.name, one.begin_s, one.end_s) for one in stages_of(plan)] == [
        ("ramp to 5/s", 0, 5),
        ("steady at 5/s", 5, 20),
        ("steady at 20/s", 20, 30),
        ("wave around 10/s", 30, 38),
        ("ramp to 2.5/s", 38, 40),
    ]
