"""The command that says whether this machine can carry a load, before it is tried."""

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from loadtests.cli import containers
from loadtests.cli.commands import Commands, influx_options, plan_of, scenario_options
from loadtests.errors import InputError
from loadtests.exitcodes import ExitCode
from loadtests.orchestrate.doctor.examine import examine, exit_code, tally
from loadtests.orchestrate.doctor.facts import Facts, Need, Stack, need_of
from loadtests.orchestrate.doctor.installed import read_programs
from loadtests.orchestrate.doctor.metrics import ask_influx
from loadtests.orchestrate.doctor.reading import read_hardware, read_network
from loadtests.orchestrate.doctor.rows import Row
from loadtests.orchestrate.engines import wanted_engine
from loadtests.orchestrate.faults import fronted
from loadtests.orchestrate.preflight import default_workers
from loadtests.scenario.plan import Plan
from loadtests.sinks.address import address_of

STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red", "unknown": "dim"}


def add_commands(commands: Commands) -> None:
    """`doctor`."""
    doctor = commands.add_parser("doctor", help="check what a load needs of this machine, and say what to set")
    scenario_options(doctor)
    doctor.add_argument("--workers", type=int, default=None, help="worker processes (default: one for every two cores)")
    doctor.add_argument("--stack", choices=["auto", "embedded", "compose", "none"], default="auto")
    doctor.add_argument("--servers", choices=["wheels", "system"], default="wheels", help="whose PostgreSQL and Redis")
    doctor.add_argument("--out", type=Path, default=Path("results"), help="folder for the run's folder (default: results)")
    influx_options(doctor)
    doctor.add_argument("--json", action="store_true", help="the rows as JSON, for programs")
    # What else decides between containers and this machine; a doctor is not asked about it.
    doctor.set_defaults(command=_doctor, **dict.fromkeys(containers.ALONE))


def _doctor(options: argparse.Namespace) -> ExitCode:
    need = _need(options)
    influx = address_of(options.influx, options.influx_database, os.environ)
    hardware, programs = read_hardware(options.out), read_programs(options.servers)
    facts = Facts(read_network(), hardware, programs, ask_influx(influx) if influx else None)
    rows = examine(need, facts)
    if options.json:
        print(json.dumps({"need": asdict(need), "rows": [asdict(row) for row in rows]}, indent=2))
    else:
        _print(Console(), need, rows)
    return exit_code(rows)


def _need(options: argparse.Namespace) -> Need:
    plan = plan_of(options)
    workers = default_workers() if options.workers is None else options.workers
    if workers < 0:
        raise InputError(f"--workers: must not be negative (got {workers})")
    options.remote_workers = not workers  # then all are elsewhere
    stack = _stack(options, plan)
    return need_of(plan, workers, stack, options.servers, proxied=bool(fronted(plan.scenario.faults)))


def _stack(options: argparse.Namespace, plan: Plan) -> Stack:
    """What `loadtest run` would load with these options. Raises InputError when it would refuse them.

    An engine that does not answer is a row, though, and no bad input.
    """
    host = plan.scenario.target.host
    if options.stack == "auto":
        # On standard error: the output may be for a program.
        engine = containers.chosen(options, plan, Console(stderr=True))
        return "compose" if engine else "none" if host else "embedded"
    if options.stack == "compose":
        wanted_engine(os.environ)
        if options.remote_workers:
            raise InputError("--stack compose: --workers must be at least 1: in containers none join from elsewhere")
        if trouble := containers.against(options, plan):
            raise InputError(f"--stack compose: {trouble}")
        return "compose"
    if options.stack == "embedded" and host:
        raise InputError(f"--stack embedded: the target is {host} already; leave out one of the two")
    if options.stack == "none" and not host:
        raise InputError("--stack none: give --host, or target.host in the scenario")
    return "embedded" if options.stack == "embedded" else "none"


def _print(console: Console, need: Need, rows: Sequence[Row]) -> None:
    rate = "as the target answers" if need.rate is None else f"{need.rate:,.0f}/s"
    console.print(f"{need.users:,} users, {rate}, {need.workers} worker(s) here, stack: {need.stack}", highlight=False)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("", "", "is", "needed"):
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(Text(row.status, STYLES[row.status]), row.what, Text(row.found), row.needed)
    console.print(table)
    remedies = [row for row in rows if row.mend]
    for row in remedies:
        console.print(Text.assemble((row.status, STYLES[row.status]), f"  {row.what}: {row.mend}"), soft_wrap=True)
    console.print(tally(rows), highlight=False)
