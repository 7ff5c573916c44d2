"""A whole search over synthetic runs: what is written after each, and how it ends when runs go wrong."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from loadtests.engine.recorder import Recorder
from loadtests.errors import InputError, RunError
from loadtests.exitcodes import ExitCode
from loadtests.orchestrate import ramp
from loadtests.orchestrate.ramp import Ramp, bounds_of
from loadtests.orchestrate.run import Options, Outcome
from loadtests.orchestrate.step import Stepper
from loadtests.report.measures import measures_of_search
from loadtests.report.summary import summarise
from loadtests.scenario.plan import Plan
from loadtests.store.folder import create_folder
from loadtests.store.manifest import write_manifest
from loadtests.store.measured import YARDSTICK, differences
from loadtests.store.records import write_json
from tests.unit.runs import SyntheticRun, complete, planned_samples, slower
from tests.unit.texts import RAMPED, changed, write_scenario

SMALL = changed("users = 10", "users = 4", RAMPED)
HOW = {"workers": 2, "stack": "embedded", "servers": "wheels", "host": "there", "stack_commit": "abc"}
Play = Callable[[SyntheticRun], object]


def fine(run: SyntheticRun) -> None:
    """Everything is answered in time."""
    complete(run, planned_samples(run.plan))


def slow(run: SyntheticRun) -> None:
    """Nothing is."""
    complete(run, slower(planned_samples(run.plan), 10))


def broken(run: SyntheticRun) -> None:
    """A worker never reports its end."""
    run.start()
    run.play(planned_samples(run.plan))
    run.final(0)
    run.stop()


def up_to(users: int) -> Play:
    """Of a target that is fast up to so many users."""
    return lambda run: (fine if run.plan.scenario.load.users <= users else slow)(run)


def search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plays: Iterator[Play], text: str = SMALL) -> tuple[Ramp, list[str]]:
    """A search whose runs are these, and the lines that it tells."""

    class Run:
        def __init__(self, plan: Plan, options: Options, console: Console) -> None:
            self._plan, self._out = plan, options.out

        def execute(self) -> Outcome:
            folder = create_folder(self._out, self._plan.scenario.name)
            write_manifest(folder, self._plan.to_json(), self._plan.hash, HOW)
            run = SyntheticRun(folder, self._plan, 2, recorders=[Recorder(worker) for worker in range(2)])
            next(plays)(run)
            verdict, summary = run.verdict(), summarise(run.evidence())
            write_json(folder.file("summary.json"), summary)
            return Outcome(folder, verdict, summary, verdict.exit_code)

    monkeypatch.setattr(ramp, "Run", Run)
    stepper = Stepper(write_scenario(tmp_path, text), None, None, 4.0, 8.0, environ={})
    told: list[str] = []
    options = Options(tmp_path / "results", 2, "none", "wheels")
    return Ramp(stepper, bounds_of(4.0, None, None, 0.05, 1.0, tries=2), options, {}, told.append), told


def record(one: Ramp) -> dict[str, Any]:
    """What stands in its file."""
    data: dict[str, Any] = json.loads((one.folder / "capacity.json").read_text())
    return data


def late(run: SyntheticRun) -> None:
    """The generator is."""
    complete(run, [replace(one, lateness_us=300_000) for one in planned_samples(run.plan)])


def always(play: Play) -> Iterator[Play]:
    """The same for every run."""
    while True:
        yield play


def test_a_capacity_is_found_between_whole_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up, down to neighbouring numbers of users, and a plateau; a line and a folder for each run, and a page."""
    one, told = search(tmp_path, monkeypatch, always(up_to(10)))
    assert one.execute() is ExitCode.PASS
    data = record(one)
    rates = [(step["users"], step["plateau"], step["duration_s"]) for step in data["steps"]]
    assert rates == [*((users, False, 4.0) for users in (4, 8, 16, 16, 11, 11, 9, 10)), (10, True, 8.0)]
    assert (data["answer"]["kind"], data["answer"]["interval"]) == ("confirmed", [10.0, 11.0])
    assert [line.split()[0] for line in told] == [str(number) for number in range(1, 10)]
    assert all((one.folder / step["folder"] / "manifest.json").is_file() for step in data["steps"])
    assert (one.folder / "capacity.html").is_file()


def test_a_run_that_says_nothing_is_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the search goes on as if it had not been; it stands in the file."""
    one, _ = search(tmp_path, monkeypatch, iter([fine, broken, slow, slow, broken, fine, slow, slow, fine]))
    assert one.execute() is ExitCode.PASS
    data = record(one)
    assert [step["users"] for step in data["steps"]] == [4, 8, 8, 8, 6, 6, 7, 7, 6]
    assert [step["passed"] for step in data["steps"]] == [True, None, False, False, None, True, False, False, True]
    assert data["answer"]["interval"] == [6.0, 7.0]


def test_runs_that_go_on_saying_nothing_end_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With exit code 3; what was known before stands, and why it ended."""
    one, _ = search(tmp_path, monkeypatch, iter([fine, broken, broken]))
    with pytest.raises(RunError, match="2 runs in a row at 8/s say nothing: workers: ") as caught:
        one.execute()
    assert caught.value.exit_code is ExitCode.INVALID
    data = record(one)
    assert (data["trouble"], data["answer"]["kind"], data["answer"]["rate"]) == (str(caught.value), "unfinished", 4.0)


def test_an_interruption_between_two_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ends the search as one within a run does."""

    def plays() -> Iterator[Play]:
        yield fine
        raise KeyboardInterrupt

    one, _ = search(tmp_path, monkeypatch, plays())
    assert one.execute() is ExitCode.INTERRUPTED
    assert (record(one)["trouble"], len(record(one)["steps"])) == ("interrupted", 1)


def test_what_a_search_measured_can_be_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rate, of the build that the stack is; what decides that a step passes is a condition, how large a step is is none."""
    one, _ = search(tmp_path, monkeypatch, always(up_to(10)))
    one.execute()
    plain = measures_of_search(one.folder)
    assert (plain.values["capacity"], plain.verdict, plain.commit) == (10.0, "pass", "abc")
    assert plain.values.keys() <= {"capacity", YARDSTICK}
    smaller, _ = search(tmp_path, monkeypatch, always(up_to(9)), changed("users = 4", "users = 3", SMALL))
    smaller.execute()
    assert differences(plain, measures_of_search(smaller.folder)) == []
    for text, key in (
        (changed("< 200ms", "< 300ms", SMALL), "objectives.fast"),
        (SMALL + '[health]\nlateness_p99 = "50ms"\n', "health.lateness_p99"),
    ):
        other, _ = search(tmp_path, monkeypatch, always(up_to(10)), text)
        other.execute()
        assert [found[0] for found in differences(plain, measures_of_search(other.folder))] == [key]


def test_a_search_that_the_generator_ended_measured_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the target, though a rate was confirmed."""
    one, _ = search(tmp_path, monkeypatch, iter([fine, late, late, fine, late, late, fine]))
    assert one.execute() is ExitCode.INVALID
    assert record(one)["answer"]["confirmed_by"] == 7
    found = measures_of_search(one.folder)
    assert (found.verdict, found.values) == ("invalid", {})


def test_a_scenario_that_is_changed_meanwhile_ends_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps with other limits would not be steps of one search."""

    def edited(run: SyntheticRun) -> None:
        write_scenario(tmp_path, changed("< 200ms", "< 300ms", SMALL))
        fine(run)

    one, _ = search(tmp_path, monkeypatch, iter([fine, edited]))
    with pytest.raises(InputError, match="was changed during the search"):
        one.execute()
    assert [step["passed"] for step in record(one)["steps"]] == [True, True]
