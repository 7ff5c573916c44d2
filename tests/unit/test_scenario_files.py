"""The scenarios that ship: each validates, and does the arithmetic that its comments promise."""

from pathlib import Path

import pytest

from loadtests.pacing.stream import ClosedLoad, OpenLoad
from loadtests.scenario.implicit import ALWAYS, FOREIGN
from loadtests.scenario.load import load_plan
from loadtests.scenario.plan import Plan
from loadtests.settings import overrides
from loadtests.traffic.journeys import REGISTRY

FOLDER = Path(__file__).parents[2] / "scenarios"
FILES = sorted(FOLDER.glob("*.toml"))


def shipped(name: str, **flags: str) -> Plan:
    """A scenario of the project under these flags."""
    return load_plan(FOLDER / f"{name}.toml", overrides(flags, {}))


def seconds_at(plan: Plan, rate: float) -> float:
    """How long the whole rate is at least this, to a tenth of a second."""
    assert isinstance(plan.load, OpenLoad)
    profile, users = plan.load.profile, plan.scenario.load.users
    steps = range(round(profile.duration_s * 10))
    return sum(users * profile.rate((step + 0.5) / 10) >= rate for step in steps) / 10


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_scenario_validates(file: Path) -> None:
    """Each file is a plan without any override, is named after its file and says what it is for."""
    plan = load_plan(file)
    assert plan.scenario.name == file.stem
    assert plan.scenario.description
    assert plan.notes == ()
    assert Plan.from_json(plan.to_json()) == plan


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_scenario_can_be_made_small(file: Path) -> None:
    """Every scenario runs with two users for five seconds: the rate of each user stays."""
    plan = load_plan(file, overrides({"users": "2", "duration": "5s"}, {}))
    assert plan.scenario.load.total_s == pytest.approx(5)
    assert plan.scenario.load.users == 2
    before = load_plan(file)
    if plan.offered_rate is not None and before.offered_rate is not None:
        per_user = before.offered_rate / before.scenario.load.users
        assert plan.offered_rate / 2 == pytest.approx(per_user, rel=1e-6)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_scenario_speaks_of_its_own_requests(file: Path) -> None:
    """Journeys of the mix are registered, and every objective parses under the scenario's probes."""
    plan = load_plan(file)
    assert all(share.journey in REGISTRY for share in plan.scenario.mix)
    implicit = {*ALWAYS, FOREIGN}
    assert plan.parsed_objectives.keys() == plan.scenario.objectives.keys() | implicit > implicit


def test_there_are_scenarios() -> None:
    """The tests above are not green because the folder is empty."""
    assert {"phase5", "smoke", "spike", "soak", "classic", "refresh-storm"} <= {file.stem for file in FILES}


def test_phase5_offers_ten_thousand_a_second() -> None:
    """10,000 users at one request a second each offer 10,000 req/s after the ramp."""
    plan = shipped("phase5")
    assert plan.scenario.load.users == 10_000
    assert plan.offered_rate == pytest.approx(10_000)
    assert plan.parsed_objectives["throughput"].limit == 10_000
    assert plan.parsed_objectives["concurrent_users"].limit == 10_000


def test_phase5_keeps_a_thousand_tasks_in_progress() -> None:
    """A quarter of the requests create tasks; at the stack's mean duration Little's law gives 1,000 in progress."""
    plan = shipped("phase5")
    creates = dict(zip((share.journey for share in plan.scenario.mix), plan.mix.shares, strict=True))["create_task"]
    assert creates == 0.25
    assert plan.offered_rate is not None
    duration_s = float(plan.scenario.stack.env["TASK_DURATION_MEAN_S"])
    assert plan.offered_rate * creates * duration_s == pytest.approx(1000)
    assert plan.parsed_objectives["concurrent_tasks"].limit == 1000


def test_phase5_targets_are_the_guides() -> None:
    """p95 < 200 ms, p99 < 500 ms, 30 s per task, fewer than 100 connections, less than 2 GB, less than 70 % CPU."""
    asked = shipped("phase5").parsed_objectives
    targets = {
        "response_p95": 0.2,
        "response_p99": 0.5,
        "task_processing": 30,
        "db_connections": 100,
        "memory": 2e9,
        "cpu": 0.7,
    }
    assert {name: asked[name].threshold for name in targets} == pytest.approx(targets)
    assert {asked[name].comparison for name in targets} == {"<"}


def test_phase5_scales_with_users() -> None:
    """A run with 300 users asks for a thirty-third and says which promises it cannot judge."""
    plan = shipped("phase5", users="300")
    assert plan.offered_rate == pytest.approx(300)
    assert plan.parsed_objectives["throughput"].limit == pytest.approx(300)
    assert plan.parsed_objectives["concurrent_tasks"].limit == pytest.approx(30)
    assert plan.parsed_objectives["concurrent_users"].limit == pytest.approx(300)
    assert plan.parsed_objectives["db_connections"].limit == 100
    (note,) = plan.notes
    assert "10,000 req/s" in note
    assert "300 users at 300 req/s" in note


def test_refresh_storm_is_one() -> None:
    """2,000 guests; tokens live 20 s, all are renewed together, twice within the load; no request of the mix may fail."""
    plan = shipped("refresh-storm")
    auth, asked = plan.scenario.auth, plan.parsed_objectives
    assert (plan.scenario.load.users, auth.mode, auth.renewals) == (2000, "guest", "together")
    life_s = float(plan.scenario.stack.env["ACCESS_TOKEN_TTL_S"])
    assert plan.scenario.load.total_s // (life_s - auth.refresh_before) == 2
    assert {asked[name].selector for name in asked if asked[name].threshold == 0} >= {"list_tasks", "create_task"}


def test_spike_is_four_times_as_much_for_ten_seconds() -> None:
    """Quiet is 100 req/s; the spike is 400 req/s for ten seconds."""
    plan = shipped("spike")
    assert isinstance(plan.load, OpenLoad)
    users = plan.scenario.load.users
    assert users * plan.load.profile.rate(10) == pytest.approx(100)
    assert users * plan.load.profile.rate(25) == pytest.approx(400)
    assert seconds_at(plan, 399.99) == pytest.approx(10)
    assert users * plan.load.profile.rate(plan.load.profile.duration_s - 1) == pytest.approx(100)


def test_soak_lasts_an_hour_and_outlives_its_tokens() -> None:
    """An hour of traffic at 100 req/s, in which every token expires several times."""
    scenario = shipped("soak").scenario
    assert scenario.load.total_s == 3600
    assert scenario.load.users * scenario.load.rate_per_user == 100
    assert scenario.load.total_s / scenario.auth.ttl >= 5


def test_classic_is_a_closed_model_of_about_five_hundred_a_second() -> None:
    """1,000 users who think two seconds in the mean ask 500 times a second when answers take no time."""
    plan = shipped("classic")
    assert isinstance(plan.load, ClosedLoad)
    assert plan.scenario.load.users / ((plan.load.think_min_s + plan.load.think_max_s) / 2) == 500
    assert plan.offered_rate is None


def test_smoke_is_quick() -> None:
    """A smoke test takes seconds, drain and deadline included less than a minute."""
    scenario = shipped("smoke").scenario
    assert scenario.tasks is not None
    assert scenario.load.total_s + scenario.load.drain + scenario.tasks.deadline < 60
    assert scenario.auth.mode == "guest"
