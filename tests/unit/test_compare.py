"""Two builds' runs compared: what is flagged, what is only shown, what is refused; and how it is told."""

import json
import math
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from loadtests.errors import InputError
from loadtests.report.comparable import in_turns
from loadtests.report.compare import Comparison, Row, compare
from loadtests.report.compare_page import compare_page
from loadtests.report.compare_text import headline, markdown, print_comparison
from loadtests.store.measured import Measured
from tests.property.nights import run_of

P50, P99 = "service_time(list_tasks).p50", "service_time(list_tasks).p99"


def runs(side: str, *times_ms: float, figure: str = P50, more: Mapping[str, float] | None = None) -> list[Measured]:
    """Runs that measured these times, and `more` that is the same in all of them."""
    return [run_of({figure: time / 1e3, **(more or {})}, number, side) for number, time in enumerate(times_ms)]


def only(comparison: Comparison, figure: str = P50) -> Row:
    """The row of a figure."""
    (row,) = [row for row in comparison.rows if row.figure == figure]
    return row


BASE = (10.0, 10.1, 9.9, 10.05, 9.95)


def times(factor: float) -> Sequence[float]:
    """The times of BASE by a factor, in another order."""
    return [time * factor for time in reversed(BASE)]


@pytest.mark.parametrize(
    ("factor", "flag"), [(1.2, "regression"), (1.0, "none"), (0.8, "improvement"), (1.04, "none"), (0.97, "none")]
)
@pytest.mark.parametrize("pairs", [True, False])
def test_what_changed_by_more_than_noise_and_least_effect_is_flagged(factor: float, flag: str, pairs: bool) -> None:
    """Slower is a regression and exit code 1; faster is named and passes; less than 5 % is neither, however sure."""
    comparison = compare(runs("a", *BASE), runs("b", *times(factor)), pairs)
    row = only(comparison)
    assert row.flag == flag
    assert row.effect == pytest.approx(factor - 1)
    assert row.low is not None and row.high is not None and row.low < factor - 1 < row.high
    assert comparison.exit_code == (1 if flag == "regression" else 0)


def test_the_least_effect_can_be_chosen() -> None:
    """4 % is a regression for whoever asks for 3 %."""
    sides = runs("a", *BASE), runs("b", *times(1.04))
    assert [row.figure for row in compare(*sides, pairs=False, least_effect=0.03).regressions] == [P50]
    assert compare(*sides, pairs=False).regressions == []


def test_a_change_within_the_noise_is_not_flagged() -> None:
    """Runs that differ by a third among themselves cannot show 15 %."""
    noisy = (10.0, 13.0, 8.0, 12.0, 9.0)
    comparison = compare(runs("a", *noisy), runs("b", *(time * 1.15 for time in reversed(noisy))), pairs=False)
    row = only(comparison)
    assert row.flag == "none" and row.noise is not None and row.noise > 0.15


def test_pairs_take_out_what_the_machine_did_to_both() -> None:
    """A night that grows slower by half hides 10 % from two groups, and not from pairs."""
    drift = (1.0, 1.1, 1.25, 1.4, 1.5)
    old = runs("a", *(time * factor for time, factor in zip(BASE, drift, strict=True)))
    new = runs("b", *(time * factor for time, factor in zip(times(1.1), drift, strict=True)))
    assert only(compare(old, new, pairs=True)).flag == "regression"
    assert only(compare(old, new, pairs=False)).flag == "none"


def test_what_does_not_judge_is_shown_and_never_flagged() -> None:
    """A 99th percentile that doubles stands in the table."""
    comparison = compare(runs("a", *BASE, figure=P99), runs("b", *times(2.0), figure=P99), pairs=False)
    row = only(comparison, P99)
    assert (row.flag, row.judges, comparison.exit_code) == ("none", False, 0)
    assert row.effect == pytest.approx(1.0)


def test_failures_are_compared_by_their_difference() -> None:
    """From none to one in a hundred is a regression, though no ratio can be made of it; one in ten thousand is none."""
    old = [run_of({"failure_ratio": 0.0}, number) for number in range(5)]
    for ratio, flag in ((0.01, "regression"), (0.0001, "none")):
        ratios = [ratio * factor for factor in (1.0, 1.1, 0.9, 1.0, 1.0)]
        new = [run_of({"failure_ratio": one}, number, "b") for number, one in enumerate(ratios)]
        row = only(compare(old, new, pairs=True), "failure_ratio")
        assert (row.flag, row.relative) == (flag, False)
        assert row.effect == pytest.approx(ratio)


def test_the_more_figures_judge_the_wider_their_intervals() -> None:
    """Two equal builds must not be flagged more often because more was looked at."""
    few = compare(runs("a", *BASE), runs("b", *times(1.1)), pairs=False)
    more = {f"service_time(other{number}).p95": 0.1 for number in range(20)}
    many = compare(runs("a", *BASE, more=more), runs("b", *times(1.1), more=more), pairs=False)
    assert many.level > few.level == pytest.approx(0.9)
    assert only(many).high > only(few).high  # type: ignore[operator]


def test_one_run_a_side_flags_nothing() -> None:
    """How far two runs of a build lie apart is not known: what its seconds cannot explain is suspect, and passes."""
    sides = runs("a", 10.0), runs("b", 20.0)
    bare = compare(*sides, pairs=False)
    assert (only(bare).flag, only(bare).noise, bare.noise_known) == ("none", None, False)
    within = [math.log(2) + step / 1000 for step in range(-100, 101)]
    comparison = compare(*sides, pairs=False, within={P50: within})
    assert (only(comparison).flag, comparison.exit_code) == ("suspect", 0)
    assert "NO REGRESSION KNOWN" in headline(comparison) and f"{P50} +100.0 %" in headline(comparison)
    assert only(compare(*sides, pairs=False, within={P50: [-0.1, *within]})).flag == "suspect"
    assert only(compare(*sides, pairs=False, within={P50: [step - 0.7 for step in within]})).flag == "none"


def test_a_history_tells_the_noise_of_a_single_run() -> None:
    """Twice as long is a regression where nights differ by a percent, and none where they differ by half."""
    sides = runs("a", 10.0), runs("b", 20.0)
    quiet = [[replace(run, run_id=f"h{run.run_id}") for run in runs("a", *BASE)]]
    loud = [[replace(run, run_id=f"h{run.run_id}") for run in runs("a", 5.0, 10.0, 15.0, 20.0, 7.0)]]
    assert only(compare(*sides, pairs=False, history=quiet)).flag == "regression"
    assert only(compare(*sides, pairs=False, history=loud)).flag == "none"


def test_a_history_that_does_not_fit_is_not_used() -> None:
    """Runs under other conditions, invalid ones, and those that are compared now."""
    sides = runs("a", 10.0), runs("b", 20.0)
    past = [replace(run, run_id=f"h{run.run_id}") for run in runs("a", *BASE)]
    for group in (
        [replace(run, conditions={"workers": 2}) for run in past],
        [replace(run, verdict="invalid") for run in past],
        [replace(run, run_id="a0") for run in past],
    ):
        assert not compare(*sides, pairs=False, history=[group]).noise_known


def test_noise_tonight_is_not_talked_down_by_quiet_nights() -> None:
    """Runs that are far noisier than the history stand for themselves."""
    noisy = (10.0, 13.0, 8.0, 12.0, 9.0)
    quiet = [[replace(run, run_id=f"h{night}{run.run_id}") for run in runs("a", *BASE)] for night in range(9)]
    sides = runs("a", *noisy), runs("b", *(time * 1.15 for time in reversed(noisy)))
    assert only(compare(*sides, pairs=False, history=quiet)) == only(compare(*sides, pairs=False))


def test_runs_that_cannot_be_believed_are_left_out() -> None:
    """They are named, with their pair where there are pairs; nothing left is an error."""
    old, new = runs("a", *BASE), runs("b", *times(1.0))
    new[1] = replace(new[1], verdict="invalid")
    paired, grouped = compare(old, new, pairs=True), compare(old, new, pairs=False)
    assert paired.notes == ["b1 is INVALID and left out"]
    assert (len(paired.baseline), len(paired.candidate)) == (4, 4)
    assert (len(grouped.baseline), len(grouped.candidate)) == (5, 4)
    with pytest.raises(InputError, match="no run of the candidate is left"):
        compare(old, [replace(run, verdict="invalid") for run in new], pairs=False)


def test_runs_that_differ_in_what_matters_are_refused() -> None:
    """Within a side as well as between both; unless that is what is compared, and then it is said."""
    old, new = runs("a", *BASE), runs("b", *times(1.0))
    wider = [replace(run, conditions={**run.conditions, "workers": 2}) for run in new]
    with pytest.raises(InputError, match=r"^not comparable: workers 1 against 2 \(a0, b0\)$"):
        compare(old, wider, pairs=False)
    assert compare(old, wider, pairs=False, across=["workers"]).notes == ["compared across workers 1 against 2"]
    with pytest.raises(InputError, match="workers 1 against 2"):
        compare(old, [*new[:4], wider[4]], pairs=False, across=["workers"])
    with pytest.raises(InputError, match="pairs of 5 and 4 runs"):
        compare(old, new[:4], pairs=True)


def test_a_figure_that_one_side_lacks_is_told() -> None:
    """Nothing was compared, so nothing is said to be well."""
    comparison = compare(runs("a", *BASE, more={"failure_ratio": 0.0}), runs("b", *times(1.0)), pairs=False)
    assert comparison.notes == ["the candidate has no failure_ratio"]


def test_sides_without_a_figure_in_common_are_no_comparison() -> None:
    """As of searches of which one side confirmed no rate."""
    with pytest.raises(InputError, match="no figure that runs of both sides have"):
        compare(runs("a", *BASE, figure="capacity"), [run_of({}, number, "b") for number in range(3)], pairs=False)


def test_runs_in_turns_are_recognised_by_when_they_began() -> None:
    """In either order within a round; two blocks of runs are none, and one run a side is no pair to learn from."""

    def at(*seconds: int) -> list[Measured]:
        return [run_of({}, second) for second in seconds]

    assert in_turns(at(0, 3, 4), at(1, 2, 5))
    assert not in_turns(at(0, 1, 2), at(3, 4, 5))
    assert not in_turns(at(0, 3), at(1, 2, 5))
    assert not in_turns(at(0), at(1))


def test_the_page_for_a_pull_request_begins_with_the_verdict() -> None:
    """Then the flagged figures, and the rest folded away; nothing in a name is markup."""
    more = {"task_run.p95": 1.0, "service_time(<b>|x).p50": 0.1}
    comparison = compare(runs("a", *BASE, more=more), runs("b", *times(1.25), more=more), pairs=True)
    text = markdown(comparison)
    assert text.startswith(f"## REGRESSION: synthetic: {P50} +25.0 %\n")
    flagged, folded = text.split("<details>")
    assert f"| **REGRESSION** | {P50} | 10 ms | 12.5 ms | +25.0 % | +" in flagged
    assert "baseline: build-a, 5 runs; candidate: build-b, 5 runs" in flagged
    assert "<summary>2 figures without a finding</summary>" in folded and "task_run.p95" in folded and r"\<b>\|x" in folded
    assert [len(line.split(" | ")) for line in text.splitlines() if line.startswith("| **")] == [7]


def test_the_page_has_every_figure_and_a_chart_where_intervals_are_known() -> None:
    """Without a script; what one run a side cannot tell is not drawn."""
    more = {P99: 0.1, "task_run.p95": 1.0}
    comparison = compare(runs("a", *BASE, more=more), runs("b", *times(1.25), more=more), pairs=True)
    text = compare_page(comparison)
    assert headline(comparison) in text and "<svg" in text and "<script" not in text
    assert all(figure in text for figure in (P50, *more))
    assert "<svg" not in compare_page(compare(runs("a", 10.0), runs("b", 10.0), pairs=False))


def test_the_terminal_shows_what_judges_and_the_verdict_last() -> None:
    """Figures that do not judge are in the Markdown and the JSON only."""
    comparison = compare(runs("a", *BASE, more={P99: 0.1}), runs("b", *times(1.0), more={P99: 0.1}), pairs=False)
    screen = StringIO()
    print_comparison(Console(file=screen, width=140), comparison)
    lines = screen.getvalue().splitlines()
    assert lines[-1] == "NO REGRESSION: synthetic"
    assert any(P50 in line for line in lines) and not any(P99 in line for line in lines)


def test_the_json_has_everything() -> None:
    """The verdict, the rows, the runs."""
    comparison = compare(runs("a", *BASE), runs("b", *times(1.2)), pairs=True)
    data = json.loads(json.dumps(comparison.to_json()))
    assert (data["verdict"], data["baseline"], data["pairs"]) == ("regression", ["a0", "a1", "a2", "a3", "a4"], True)
    assert data["rows"][0]["flag"] == "regression"


def test_the_command_line_does_without_numpy() -> None:
    """A run and its master do not pay for what only a comparison needs."""
    script = "import sys, loadtests.cli; print(sorted({'numpy', 'scipy'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"
