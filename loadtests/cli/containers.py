"""Commands for the stack in containers, and the choice between containers and processes of this machine."""

import argparse
import os
from pathlib import Path

from rich.console import Console

from loadtests.cli.commands import Commands
from loadtests.errors import InputError
from loadtests.exitcodes import ExitCode
from loadtests.orchestrate.compose import LOAD, METRICS, STACK, Project, compose_file, secrets_path, work_folder
from loadtests.orchestrate.compose_run import DEFINITION, Asked, ComposeRun, inside, stack_settings
from loadtests.orchestrate.definition import read_definition
from loadtests.orchestrate.engines import Engine, find_engine
from loadtests.orchestrate.preflight import default_workers
from loadtests.orchestrate.processes import ProcessManager
from loadtests.orchestrate.secrets_file import make_secrets
from loadtests.scenario.load import find_scenario
from loadtests.scenario.plan import Plan
from loadtests.settings import overrides

EVERYTHING = (*(name for group in (*STACK, *METRICS) for name in group), *LOAD)
ALONE = {
    "api_port": "--api-port: is the embedded stack's; HTTP_PORT=8001 is nginx's in containers",
    "remote_workers": "--remote-workers: workers join a run of this machine; in containers WORKERS says how many there are",
    "metrics_port": "--metrics-port: is of this machine, the master is in a container",
}
"""Options that mean nothing in containers, and why."""


def add_commands(commands: Commands) -> None:
    """`compose`."""
    compose = commands.add_parser("compose", help="bring the stack and the metrics up in containers, and take them down")
    compose.add_argument("action", choices=["env", "up", "down", "logs"])
    compose.add_argument("services", nargs="*", metavar="SERVICE", help="of docker-compose.yml (logs only; default: all)")
    compose.add_argument("--users", default="10000", help="users that the database has (up; default: 10000)")
    compose.add_argument("--volumes", action="store_true", help="metrics and dashboards' data too (down)")
    compose.set_defaults(command=_compose)


def chosen(options: argparse.Namespace, plan: Plan, console: Console) -> Engine | None:
    """The engine to run in, None to run on this machine; says which when nobody has asked for either.

    Raises InputError when containers are asked for and cannot be had.
    """
    if options.stack == "compose":
        asked = find_engine(os.environ)
        if trouble := against(options, plan):
            raise InputError(f"--stack compose: {trouble}")
        return asked
    if options.stack != "auto" or plan.scenario.target.host:
        return None
    trouble = against(options, plan)
    try:
        engine = None if trouble else find_engine(os.environ)
    except InputError as error:
        engine, trouble = None, str(error)
    which = f"compose, for {engine.program} answers" if engine else f"embedded, for {trouble}"
    console.print(f"stack: auto picks {which}", highlight=False, soft_wrap=True, markup=False)
    return engine


def run_in(engine: Engine, options: argparse.Namespace, plan: Plan, console: Console) -> ExitCode:
    """Run a plan in containers."""
    workers = default_workers() if options.workers is None else options.workers
    if workers < 1:
        raise InputError(f"--workers: must be at least 1 (got {workers})")
    given = {name: getattr(options, name) or None for name in ("users", "duration", "seed", "speed")}
    asked = Asked(find_scenario(options.scenario), workers, Path(options.out), overrides(given), options.influx)
    return ComposeRun(plan, asked, engine, console).execute()


def against(options: argparse.Namespace, plan: Plan) -> str | None:
    """Why this run cannot be one in containers."""
    scenario = plan.scenario
    for name, why in ALONE.items():
        if getattr(options, name):
            return why
    if options.servers != "wheels":
        return f"--servers {options.servers}: are of this machine"
    if scenario.target.host:
        return f"the target is {scenario.target.host} already; leave out one of the two"
    if scenario.faults:
        return f"scenario {scenario.name}: its faults harm processes of this machine"
    if scenario.stack.definition != DEFINITION:
        return f"scenario {scenario.name}: its stack is {scenario.stack.definition}, docker-compose.yml is {DEFINITION}"
    try:
        compose_file()
        inside(find_scenario(options.scenario))
    except InputError as error:
        return str(error).removeprefix("--stack compose: ")
    return None


def _compose(options: argparse.Namespace) -> ExitCode:
    compose_file()
    if options.action == "env":
        made = make_secrets(secrets_path())
        print(f"{secrets_path()}: {'written' if made else 'is there already, and stays as it is'}")
        return ExitCode.PASS
    engine = find_engine(os.environ)
    if not options.users.isdecimal():
        raise InputError(f"--users: must be a number (got {options.users!r})")
    if make_secrets(secrets_path()):
        print(f"{secrets_path()}: written")
    with work_folder() as logs, ProcessManager(logs) as processes:
        chosen = stack_settings(read_definition(Path(DEFINITION)), {})
        project = Project(engine, processes, {**os.environ, **chosen, "SEED_USERS": options.users})
        if options.action == "up":
            _up(project)
        elif options.action == "down":
            project.remove(EVERYTHING)
            if options.volumes:
                project.remove_kept()
        else:
            _logs(project, options.services)
    return ExitCode.PASS


def _up(project: Project) -> None:
    project.refuse_others()
    project.build("api", "nginx")
    project.bring_up((*STACK, *METRICS), print)
    http, grafana = (os.environ.get(name, port) for name, port in (("HTTP_PORT", "8000"), ("GRAFANA_PORT", "3000")))
    print(f"stack: http://127.0.0.1:{http}")
    print(f"Grafana: http://127.0.0.1:{grafana}, user admin, GRAFANA_PASSWORD of {secrets_path()}")


def _logs(project: Project, services: list[str]) -> None:
    for service in services or EVERYTHING:
        for container in project.containers(service):
            print(f"--- {service} {container[:12]}")
            print(project.log(container), end="")
