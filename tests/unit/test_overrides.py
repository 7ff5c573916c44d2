"""Overrides of a scenario: what wins, what scales with it, and what is refused."""

from pathlib import Path

import pytest

from loadtests.errors import InputError
from loadtests.pacing.stream import OpenLoad
from loadtests.scenario.load import load_plan
from loadtests.settings import overrides
from tests.unit.texts import BASE, changed, plan_of, write_scenario

SCALED = BASE + (
    'rate = { objective = "rate >= 99% of 20/s", scale_with = "users", target = "the promised 20 req/s" }\n'
    'count = { objective = "requests(list_tasks) > 1_000", scale_with = "users" }\n'
    'users = { objective = "users.max >= 10", scale_with = "users", target = "the promised 10 users" }\n'
    'fixed = "requests > 7"\n'
)
STAGES = changed('duration = "10s"', 'stages = [{ duration = "5s", to = 1 }, { duration = "15s", to = 0.5 }]')


def test_flags_beat_environment_beat_file(tmp_path: Path) -> None:
    """Users from the flag, seed from the environment, duration from the file."""
    given = overrides({"users": "3"}, {"LOADTEST_USERS": "4", "LOADTEST_SEED": "77"})
    scenario = load_plan(write_scenario(tmp_path, BASE), given).scenario
    assert (scenario.load.users, scenario.seed, scenario.load.duration) == (3, 77, 10.0)


def test_host_is_overridden_alone(tmp_path: Path) -> None:
    """Another host leaves the rest of [target] as it was."""
    text = BASE + '[target]\nhealth = "/up"\ntimeout = "5s"\n'
    target = plan_of(tmp_path, text, host="https://staging:8443").scenario.target
    assert (target.host, target.health, target.timeout) == ("https://staging:8443", "/up", 5.0)


def test_users_scale_the_objectives_that_ask_for_it(tmp_path: Path) -> None:
    """With a fifth of the users, scaled limits are a fifth; the others stay."""
    objectives = plan_of(tmp_path, SCALED, users="2").parsed_objectives
    assert objectives["rate"].limit == pytest.approx(4.0)
    assert objectives["rate"].threshold == pytest.approx(3.96)
    assert objectives["count"].limit == pytest.approx(200.0)
    assert objectives["count"].selector == "list_tasks"
    assert objectives["users"].limit == pytest.approx(2.0)
    assert objectives["fixed"].limit == 7.0
    assert objectives["fast"].limit == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("objective", "limit"),
    [
        ("response_time.p95 < 200ms", 0.06),
        ("response_time.p95<200ms", 0.06),
        ("failure_ratio <= 10%", 0.03),
        ("rate >= 50% of 600/m", 3.0),
        ("requests(list_tasks) >= 1e6", 300_000.0),
    ],
)
def test_any_unit_can_be_scaled(tmp_path: Path, objective: str, limit: float) -> None:
    """The scaled text is parsed again, whatever its unit, with the limit times 0.3."""
    text = BASE + f'one = {{ objective = "{objective}", scale_with = "users" }}\n'
    assert plan_of(tmp_path, text, users="3").parsed_objectives["one"].limit == pytest.approx(limit)


def test_note_says_what_was_not_offered(tmp_path: Path) -> None:
    """A smaller run says which promises it neither confirms nor refutes, and what it plans instead."""
    (note,) = plan_of(tmp_path, SCALED, users="2").notes
    assert "the promised 20 req/s" in note
    assert "the promised 10 users" in note
    assert "requests(list_tasks) > 1" in note
    assert "neither confirmed nor refuted" in note
    assert "2 users at 2 req/s" in note


def test_no_note_for_the_planned_number_of_users(tmp_path: Path) -> None:
    """Nothing is noted when the run offers what the file says, also when the flag says the same."""
    for plan in (plan_of(tmp_path, SCALED), plan_of(tmp_path, SCALED, users="10"), plan_of(tmp_path, SCALED, seed="5")):
        assert plan.notes == ()
        assert plan.objectives["rate"] == "rate >= 99% of 20/s"


def test_no_note_where_nothing_scales(tmp_path: Path) -> None:
    """Fewer users alone are no reason for a note."""
    assert plan_of(tmp_path, BASE, users="2").notes == ()


def test_larger_run_does_not_claim_that_it_offered_less(tmp_path: Path) -> None:
    """With twice the users the promise is offered, and more: nobody is told that it was not."""
    plan = plan_of(tmp_path, SCALED, users="20")
    assert plan.parsed_objectives["rate"].limit == pytest.approx(40.0)
    assert "not offered" not in " ".join(plan.notes)


def test_duration_stretches_the_ramp(tmp_path: Path) -> None:
    """Half the duration is half the ramp."""
    load = plan_of(tmp_path, changed('"10s"', '"10s"\nramp_up = "4s"'), duration="5s").scenario.load
    assert (load.total_s, load.ramp_up) == (5.0, 2.0)


def test_duration_stretches_stages(tmp_path: Path) -> None:
    """Stages keep their proportions and their rates, and add up to the duration that was asked."""
    plan = plan_of(tmp_path, STAGES, duration="1m")
    assert [(stage.duration, stage.to) for stage in plan.scenario.load.stages] == [(15.0, 1.0), (45.0, 0.5)]
    assert plan.scenario.load.total_s == 60.0


def test_duration_stretches_waves(tmp_path: Path) -> None:
    """A wave keeps its shape: as many swings in more time."""
    wave = changed('duration = "10s"', 'stages = [{ duration = "10s", at = 2, wave = { amplitude = 1, period = "5s" } }]')
    plan = plan_of(tmp_path, wave, duration="1m")
    (stage,) = plan.scenario.load.stages
    assert stage.wave is not None
    assert (stage.duration, stage.at, stage.wave.amplitude, stage.wave.period) == (60.0, 2.0, 1.0, 30.0)


@pytest.mark.parametrize("duration", ["1s", "7s", "100ms", "1h", "11h"])
@pytest.mark.parametrize("text", [STAGES, changed('"10s"', '"1h"\nramp_up = "1s"')], ids=["stages", "ramp"])
def test_any_duration_stretches(tmp_path: Path, text: str, duration: str) -> None:
    """However short or long the override, the load has that length, and the ramp its share of it."""
    before = plan_of(tmp_path, text).scenario.load
    after = plan_of(tmp_path, text, duration=duration).scenario.load
    seconds = {"1s": 1, "7s": 7, "100ms": 0.1, "1h": 3600, "11h": 39600}[duration]
    assert after.total_s == pytest.approx(seconds, rel=1e-6)
    assert after.ramp_up == pytest.approx(before.ramp_up * seconds / before.total_s, rel=1e-6)


def test_fewer_users_offer_a_smaller_rate(tmp_path: Path) -> None:
    """The rate of each user stays, so the whole rate follows the number of users."""
    assert plan_of(tmp_path, BASE).offered_rate == pytest.approx(10.0)
    plan = plan_of(tmp_path, BASE, users="4")
    assert plan.offered_rate == pytest.approx(4.0)
    assert isinstance(plan.load, OpenLoad)
    assert plan.load.profile.total == pytest.approx(10.0)


@pytest.mark.parametrize("users", ["0", "-1", "1.5", "ten", "", "1e3", "10 000", "٣x", "²"])
def test_bad_users_are_refused(tmp_path: Path, users: str) -> None:
    """Anything but a whole number from 1 is bad input, in one line that names the flag and the text."""
    with pytest.raises(InputError, match=r"^--users: must be a whole number of at least 1") as caught:
        plan_of(tmp_path, BASE, users=users)
    assert repr(users) in str(caught.value)


@pytest.mark.parametrize("seed", ["-1", "0.5", "x"])
def test_bad_seed_is_refused(tmp_path: Path, seed: str) -> None:
    """A seed is a whole number from 0."""
    with pytest.raises(InputError, match=r"^--seed: must be a whole number of at least 0"):
        plan_of(tmp_path, BASE, seed=seed)


def test_seed_zero_is_a_seed(tmp_path: Path) -> None:
    """Zero is a number like any other."""
    assert plan_of(tmp_path, BASE, seed="0").scenario.seed == 0


@pytest.mark.parametrize(
    ("duration", "words"), [("30", "is not a duration"), ("", "is not a duration"), ("0s", "longer than 0 s")]
)
def test_bad_duration_is_refused(tmp_path: Path, duration: str, words: str) -> None:
    """A duration needs a unit and a length."""
    with pytest.raises(InputError, match=f"^--duration: .*{words}"):
        plan_of(tmp_path, BASE, duration=duration)


def test_variable_is_named_when_it_was_the_variable(tmp_path: Path) -> None:
    """The error names what the user set: here the environment."""
    with pytest.raises(InputError, match=r"^LOADTEST_USERS: "):
        load_plan(write_scenario(tmp_path, BASE), overrides({}, {"LOADTEST_USERS": "none"}))


@pytest.mark.parametrize("host", ["staging", "ftp://x", "http://x/path", "http://"])
def test_bad_host_is_refused(tmp_path: Path, host: str) -> None:
    """A host is a scheme and an address."""
    with pytest.raises(InputError, match=r"^--host: ") as caught:
        plan_of(tmp_path, BASE, host=host)
    assert repr(host) in str(caught.value)


def test_only_the_override_at_fault_is_named(tmp_path: Path) -> None:
    """With several overrides, the error names the bad one and not its innocent neighbours."""
    with pytest.raises(InputError, match="--host") as caught:
        plan_of(tmp_path, BASE, users="5", seed="3", host="staging")
    assert "--users" not in str(caught.value)
    assert "--seed" not in str(caught.value)


def test_file_is_judged_before_the_overrides(tmp_path: Path) -> None:
    """A broken file is reported as the file's fault, whatever was overridden."""
    with pytest.raises(InputError, match=r"load\.users"):
        plan_of(tmp_path, changed("users = 10", "users = 0"), users="5")
