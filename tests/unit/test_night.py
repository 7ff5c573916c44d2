"""What a night comes to: its word, its exit code and its summary."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from loadtests.errors import NotReadyError
from loadtests.exitcodes import ExitCode
from loadtests.report.compare import compare
from loadtests.report.night import NightReport, PartReport
from loadtests.report.trend import Since
from loadtests.store.measured import Measured

P50 = "service_time(list_tasks).p50"


def _runs(values_ms: Sequence[float], verdicts: Sequence[str] = (), name: str = "a") -> list[Measured]:
    words = [*verdicts, *["pass"] * (len(values_ms) - len(verdicts))]
    return [
        Measured(f"{name}{number}", "phase5", "abc", "2026-11-25T02:17:00", word, {"workers": 1}, {P50: value / 1e3})
        for number, (value, word) in enumerate(zip(values_ms, words, strict=True))
    ]


def _part(candidate: list[Measured], baseline: list[Measured] | None = None, untold: str = "") -> PartReport:
    comparison = None if baseline is None else compare(baseline, candidate, False)
    return PartReport("phase5", candidate, comparison, untold)


def _night(*parts: PartReport) -> NightReport:
    return NightReport("20261126T021700-nightly-ab12", "nightly", "Is it as fast?", "abc", "the night before", parts)


BASELINE = _runs([4.0, 4.1, 3.9, 4.05, 3.95], name="b")


def test_a_regression_is_named() -> None:
    """Exit code 1; part and figure stand in the headline, in the summary's first table and in the JSON."""
    night = _night(_part(_runs([5.0, 5.1, 4.9, 5.05, 4.95]), BASELINE))
    assert night.exit_code is ExitCode.FAIL
    assert night.headline == f"REGRESSION in phase5: {P50}"
    assert f"| phase5 | 5 pass | **slower: {P50}** |" in night.markdown()
    assert night.to_json()["regressions"] == [f"phase5: {P50}"]


def test_equal_nights_pass() -> None:
    """Exit code 0, and nothing is flagged."""
    night = _night(_part(_runs([4.02, 4.08, 3.9, 4.0, 3.97]), BASELINE))
    assert night.exit_code is ExitCode.PASS
    assert night.headline == "no regression"
    assert "| phase5 | 5 pass | no regression |" in night.markdown()
    assert "\nIs it as fast? Build abc, night" in night.markdown()
    assert "\nBuild abc, night" in replace(night, description="").markdown()


def test_better_is_said_and_passes() -> None:
    """An improvement ends with 0."""
    night = _night(_part(_runs([3.0, 3.1, 2.9, 3.05, 2.95]), BASELINE))
    assert night.exit_code is ExitCode.PASS
    assert f"better: {P50}" in night.markdown()


@pytest.mark.parametrize(
    ("verdicts", "code", "headline"),
    [
        pytest.param(["fail"], ExitCode.PASS, "everything passed; nothing to compare it with yet", id="one failed of three"),
        pytest.param(["fail", "fail"], ExitCode.FAIL, "FAIL in phase5", id="most failed"),
        pytest.param(["invalid", "invalid"], ExitCode.INVALID, "INVALID in phase5", id="most tell nothing"),
        pytest.param(["invalid", "fail", "pass"], ExitCode.INVALID, "INVALID in phase5", id="as many of each: the worst"),
    ],
)
def test_the_word_of_most_runs_counts(verdicts: list[str], code: ExitCode, headline: str) -> None:
    """One run that stumbled is no failed night; most of them are."""
    night = _night(_part(_runs([4.0, 4.0, 4.0], verdicts), untold="nothing to compare with yet"))
    assert night.exit_code is code
    assert night.headline == headline


def test_a_regression_beats_an_invalid_part() -> None:
    """What is known to be slower is not hidden by a part that tells nothing."""
    slower = _part(_runs([5.0, 5.1, 4.9, 5.05, 4.95]), BASELINE)
    silent = _part(_runs([4.0, 4.0], ["invalid", "invalid"]), untold="nothing")
    assert _night(slower, silent).exit_code is ExitCode.FAIL


def test_a_change_in_the_history_is_told() -> None:
    """Since which night, and by how much."""
    part = PartReport("phase5", _runs([4.0]), None, "", {P50: [Since("n3", 0.004, 0.005, 0.25)]})
    assert f"phase5: {P50} has been +25.0% since night n3." in _night(part).markdown()
    (change,) = _night(part).to_json()["parts"]["phase5"]["changes"][P50]
    assert (change["night"], change["before"], change["after"]) == ("n3", 0.004, 0.005)


def test_a_capacity_that_fell_is_a_regression() -> None:
    """Of the capacity more is better, of everything else less."""

    def searches(rates: Sequence[float], name: str) -> list[Measured]:
        return [replace(run, values={"capacity": rate}) for run, rate in zip(_runs(rates, name=name), rates, strict=True)]

    known = searches([3500, 3550, 3450], "b")
    assert _night(_part(searches([2500, 2550, 2450], "a"), known)).regressions == ["phase5: capacity"]
    assert _night(_part(searches([4500, 4550, 4450], "a"), known)).exit_code is ExitCode.PASS
    # Searches go in steps: all of a side may end at the same one, without any noise to see, and the other two steps below.
    assert _night(_part(searches([1834, 1834], "a"), searches([2000, 2000], "b"))).exit_code is ExitCode.PASS
    assert _night(_part(searches([1760, 1760], "a"), searches([2000, 2000], "b"))).regressions == ["phase5: capacity"]


def test_one_run_a_side_is_not_called_no_regression() -> None:
    """Nothing could have been flagged, and that is said."""
    night = _night(_part(_runs([8.0]), _runs([4.0], name="b")))
    assert night.headline == "no regression known: one run a side can show none"
    assert "| phase5 | 1 pass | one run a side can show no regression |" in night.markdown()


def test_a_part_without_a_run_to_compare_with_tells_nothing() -> None:
    """That nothing of the baseline can be believed is no pass."""
    part = PartReport("phase5", _runs([4.0]), None, "no run of the baseline is left", undecided=True)
    assert _night(part).exit_code is ExitCode.INVALID
    assert _night(part).headline == "INVALID in phase5"


def test_a_night_that_ended_early_says_why() -> None:
    """With the exit code of its error, whatever its runs were."""
    night = replace(_night(_part(_runs([4.0]), untold="not compared")), ended=NotReadyError("api: gave up\nits log"))
    assert (night.exit_code, night.headline) == (ExitCode.NOT_READY, "ENDED EARLY: api: gave up its log")
    assert night.markdown().startswith("## nightly: ENDED EARLY: api: gave up its log\n")


def test_names_are_no_markup() -> None:
    """A request is called what its scenario says."""
    figure = "service_time(<b>|x).p50"
    slow, fast = ([replace(run, values={figure: run.values[P50]}) for run in runs] for runs in (_runs([8, 8.1, 7.9]), BASELINE))
    (line,) = [line for line in _night(_part(slow, fast)).markdown().splitlines() if line.startswith("| phase5")]
    assert line.endswith(r"**slower: service_time(\<b>\|x).p50** |")
