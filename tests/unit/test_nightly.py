"""Nights whose runs are scripted: what ends one, what does not, and what is kept of it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from loadtests.errors import InputError, InterruptedRun, LoadtestError, NotReadyError, RunError
from loadtests.exitcodes import ExitCode
from loadtests.orchestrate.nightly import Night, NightOptions
from loadtests.orchestrate.run import Options
from loadtests.scenario.plan import Plan
from loadtests.scenario.suite import Part, load_suite
from loadtests.store.history import read_history
from loadtests.store.measured import Condition, Measured
from loadtests.store.nights import read_baseline
from tests.unit.texts import BASE, write_scenario

P50 = "service_time(list_tasks).p50"
NOISE = (1.0, 1.01, 0.99, 1.005, 0.995)


@dataclass(frozen=True)
class Turn:
    """A run that is asked for."""

    part: Part
    old: bool
    """On the stack of another checkout."""
    number: int
    """From 0, in the order of the night."""


Script = Callable[[Turn], Measured]


class Machine:
    """Where nights are spent: each call of the script is a run."""

    def __init__(self, folder: Path, parts: str, rounds: int = 3) -> None:
        self.results = folder / "results"
        self._rounds = rounds
        self.screen = StringIO()
        self.parts(folder, parts)

    def parts(self, folder: Path, parts: str) -> None:
        """Another suite of the same name."""
        path = folder / "s.toml"
        path.write_text(f'name = "s"\nrounds = {self._rounds}\n{parts}')
        self._suite, self._plans = load_suite(path, cores=2)

    def night(self, script: Script, accept: bool = False, against: Path | None = None) -> ExitCode:
        """One night."""
        count = iter(range(1000))

        def carry_out(part: Part, _plan: Plan, definition: str | None, _how: Options) -> Measured:
            return script(Turn(part, definition is not None, next(count)))

        options = NightOptions(Options(self.results, 1, "embedded", "wheels"), against, accept)
        return Night(self._suite, self._plans, options, Console(file=self.screen, width=200), carry_out).execute()

    @property
    def told(self) -> dict[str, object]:
        """The newest `night.json`."""
        found: dict[str, object] = json.loads((self.results / "latest-night" / "night.json").read_text())
        return found

    @property
    def summary(self) -> str:
        """The newest `night.md`."""
        return (self.results / "latest-night" / "night.md").read_text()

    @property
    def verdicts(self) -> list[str]:
        """Of all runs of the history."""
        return [entry.measured.verdict for entry in read_history(self.results / "history" / "s.jsonl").entries]

    @property
    def baseline(self) -> list[Measured]:
        """Of the nights to come."""
        return [entry.measured for entry in read_baseline(self.results / "baseline" / "s.jsonl")]


def measured(
    part: Part, number: int, time_s: float = 0.01, verdict: str = "pass", more: Mapping[str, Condition] | None = None
) -> Measured:
    """What a run could have measured, with a little noise."""
    given: dict[str, Condition] = {"workers": 1, "load.users": part.users, **(more or {})}
    noisy = {P50: time_s * NOISE[number % len(NOISE)]}
    return Measured(
        f"{part.title}-{number}-{time_s}", "synthetic", "abc", f"2026-01-01T00:00:{number:02}", verdict, given, noisy
    )


def usual(turn: Turn) -> Measured:
    """A good run."""
    return measured(turn.part, turn.number)


@pytest.fixture
def one(tmp_path: Path) -> Machine:
    """A suite of one part."""
    return Machine(tmp_path, _part(tmp_path))


def _part(folder: Path, more: str = "") -> str:
    return f'[[parts]]\nscenario = "{write_scenario(folder, BASE)}"\n{more}\n'


def test_a_run_that_broke_is_invalid_and_the_night_goes_on(one: Machine) -> None:
    """It is a line of the history, its reason stands in the summary, and the others are compared."""
    assert one.night(usual) is ExitCode.PASS

    def broken(turn: Turn) -> Measured:
        if turn.number == 0:
            raise RunError("the master is gone\nits log")
        return measured(turn.part, turn.number, 0.02)

    assert one.night(broken) is ExitCode.FAIL
    assert one.verdicts == ["pass"] * 3 + ["invalid", "pass", "pass"]
    assert "round 1: the master is gone its log" in one.summary
    assert "2 pass, 1 invalid | **slower: service_time(list_tasks).p50**" in one.summary
    assert "\n  scenario, round 1: the master is gone\n" in one.screen.getvalue()


def test_a_night_whose_runs_all_broke_is_invalid(one: Machine) -> None:
    """And no baseline, even when it was to be accepted."""

    def broken(turn: Turn) -> Measured:
        raise RunError(f"{turn.number}: no disk")

    assert one.night(broken, accept=True) is ExitCode.INVALID
    assert "this night is not accepted: all runs of scenario were INVALID" in one.screen.getvalue()
    assert one.baseline == []


@pytest.mark.parametrize(
    ("error", "raised", "says"),
    [
        pytest.param(NotReadyError("api did not come up"), NotReadyError, "ENDED EARLY: api did not come up", id="stack"),
        pytest.param(InterruptedRun("interrupted"), InterruptedRun, "ENDED EARLY: interrupted; the runs", id="interrupted"),
        pytest.param(KeyboardInterrupt(), InterruptedRun, "ENDED EARLY: interrupted; the runs", id="between runs"),
    ],
)
def test_a_night_that_ends_early_leaves_its_summary(
    error: BaseException, raised: type[LoadtestError], says: str, one: Machine
) -> None:
    """What ended it, and the runs until then; it is no baseline."""

    def script(turn: Turn) -> Measured:
        if turn.number == 2:
            raise error
        return measured(turn.part, turn.number)

    with pytest.raises(raised):
        one.night(script)
    assert f"## s: {says}" in one.summary
    assert "2 pass | not compared" in one.summary
    assert one.told["exit_code"] == int(raised.exit_code)
    assert (one.verdicts, one.baseline) == (["pass", "pass"], [])


def test_other_conditions_are_refused_and_can_be_accepted(one: Machine) -> None:
    """The refusal is in the summary too; a night that is accepted says what kept it from being compared."""
    one.night(usual)

    def wider(turn: Turn) -> Measured:
        return measured(turn.part, turn.number, more={"workers": 2})

    with pytest.raises(InputError, match=r"not comparable with the baseline of .*: workers 1 against 2"):
        one.night(wider)
    assert one.told["exit_code"] == 2 and "ENDED EARLY" in one.summary
    assert one.night(wider, accept=True) is ExitCode.PASS
    assert "workers 1 against 2" in one.summary
    assert [run.conditions["workers"] for run in one.baseline] == [2, 2, 2]
    assert one.night(wider) is ExitCode.PASS


def test_a_night_that_got_slower_can_be_accepted_and_still_says_so(one: Machine) -> None:
    """Its exit code is that of any night; the next one is compared with it."""
    one.night(usual)

    def slower(turn: Turn) -> Measured:
        return measured(turn.part, turn.number, 0.02)

    assert one.night(slower, accept=True) is ExitCode.FAIL
    assert one.night(slower) is ExitCode.PASS


def test_invalid_runs_are_no_part_of_a_baseline(one: Machine) -> None:
    """They would be compared with nothing for ever."""

    def doubtful(turn: Turn) -> Measured:
        return measured(turn.part, turn.number, verdict="invalid" if turn.number == 1 else "pass")

    one.night(doubtful)
    assert [run.verdict for run in one.baseline] == ["pass", "pass"]


def test_a_baseline_of_another_version_can_be_replaced(one: Machine) -> None:
    """As its error says: it is refused, and does not keep a night from being accepted."""
    kept = one.results / "baseline" / "s.jsonl"
    kept.parent.mkdir(parents=True)
    kept.write_text('{"version": 0}\n')
    with pytest.raises(InputError, match="no baseline of this version"):
        one.night(usual)
    assert one.night(usual, accept=True) is ExitCode.PASS
    assert len(one.baseline) == 3


def test_parts_that_are_new_or_gone_are_told(one: Machine, tmp_path: Path) -> None:
    """A second part with the scenario of the first is none that does not compare; one that was left out is not forgotten."""
    one.night(usual)
    one.parts(tmp_path, _part(tmp_path) + _part(tmp_path, 'name = "many"\nusers = 9'))
    assert one.night(usual) is ExitCode.PASS
    assert "| many | 3 pass | not in the baseline |" in one.summary
    one.parts(tmp_path, _part(tmp_path, 'name = "many"\nusers = 9'))
    one.night(usual)
    assert "scenario is in the baseline, and no part of the suite any more" in one.summary


def test_a_part_may_be_in_the_first_rounds_only(tmp_path: Path) -> None:
    """The others go on."""
    machine = Machine(tmp_path, _part(tmp_path) + _part(tmp_path, 'name = "many"\nusers = 9\nrounds = 2'))
    machine.night(usual)
    assert [run.run_id.split("-")[0] for run in machine.baseline] == ["scenario", "many", "scenario", "many", "scenario"]


def test_two_builds_are_compared_in_pairs_across_their_own_settings(one: Machine, tmp_path: Path) -> None:
    """What their definitions bring along is theirs, and told; each build is the first in every other round."""
    order: list[str] = []

    def script(turn: Turn) -> Measured:
        order.append("old" if turn.old else "new")
        return measured(
            turn.part, turn.number // 2, 0.01 if turn.old else 0.02, more={"stack_settings.POOL": 10 if turn.old else 20}
        )

    assert one.night(script, against=_checkout(tmp_path)) is ExitCode.FAIL
    assert order == ["old", "new", "new", "old", "old", "new"]
    assert "compared across stack_settings.POOL 10 against 20" in one.summary


def test_two_builds_of_which_one_shows_nothing_are_undecided(one: Machine, tmp_path: Path) -> None:
    """No pair is left, so it is not known whether the candidate is slower."""

    def script(turn: Turn) -> Measured:
        return measured(turn.part, turn.number, verdict="invalid" if turn.old else "pass")

    assert one.night(script, against=_checkout(tmp_path)) is ExitCode.INVALID
    assert "no run of the baseline is left" in one.summary


def test_a_checkout_that_cannot_be_started_is_refused_before_anything_runs(one: Machine, tmp_path: Path) -> None:
    """None of this project, and one that was not set up."""
    with pytest.raises(InputError, match="no checkout of this project"):
        one.night(usual, against=tmp_path / "nowhere")
    other = _checkout(tmp_path)
    (other / "backend" / "python").unlink()
    with pytest.raises(InputError, match=r"environment is missing \(run: make -C .* setup\)"):
        one.night(usual, against=other)
    assert not one.results.exists()


def test_a_search_that_cannot_be_made_is_refused_before_anything_runs(tmp_path: Path) -> None:
    """Not after the parts before it."""
    with pytest.raises(InputError, match="a capacity search needs a load of one rate"):
        Machine(tmp_path, '[[parts]]\nscenario = "spike"\nkind = "capacity"\n').night(usual)


def test_runs_of_old_nights_make_room_but_for_those_of_the_baseline(tmp_path: Path) -> None:
    """Before a night begins; how many stay is the suite's."""
    machine = Machine(tmp_path, "keep_nights = 1\n" + _part(tmp_path), rounds=1)
    machine.night(usual)
    baseline = (machine.results / "latest-night").resolve()
    old = machine.results / "20260101T000000-s-ab12"
    for night in (baseline, old):
        (night / "runs").mkdir(parents=True)
    machine.night(usual)
    assert [(night / "runs").is_dir() for night in (baseline, old)] == [True, False]


def _checkout(folder: Path) -> Path:
    """Another checkout, as far as a night looks at it."""
    backend = folder / "other" / "backend"
    backend.mkdir(parents=True, exist_ok=True)
    (backend / "python").touch()
    (backend / "stack.toml").write_text('python = "python"\n')
    return folder / "other"
