"""Steps of a capacity search: their plans, and what their runs say."""

from dataclasses import replace
from pathlib import Path

import pytest

from loadtests.capacity.search import Step
from loadtests.errors import InputError
from loadtests.orchestrate.ramp import bounds_of, line
from loadtests.orchestrate.run import Outcome
from loadtests.orchestrate.step import Stepper, limits_of, rate_of_one, result_of
from loadtests.report.found import Limit, StepResult
from loadtests.report.summary import summarise
from loadtests.scenario.schema import ObjectiveTable
from loadtests.store.records import append_lines
from tests.unit.rich_run import probe_line
from tests.unit.runs import TEXT, Sample, SyntheticRun, add_counts, complete, planned_samples, slower
from tests.unit.texts import RAMPED, changed, write_scenario

ASKING = changed(
    'fast = "response_time.p95 < 200ms"\n',
    """\
fast = "response_time.p95 < 200ms"
throughput = { objective = "rate >= 99% of 10/s", scale_with = "users" }
few = "db_connections.max < 100"
many = "db_connections.max >= 5"
tasks = "task_processing.p95 < 5s"
own = { objective = "failure_ratio < 1%", abort_on_fail = true, grace = "3s", window = "7s" }
""",
    RAMPED,
)
ASKING += '[tasks]\nquery = "SELECT 1"\n[probes.postgres]\ndb_connections = "SELECT 1"\n'
PROBES = '\n[probes]\nprocesses = ["api"]\n'


def stepper(tmp_path: Path, text: str) -> Stepper:
    """Of a scenario with this text, in steps of 8 s and plateaus of 40 s."""
    return Stepper(write_scenario(tmp_path, text), None, None, 8.0, 40.0)


def test_a_step_is_the_scenario_at_another_rate_and_length(tmp_path: Path) -> None:
    """Users for the rate, the ramp shortened in proportion, and limits that scale with the users."""
    plan = stepper(tmp_path, ASKING).plan(Step(250.0), per_user=1.0)
    load = plan.scenario.load
    assert (load.users, load.duration, load.ramp_up, plan.offered_rate) == (250, 8.0, 2.0, 250.0)
    assert plan.objectives["throughput"] == "rate >= 99 % of 250/s"
    plateau = stepper(tmp_path, ASKING).plan(Step(250.0, plateau=True), per_user=0.5).scenario.load
    assert (plateau.users, plateau.duration, plateau.ramp_up) == (500, 40.0, 10.0)


def test_a_search_can_be_deaf_to_the_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One on the command line follows what is exported; one of a suite is alike each night."""
    monkeypatch.setenv("LOADTEST_SEED", "77")
    monkeypatch.setenv("LOADTEST_USERS", "3")
    asked = stepper(tmp_path, ASKING)
    assert (asked.base().scenario.seed, asked.base().scenario.load.users) == (77, 3)
    deaf = replace(asked, environ={})
    assert (deaf.base().scenario.seed, deaf.base().scenario.load.users) == (1, 10)
    assert deaf.plan(Step(250.0), per_user=1.0).scenario.seed == 1


def test_live_objectives_end_a_step(tmp_path: Path) -> None:
    """After its ramp, over half of the rest; not rates and lower limits of gauges, nor what is known at the end only."""
    plan = stepper(tmp_path, ASKING).plan(Step(100.0), per_user=1.0)
    tables = {name: table for name, table in plan.scenario.objectives.items() if isinstance(table, ObjectiveTable)}
    ending = {name: (table.grace, table.window) for name, table in tables.items() if table.abort_on_fail}
    assert ending == {"fast": (2.0, 3.0), "few": (2.0, 3.0), "own": (3.0, 7.0)}


def test_the_environment_is_the_callers_to_choose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A suite's searches are alike on every night, whatever the shell exports; the command's own follow it."""
    monkeypatch.setenv("LOADTEST_USERS", "77")
    monkeypatch.setenv("LOADTEST_HOST", "http://127.0.0.1:9")
    told = stepper(tmp_path, RAMPED)
    assert (told.base().scenario.load.users, told.base().scenario.target.host) == (77, "http://127.0.0.1:9")
    alike = replace(told, environ={}).base().scenario
    assert (alike.load.users, alike.target.host) == (10, None)


def test_what_one_user_offers(tmp_path: Path) -> None:
    """At the full rate, whatever the ramp."""
    text = changed("users = 10", "users = 7\nrate_per_user = 0.3", RAMPED)
    assert rate_of_one(stepper(tmp_path, text).base()) == 0.3


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('duration = "20s"\nramp_up = "5s"', 'stages = [{ duration = "10s", to = 1 }]'),
        ('duration = "20s"\nramp_up = "5s"', 'duration = "20s"\nmodel = "closed"\nthink_time = ["1s", "3s"]'),
    ],
    ids=["stages", "closed"],
)
def test_a_load_without_one_rate_is_refused(tmp_path: Path, old: str, new: str) -> None:
    """In one line that says why."""
    with pytest.raises(InputError, match="a capacity search needs a load of one rate"):
        stepper(tmp_path, changed(old, new, RAMPED)).base()


def test_limits_of_the_curve(tmp_path: Path) -> None:
    """Percentiles of the response time of all requests, in milliseconds."""
    assert limits_of(stepper(tmp_path, ASKING).base()) == [Limit("fast", "p95", 200.0)]


def test_bounds_are_rates_of_whole_users() -> None:
    """And so are those that nobody gave."""
    bounds = bounds_of(101.0, None, None, 0.05, per_user=2.0)
    assert (bounds.start, bounds.lowest, bounds.highest, bounds.grain) == (100.0, 2.0, 40_000.0, 2.0)
    with pytest.raises(InputError, match="capacity: the rate to start at, 10/s, must be within 1/s and 5/s"):
        bounds_of(10.0, None, 5.0, 0.05, per_user=1.0)


def result(run: SyntheticRun, embedded: bool = False) -> StepResult:
    """What the run says as the first step of a search."""
    evidence, verdict = run.evidence(), run.verdict()
    outcome = Outcome(run.folder, verdict, summarise(evidence), verdict.exit_code)
    return result_of(1, Step(12.0), 10.0, outcome, embedded, run.folder.path.parent)


def test_a_run_that_passes(tmp_path: Path) -> None:
    """Its figures are those of all requests."""
    one = result(complete(SyntheticRun.create(tmp_path)))
    assert (one.passed, one.party, one.broke, one.why) == (True, None, None, "")
    assert one.latency_ms is not None and 40 < one.latency_ms["p50"] < one.latency_ms["p95"] < one.latency_ms["p99"] < 100
    assert one.achieved == pytest.approx(12.0, rel=0.1)
    assert line(one).startswith("  1  step") and line(one).endswith("PASS")


def test_a_run_that_fails_is_the_targets(tmp_path: Path) -> None:
    """And says what broke first."""
    run = SyntheticRun.create(tmp_path)
    one = result(complete(run, slower(planned_samples(run.plan), 10)))
    assert (one.passed, one.party) == (False, "target")
    assert one.broke is not None and one.broke.name == "fast"
    assert line(one).endswith("(asked: response_time.p95 < 200 ms)")


def late(run: SyntheticRun) -> list[Sample]:
    """Requests that the generator sent 300 ms after they were due."""
    return [replace(one, lateness_us=300_000) for one in planned_samples(run.plan)]


def test_a_run_without_a_request_has_no_times(tmp_path: Path) -> None:
    """As of one user whose first turn is not due before the end: nothing can be read off, so nobody was short."""
    run = SyntheticRun.create(tmp_path)
    run.start()
    run.final(0)
    run.final(1)
    run.stop()
    one = result(run)
    assert (one.passed, one.party, one.latency_ms, one.achieved) == (None, None, None, 0.0)
    assert "no answers" in line(one) and "lateness: no data" in one.why


@pytest.mark.parametrize(
    ("embedded", "machine", "party"),
    [(False, 0.99, "generator"), (True, 0.5, "generator"), (True, 0.99, "machine"), (False, 0.5, "generator")],
)
def test_a_late_generator_is_told_from_a_target(tmp_path: Path, embedded: bool, machine: float, party: str) -> None:
    """It is the machine that was short where stack and generator share one that is used up."""
    run = SyntheticRun.create(tmp_path, TEXT + PROBES)
    rounds = [probe_line(second + 0.5, ("machine_cpu", None, machine)) for second in range(10)]
    append_lines(run.folder.file("probes.jsonl"), rounds)
    one = result(complete(run, late(run)), embedded)
    assert (one.verdict, one.passed, one.party) == ("invalid", False, party)
    assert one.doubts == ["lateness: 300 ms (asked: lateness.p99 <= 50 ms)"]
    assert one.broke is None


@pytest.mark.parametrize(("waiting", "party"), [(20, "target"), (0, "generator")])
def test_turns_that_were_not_sent(tmp_path: Path, waiting: int, party: str) -> None:
    """Are the target's when their users still waited for it, else the generator's."""
    run = SyntheticRun.create(tmp_path)
    add_counts(run, 0, scheduled=20, dropped=20, waiting=waiting, waiting_users=min(waiting, 1))
    one = result(complete(run, planned_samples(run.plan)[:-20]))
    assert (one.verdict, one.passed, one.party) == ("invalid", False, party)
    assert one.doubts[0].startswith("offered: ")


def test_a_run_that_went_wrong_says_nothing(tmp_path: Path) -> None:
    """A worker that never reported its end is no reason to believe that the rate was too high."""
    run = SyntheticRun.create(tmp_path)
    run.start()
    run.play(planned_samples(run.plan))
    run.final(0)
    run.stop()
    one = result(run)
    assert (one.verdict, one.passed, one.party, one.broke) == ("invalid", None, None, None)
    assert "workers: " in one.why
