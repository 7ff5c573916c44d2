"""The command that says whether this machine can carry a load, before it is tried."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from loadtests.cli.commands import Commands, plan_of, scenario_options
from loadtests.errors import InputError
from loadtests.exitcodes import ExitCode
from loadtests.orchestrate.doctor.examine import examine, exit_code, tally
from loadtests.orchestrate.doctor.facts import Facts, Need, need_of
from loadtests.orchestrate.doctor.installed import read_programs
from loadtests.orchestrate.doctor.reading import read_hardware, read_network
from loadtests.orchestrate.doctor.rows import Row
from loadtests.orchestrate.faults import fronted
from loadtests.orchestrate.preflight import default_workers

STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red", "unknown": "dim"}


def add_commands(commands: Commands) -> None:
    """`doctor`."""
    doctor = commands.add_parser("doctor", help="check what a load needs of this machine, and say what to set")
    scenario_options(doctor)
    doctor.add_argument("--workers", type=int, default=None, help="worker processes (default: one for every two cores)")
    doctor.add_argument("--stack", choices=["auto", "embedded", "compose", "none"], default="auto")
    doctor.add_argument("--servers", choices=["wheels", "system"], default="wheels", help="whose PostgreSQL and Redis")
    doctor.add_argument("--out", type=Path, default=Path("results"), help="folder for the run's folder (default: results)")
    doctor.add_argument("--json", action="store_true", help="the rows as JSON, for programs")
    doctor.set_defaults(command=_doctor)


def _doctor(options: argparse.Namespace) -> ExitCode:
    need = _need(options)
    facts = Facts(read_network(), read_hardware(options.out), read_programs(options.servers))
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
    stack = options.stack
    if stack == "auto":
        stack = "none" if plan.scenario.target.host else "embedded"
    return need_of(plan, workers, stack, options.servers, proxied=bool(fronted(plan.scenario.faults)))


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
