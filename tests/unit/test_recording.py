"""Loads that were recorded: who has which turn, how fast time runs, and what is wrong with a file."""

from pathlib import Path

import pytest

from loadtests.errors import InputError
from loadtests.pacing.mix import Mix
from loadtests.pacing.recorded import RecordedLoad
from loadtests.pacing.stream import ClosedLoad, OpenLoad, expected_turns, planned_turns, turns_between, turns_of
from loadtests.scenario.load import load_plan
from loadtests.settings import overrides
from loadtests.traffic.recording import read_recording, write_recording
from tests.unit.texts import BASE, changed, plan_of, problems_of, write_scenario

LOAD = RecordedLoad([0, 500_000, 500_000, 2_000_000, 3_999_999, 4_000_000], [0, 1, 0, 0, 1, 0], users=2, duration_s=4.0)
RECORDED = changed('duration = "10s"', 'duration = "4s"\narrivals = "recorded"\nrecording = "a.moments"')
MOMENTS = [(0, "list_tasks"), (500_000, "create_task"), (500_000, "list_tasks"), (2_000_000, "list_tasks")]


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """A recording beside the scenario."""
    write_recording(tmp_path / "a.moments", MOMENTS)
    return tmp_path / "a.moments"


def test_request_k_is_a_turn_of_user_k_mod_users() -> None:
    """At its moment, for its journey; what comes at the end of the load or later is left out."""
    turns = [[(turn.due_s, turn.journey) for turn in turns_of(LOAD, Mix([1, 1]), 7, user)] for user in (0, 1)]
    assert turns == [[(0.0, 0), (0.5, 0), (3.999999, 1)], [(0.5, 1), (2.0, 0)]]


def test_the_seed_decides_the_payloads_only() -> None:
    """Another seed, the same moments and journeys, other bodies."""
    one, other = (list(turns_of(LOAD, Mix([1, 1]), seed, 0)) for seed in (1, 2))
    assert [turn[:2] for turn in one] == [turn[:2] for turn in other]
    assert all(a.draw != b.draw for a, b in zip(one, other, strict=True))


def test_turns_are_counted_without_being_made() -> None:
    """In all, before a moment, and between two."""
    assert planned_turns(LOAD, Mix([1, 1]), 1, 2) == 5
    assert [expected_turns(LOAD, 2, time_s) for time_s in (-1, 0, 0.5, 0.6, 99)] == [0, 0, 1, 3, 5]
    assert turns_between(LOAD, 1, 2, 0.5, 2.0) == 2


@pytest.mark.usefixtures("recording")
def test_a_plan_follows_its_recording(tmp_path: Path) -> None:
    """Names are those of the mix; the offered rate is that of the recording, whatever the number of users."""
    plan = plan_of(tmp_path, RECORDED, users="3")
    assert isinstance(plan.load, RecordedLoad)
    assert (list(plan.load.moments_us), list(plan.load.journeys)) == ([0, 500_000, 500_000, 2_000_000], [0, 1, 0, 0])
    assert (plan.load.users, plan.offered_rate) == (3, 1.0)


@pytest.mark.usefixtures("recording")
def test_another_stack_is_played_the_same_recording(tmp_path: Path) -> None:
    """As when two builds take turns at one load."""
    plan = plan_of(tmp_path, RECORDED)
    other = plan.with_stack("elsewhere/stack.toml")
    assert (other.scenario.stack.definition, other.load, other.notes) == ("elsewhere/stack.toml", plan.load, plan.notes)


def test_hash_is_that_of_the_content(tmp_path: Path, recording: Path) -> None:
    """The same recording elsewhere makes the same plan, one with another moment another."""
    before = plan_of(tmp_path, RECORDED).hash
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a.moments").write_bytes(recording.read_bytes())
    assert plan_of(elsewhere, RECORDED).hash == before
    recording.write_text(recording.read_text().replace("2000000", "2000001"))
    assert plan_of(tmp_path, RECORDED).hash != before


def test_a_recording_that_was_changed_is_not_that_of_the_plan(tmp_path: Path, recording: Path) -> None:
    """Nobody may play another stream than was planned; a copy of the right one will do."""
    plan = plan_of(tmp_path, RECORDED)
    copy = tmp_path / "copy.moments"
    copy.write_bytes(recording.read_bytes())
    recording.write_text("0 list_tasks\n")
    with pytest.raises(InputError, match="another recording than that of the plan"):
        _ = plan.load
    again = plan.with_recording(copy)
    assert isinstance(again.load, RecordedLoad)
    assert again.hash == plan.hash
    assert plan.with_recording(tmp_path / "nowhere") is plan


@pytest.mark.usefixtures("recording")
def test_another_stack_plays_the_same_recording(tmp_path: Path) -> None:
    """A night against another build offers both the same stream."""
    plan = plan_of(tmp_path, RECORDED)
    other = plan.with_stack("elsewhere/stack.toml")
    assert other.recording == plan.recording
    assert other.load == plan.load


def test_a_run_keeps_the_recording_of_its_plan(tmp_path: Path, recording: Path) -> None:
    """A copy; one that was changed or taken away since is one line, before anything runs."""
    plan, copy = plan_of(tmp_path, RECORDED), tmp_path / "kept" / "copy.moments"
    copy.parent.mkdir()
    plan.keep_recording(copy)
    assert copy.read_bytes() == recording.read_bytes()
    recording.write_text("0 list_tasks\n")
    with pytest.raises(InputError, match=r"a\.moments: another recording than that of the plan"):
        plan.keep_recording(copy)
    recording.unlink()
    with pytest.raises(InputError, match=r"a\.moments: cannot be copied to .*: No such file or directory"):
        plan.keep_recording(copy)
    plan_of(tmp_path, BASE).keep_recording(tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("text", "trouble"),
    [
        ("", "there is no request in it"),
        ("0 list_tasks\nlist_tasks\n", "line 2: not of the form 'MICROSECONDS NAME'"),
        ("-1 list_tasks\n", "line 1: not of the form"),
        ("9" * 19 + " list_tasks\n", "line 1: not of the form"),
        ("9" * 5000 + " list_tasks\n", "line 1: not of the form"),
        ("5\n", "line 1: not of the form"),
        ("0 lost\n", r"line 1: 'lost' is no journey of the mix \(there are: create_task, list_tasks\)"),
        ("5 list_tasks\n4 list_tasks\n", "line 2: 4 us is before the line above"),
    ],
)
def test_a_broken_recording_is_a_problem_of_the_scenario(tmp_path: Path, text: str, trouble: str) -> None:
    """Said with its line, before anything runs."""
    (tmp_path / "a.moments").write_text(text)
    (problem,) = problems_of(tmp_path, RECORDED)
    assert problem.key == "load.recording"
    with pytest.raises(InputError, match=trouble):
        read_recording(tmp_path / "a.moments", {"list_tasks": 0, "create_task": 1})


def test_a_recording_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    """With the path that was looked at."""
    (problem,) = problems_of(tmp_path, RECORDED)
    assert problem.message == f"{tmp_path / 'a.moments'}: cannot be read: No such file or directory"


@pytest.mark.parametrize(
    "load",
    [
        'duration = "4s"\narrivals = "recorded"',
        'duration = "4s"\nrecording = "a.moments"',
        'stages = [{ duration = "4s", at = 1 }]\narrivals = "recorded"\nrecording = "a.moments"',
        'duration = "4s"\nramp_up = "1s"\narrivals = "recorded"\nrecording = "a.moments"',
        'duration = "4s"\nmodel = "closed"\nthink_time = ["1s", "2s"]\narrivals = "recorded"\nrecording = "a.moments"',
    ],
)
@pytest.mark.usefixtures("recording")
def test_what_does_not_go_with_a_recording_is_refused(tmp_path: Path, load: str) -> None:
    """It decides the rate alone."""
    (problem,) = problems_of(tmp_path, changed('duration = "10s"', load))
    assert "recording" in problem.message


@pytest.mark.usefixtures("recording")
def test_a_recording_cannot_be_stretched(tmp_path: Path) -> None:
    """Its length is its own; its speed can be changed."""
    with pytest.raises(InputError, match=r"--duration: a recording lasts as long as it does; change its speed"):
        plan_of(tmp_path, RECORDED, duration="8s")


@pytest.mark.usefixtures("recording")
def test_speed_moves_recorded_moments_together(tmp_path: Path) -> None:
    """Twice as fast: half as long, at twice the rate, each turn at half its moment."""
    plan = plan_of(tmp_path, RECORDED, speed="2")
    assert isinstance(plan.load, RecordedLoad)
    assert [turn.due_s for turn in turns_of(plan.load, plan.mix, 1, 3)] == [1.0]
    assert (plan.scenario.load.total_s, plan.offered_rate) == (2.0, 2.0)
    assert "2 times as fast" in plan.notes[0]


def test_speed_divides_durations_and_multiplies_rates(tmp_path: Path) -> None:
    """Stages, waves and faults' moments come sooner; the number of turns is the same."""
    stages = 'stages = [{ duration = "4s", to = 1 }, { duration = "6s", at = 2, wave = { amplitude = 1, period = "3s" } }]'
    fault = '[[faults]]\nat = "5s"\nservice = "api"\nkind = "kill"\nlasts = "2s"\n'
    text = changed('duration = "10s"', stages) + fault
    before, after = plan_of(tmp_path, text), plan_of(tmp_path, text, speed="2")
    assert isinstance(before.load, OpenLoad) and isinstance(after.load, OpenLoad)
    assert after.load.profile.total == pytest.approx(before.load.profile.total)
    assert after.load.profile.duration_s == 5.0
    assert after.load.profile.rate(3.1) == pytest.approx(2 * before.load.profile.rate(6.2))
    assert (after.scenario.faults[0].at, after.scenario.faults[0].lasts) == (2.5, 2.0)


def test_speed_shortens_ramps_and_think_times(tmp_path: Path) -> None:
    """Of the closed model, too; what belongs to the target stays."""
    ramped = plan_of(tmp_path, changed('duration = "10s"', 'duration = "10s"\nramp_up = "4s"'), speed="0.5").scenario.load
    assert (ramped.total_s, ramped.ramp_up, ramped.rate_per_user, ramped.drain) == (20.0, 8.0, 0.5, 30.0)
    closed = changed('duration = "10s"', 'duration = "10s"\nmodel = "closed"\nthink_time = ["1s", "3s"]')
    assert plan_of(tmp_path, closed, speed="2").load == ClosedLoad(0.5, 1.5, 5.0)


def test_duration_is_that_of_the_run(tmp_path: Path) -> None:
    """Asked for together with a speed, it is how long the load lasts; the rate is that of the speed."""
    plan = plan_of(tmp_path, BASE, speed="3", duration="60s")
    assert plan.scenario.load.total_s == 60.0
    assert plan.offered_rate == pytest.approx(30.0)


def test_speed_of_the_file_gives_way(tmp_path: Path) -> None:
    """A flag beats the environment beats `load.speed`, and a plan is not sped up again when it is read back."""
    text = changed('duration = "10s"', 'duration = "10s"\nspeed = 2')
    plan = plan_of(tmp_path, text)
    assert (plan.scenario.load.total_s, type(plan).from_json(plan.to_json())) == (5.0, plan)
    assert plan_of(tmp_path, text, speed="1").hash == plan_of(tmp_path, BASE).hash
    given = overrides({}, {"LOADTEST_SPEED": "4"})
    assert load_plan(write_scenario(tmp_path, text), given).scenario.load.total_s == 2.5


@pytest.mark.parametrize("speed", ["0", "-1", "fast", "nan", "inf", "1e-7", "1e7"])
def test_a_speed_that_is_none_is_refused(tmp_path: Path, speed: str) -> None:
    """In one line that names the flag."""
    with pytest.raises(InputError, match=r"^--speed: must be a number from 0.000001 to 1,000,000"):
        plan_of(tmp_path, BASE, speed=speed)
