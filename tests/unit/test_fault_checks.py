"""Faults that cannot be carried out are found before anything starts, and a plan keeps them within its load."""

from pathlib import Path

import pytest

from loadtests.errors import InputError, ScenarioError
from loadtests.exitcodes import ExitCode
from loadtests.orchestrate.faults import check_faults, fronted
from loadtests.scenario.plan import Plan
from tests.unit.texts import BASE, plan_of, problems_of

STACK = """
python = "python"

[servers]
postgres = "db"

[defaults]
API_INSTANCES = "$HALF_THE_CORES"

[[services]]
name = "api"
instances = "$API_INSTANCES"
port = 8000
command = ["api"]

[[services]]
name = "worker"
command = ["worker"]

[[services]]
name = "front"
port = 8000
command = ["front"]
"""


def plan_with(tmp_path: Path, *faults: str, **flags: str) -> Plan:
    """A plan with these faults for a stack of two api instances."""
    definition = tmp_path / "stack.toml"
    definition.write_text(STACK)
    tables = "".join(f"\n[[faults]]\n{fault}\n" for fault in faults)
    stack = f"\n[stack]\ndefinition = '{definition}'\nenv = {{ API_INSTANCES = '2' }}\n"
    return plan_of(tmp_path, BASE + tables + stack, **flags)


def test_possible_faults_pass(tmp_path: Path) -> None:
    """Servers, services and their instances may be harmed, and the target may be slow."""
    plan = plan_with(
        tmp_path,
        'at = "0s"\nservice = "postgres"\nkind = "restart"',
        'at = "1s"\nservice = "api"\nkind = "reset"\nshare = "10%"\nlasts = "1s"\ninstance = 2',
        'at = "9.9s"\nservice = "target"\nkind = "slow"\ndelay = "1ms"\nlasts = "1s"\ninstance = 1',
    )
    check_faults(plan, embedded=True)
    assert fronted(plan.scenario.faults) == {"api", "target"}


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (
            'service = "redis"\nkind = "kill"',
            "faults[0].service: the stack has no 'redis' (there are: postgres, api, worker, front, target)",
        ),
        ('service = "api"\nkind = "kill"\ninstance = 3', "faults[0].instance: 'api' has 2 instance(s) (got 3)"),
        (
            'service = "worker"\nkind = "slow"\ndelay = "1s"\nlasts = "1s"',
            "faults[0].service: 'worker' has no port, so nothing can stand in front of it to be 'slow'",
        ),
        (
            'service = "target"\nkind = "slow"\ndelay = "1s"\nlasts = "1s"\ninstance = 2',
            "faults[0].instance: 'target' has 1 instance(s) (got 2)",
        ),
    ],
)
def test_what_the_stack_does_not_have_cannot_be_harmed(tmp_path: Path, fault: str, says: str) -> None:
    """One line with the place in the scenario, what is wrong and what there is."""
    with pytest.raises(ScenarioError) as caught:
        check_faults(plan_with(tmp_path, f'at = "1s"\n{fault}'), embedded=True)
    assert str(caught.value) == f"scenario small: {says}"
    assert caught.value.exit_code is ExitCode.BAD_INPUT


def test_somebody_else_s_stack_is_not_harmed(tmp_path: Path) -> None:
    """With a host that was given, nothing starts."""
    plan = plan_with(tmp_path, 'at = "1s"\nservice = "api"\nkind = "kill"', host="http://127.0.0.1:1")
    with pytest.raises(InputError, match=r"scenario small: its faults harm a stack that the run itself starts"):
        check_faults(plan, embedded=False)


def test_a_fault_after_the_load_is_a_problem_of_the_file(tmp_path: Path) -> None:
    """It would never begin."""
    (problem,) = problems_of(tmp_path, BASE + '\n[[faults]]\nat = "10s"\nservice = "api"\nkind = "kill"\n')
    assert problem.key == "faults[0].at"
    assert problem.message == "10.0s is not before the end of the load, 10.0s after its start"


@pytest.mark.parametrize(("duration", "at_s"), [("5s", 2.5), ("1m", 30.0)])
def test_another_duration_moves_the_faults(tmp_path: Path, duration: str, at_s: float) -> None:
    """They begin at the same share of the load; how long they last is their own."""
    plan = plan_with(tmp_path, 'at = "5s"\nservice = "api"\nkind = "freeze"\nlasts = "2s"', duration=duration)
    (fault,) = plan.scenario.faults
    assert (fault.at, fault.lasts) == (at_s, 2.0)
    assert fault.at < plan.scenario.load.total_s
