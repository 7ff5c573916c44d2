"""Plans: frozen, hashable, and the same after a journey through JSON."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from loadtests.errors import InputError
from loadtests.pacing.stream import ClosedLoad, OpenLoad, planned_stream
from loadtests.scenario.plan import Plan
from tests.unit.texts import BASE, changed, plan_of

RAMP = changed('"10s"', '"10s"\nramp_up = "2s"')
STAGES = changed('"10s"', '"10s"').replace(
    'duration = "10s"', 'stages = [{ duration = "2s", to = 1 }, { duration = "0s", to = 3 }, { duration = "4s", to = 3 }]'
)
FULL = (
    BASE
    + """\
scaled = { objective = "rate >= 9/s", scale_with = "users", target = "nine" }

[target]
host = "http://127.0.0.1:9"
timeout = "1500ms"

[auth]
mode = "mint"
subject = "u{user}"
ttl = "90s"

[health]
lateness_p99 = "33ms"
offered = "98.5%"

[tasks]
query = "SELECT 1"
deadline = "7s"

[probes]
processes = ["api"]

[probes.postgres]
db_connections = "SELECT 2"

[stack.env]
A = "1"
"""
)


def closed(text: str = BASE) -> str:
    """The closed form of a scenario."""
    return changed("users = 10", 'users = 10\nmodel = "closed"\nthink_time = ["1s", "2.5s"]', text)


@pytest.mark.parametrize("text", [BASE, RAMP, STAGES, FULL, closed()], ids=["base", "ramp", "stages", "full", "closed"])
def test_plan_round_trip(tmp_path: Path, text: str) -> None:
    """A plan sent to a worker or read from a manifest is the same plan with the same hash."""
    plan = plan_of(tmp_path, text, users="7")
    again = Plan.from_json(json.loads(json.dumps(plan.to_json())))
    assert again == plan
    assert again.hash == plan.hash
    assert again.load == plan.load
    assert again.parsed_objectives == plan.parsed_objectives


@pytest.mark.parametrize("duration", ["50us", "1us", "0.5ms", "99.5us", "123456789s"])
def test_any_duration_survives_the_round_trip(tmp_path: Path, duration: str) -> None:
    """Very short and very long durations are written so that they can be read again."""
    plan = plan_of(tmp_path, BASE + f'[health]\nlateness_p99 = "{duration}"\n')
    assert Plan.from_json(plan.to_json()).scenario.health.lateness_p99 == plan.scenario.health.lateness_p99


def test_hash_is_stable_and_sees_every_change(tmp_path: Path) -> None:
    """The same file gives the same hash; another seed, user, duration, host or objective another one."""
    same = {plan_of(tmp_path, BASE).hash for _ in range(3)}
    texts = [changed("200ms", "201ms"), changed("weight = 3", "weight = 2"), changed('"10s"', '"10s"\ndrain = "31s"')]
    others = [plan_of(tmp_path, text).hash for text in texts]
    others += [plan_of(tmp_path, BASE, **flag).hash for flag in ({"seed": "2"}, {"users": "9"}, {"host": "http://h"})]
    assert len(same) == 1
    assert len(same | set(others)) == 7
    assert all(len(one) == 64 and int(one, 16) for one in others)


def test_hash_does_not_depend_on_how_the_file_is_written(tmp_path: Path) -> None:
    """Comments, order of keys and spelling of a duration are no part of the plan."""
    other = changed('users = 10\nduration = "10s"', '# ten\nduration = "10000ms"\nusers = 10')
    assert plan_of(tmp_path, other).hash == plan_of(tmp_path, BASE).hash


def test_plan_is_frozen(tmp_path: Path) -> None:
    """Nothing is decided after the plan."""
    plan = plan_of(tmp_path)
    with pytest.raises(ValidationError, match="frozen"):
        plan.notes = ("changed",)
    with pytest.raises(ValidationError, match="frozen"):
        plan.scenario.load.users = 5


def test_ramp_climbs_from_zero(tmp_path: Path) -> None:
    """The rate of one user goes from 0 to full during the ramp and stays; the rate offered after it is the full one."""
    plan = plan_of(tmp_path, RAMP)
    assert isinstance(plan.load, OpenLoad)
    assert plan.load.profile.knots == ((0.0, 0.0), (2.0, 1.0), (10.0, 1.0))
    assert plan.load.profile.total == 9.0
    assert plan.steady_from_s == 2.0
    assert plan.offered_rate == pytest.approx(10.0)


def test_without_ramp_the_rate_is_full_at_once(tmp_path: Path) -> None:
    """No ramp is no first knot at zero."""
    load = plan_of(tmp_path).load
    assert isinstance(load, OpenLoad)
    assert load.profile.knots == ((0.0, 1.0), (10.0, 1.0))


def test_stages_are_knots(tmp_path: Path) -> None:
    """Stages go linearly to a multiple of the rate; one of no length is a jump."""
    plan = plan_of(tmp_path, changed("users = 10", "users = 10\nrate_per_user = 2", STAGES))
    assert isinstance(plan.load, OpenLoad)
    assert plan.load.profile.knots == ((0.0, 0.0), (2.0, 2.0), (2.0, 6.0), (6.0, 6.0))
    # 10 users, 2 + 24 turns each in 6 s.
    assert plan.offered_rate == pytest.approx(10 * 26 / 6)


def test_steps_and_waves_are_knots(tmp_path: Path) -> None:
    """`at` is a step from the stage's beginning; with `wave` the rate swings around it and ends where the sine does."""
    stages = (
        'stages = [{ duration = "2s", at = 2 }, { duration = "4s", to = 1 }, '
        '{ duration = "10s", at = 3, wave = { amplitude = 2, period = "10s" } }]'
    )
    plan = plan_of(tmp_path, changed('duration = "10s"', stages))
    load = plan.load
    assert isinstance(load, OpenLoad)
    rate = plan.scenario.load.rate_per_user
    shown = {time_s: load.profile.rate(time_s) / rate for time_s in (0.0, 1.9, 4.0, 6.0, 8.5, 13.5)}
    assert shown == pytest.approx({0.0: 2.0, 1.9: 2.0, 4.0: 1.5, 6.0: 3.0, 8.5: 5.0, 13.5: 1.0})
    assert load.profile.total / rate == pytest.approx(2 * 2 + 4 * 1.5 + 10 * 3)


def test_closed_plan_offers_no_rate(tmp_path: Path) -> None:
    """A closed model offers what the target permits, so it names no rate."""
    plan = plan_of(tmp_path, closed())
    assert plan.load == ClosedLoad(1.0, 2.5, 10.0)
    assert plan.offered_rate is None


def test_note_of_a_closed_plan_names_users_only(tmp_path: Path) -> None:
    """Where there is no rate, none is noted."""
    text = closed() + 'r = { objective = "rate >= 9/s", scale_with = "users" }\n'
    (note,) = plan_of(tmp_path, text, users="5").notes
    assert "plans 5 users," in note


def test_stream_hash_covers_seed_journeys_and_bodies(tmp_path: Path) -> None:
    """Equal hashes mean equal requests: digest, journeys and the bodies of the seed are all part of it."""
    plan = plan_of(tmp_path)
    assert isinstance(plan.load, OpenLoad)
    _, digest = planned_stream(plan.load, plan.mix, plan.scenario.seed, range(10))
    assert plan.stream_hash(digest) == plan_of(tmp_path).stream_hash(digest)
    assert plan.stream_hash(digest) != plan.stream_hash(digest + 1)
    assert plan.stream_hash(digest) != plan_of(tmp_path, seed="2").stream_hash(digest)
    swapped = BASE.replace("list_tasks", "x").replace("create_task", "list_tasks").replace('"x"', '"create_task"')
    assert plan.stream_hash(digest) != plan_of(tmp_path, swapped).stream_hash(digest)


def test_mix_follows_the_file(tmp_path: Path) -> None:
    """Weights are shares of the whole, in the file's order."""
    assert plan_of(tmp_path).mix.shares == (0.75, 0.25)


def test_journey_files_become_absolute(tmp_path: Path) -> None:
    """A worker in another folder finds the journeys of the scenario."""
    (tmp_path / "empty.py").write_text("")
    plan = plan_of(tmp_path, changed('name = "small"', 'name = "small"\njourneys = ["empty.py"]'))
    assert plan.scenario.journeys == (str(tmp_path.resolve() / "empty.py"),)


def test_journey_files_count_by_what_is_in_them(tmp_path: Path) -> None:
    """The same text elsewhere is the same plan, another text under the same name is not; a worker notices."""
    text = changed('name = "small"', 'name = "small"\njourneys = ["own.py"]')
    plans = []
    for folder, source in (("here", "A = 1"), ("there", "A = 1"), ("edited", "A = 2")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "own.py").write_text(source)
        plans.append(plan_of(tmp_path / folder, text))
    here, there, edited = plans
    assert here.hash == there.hash != edited.hash
    here.check_journeys()
    (tmp_path / "here" / "own.py").write_text("A = 2")
    with pytest.raises(InputError, match=r"own\.py: another file than that of the plan: copy it from"):
        here.check_journeys()


def test_another_stack_changes_nothing_else(tmp_path: Path) -> None:
    """The plan still knows its recording, its objectives and its notes."""
    plan = plan_of(tmp_path, FULL, users="5").model_copy(update={"recording": "12ab", "journeys": ("34cd",)})
    other = plan.with_stack("../other/backend/stack.toml")
    assert other.scenario.stack.definition == "../other/backend/stack.toml"
    assert (other.recording, other.journeys) == ("12ab", ("34cd",))
    assert (other.objectives, other.notes) == (plan.objectives, plan.notes)
