"""Commands that run a scenario, or say what it would do."""

import argparse
from pathlib import Path

from rich.console import Console

from loadtests.cli import containers
from loadtests.cli.commands import Commands, crowd_options, how, how_options, plan_of, scenario_options
from loadtests.errors import NotReadyError, Problem, ScenarioError
from loadtests.exitcodes import ExitCode
from loadtests.orchestrate.gathering import Crowd
from loadtests.orchestrate.run import Run
from loadtests.pacing.stream import ClosedLoad, planned_stream
from loadtests.scenario.load import load_plan


def add_commands(commands: Commands) -> None:
    """`run`, `validate`, `plan`."""
    run = commands.add_parser("run", help="run a scenario and judge it")
    scenario_options(run)
    how_options(run)
    crowd_options(run)
    run.set_defaults(command=_run)

    validate = commands.add_parser("validate", help="check scenario files and report every error of every file")
    validate.add_argument("files", nargs="+")
    validate.set_defaults(command=_validate)

    plan = commands.add_parser("plan", help="say what a scenario would offer, and the hash of its stream")
    scenario_options(plan)
    plan.set_defaults(command=_plan)


def _run(options: argparse.Namespace) -> ExitCode:
    plan = plan_of(options)
    console = Console(force_terminal=False if options.plain else None)
    engine = containers.chosen(options, plan, console)
    if engine is not None:
        try:
            return containers.run_in(engine, options, plan, console)
        except NotReadyError as error:  # images that cannot be pulled, say: who has not asked for containers need not have them
            if options.stack != "auto":
                raise
            console.print(
                f"stack: embedded after all, for the containers did not come up: {error}", highlight=False, soft_wrap=True
            )
    crowd = Crowd(options.remote_workers, options.bind, options.master_port, options.wait)
    return Run(plan, how(options, plan, crowd), console).execute().exit_code


def _validate(options: argparse.Namespace) -> ExitCode:
    problems: list[Problem] = []
    for file in options.files:
        try:
            load_plan(Path(file))
        except ScenarioError as error:
            problems.extend(error.problems)
    for problem in problems:
        print(problem)
    if problems:
        return ExitCode.BAD_INPUT
    print(f"{len(options.files)} scenario(s) valid")
    return ExitCode.PASS


def _plan(options: argparse.Namespace) -> ExitCode:
    plan = plan_of(options)
    load = plan.scenario.load
    print(f"scenario   {plan.scenario.name}: {plan.scenario.description}")
    print(f"plan       {plan.hash}")
    print(f"users      {load.users:,} for {load.total_s:g} s, {load.model} model, seed {plan.scenario.seed}")
    if not isinstance(plan.load, ClosedLoad):
        turns, digest = planned_stream(plan.load, plan.mix, plan.scenario.seed, range(load.users))
        print(f"offered    {plan.offered_rate:,.1f}/s after the ramp, {turns:,} turns in all ({load.arrivals} arrivals)")
        print(f"stream     {plan.stream_hash(digest)}")
    for share, part in zip(plan.scenario.mix, plan.mix.shares, strict=True):
        print(f"mix        {share.journey} {part * 100:.1f} %")
    for fault in plan.scenario.faults:
        which = "" if fault.instance is None else f"-{fault.instance}"
        print(f"fault      at {fault.at:g} s: {fault.kind} {fault.service}{which}")
    for name, objective in plan.objectives.items():
        print(f"objective  {name}: {objective}")
    for note in plan.notes:
        print(f"note       {note}")
    return ExitCode.PASS
