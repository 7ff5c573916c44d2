"""The command that brings workers of this machine to a run of another."""

import argparse
import os

from loadtests.cli.commands import Commands
from loadtests.exitcodes import ExitCode
from loadtests.orchestrate.gathering import DEFAULT_WAIT_S, MASTER_PORT
from loadtests.orchestrate.joining import Joining, address_of


def add_commands(commands: Commands) -> None:
    """`worker`."""
    worker = commands.add_parser("worker", help="join a run of another machine, which was started with --remote-workers")
    help_ = f"where the run waits for workers (port: {MASTER_PORT} if none is given)"
    worker.add_argument("--master", required=True, metavar="HOST[:PORT]", help=help_)
    worker.add_argument("--processes", type=int, default=1, metavar="N", help="workers to bring (default: 1)")
    wait = f"longest time for the master to answer (default: {DEFAULT_WAIT_S})"
    worker.add_argument("--wait", type=float, default=float(DEFAULT_WAIT_S), metavar="SECONDS", help=wait)
    worker.set_defaults(command=_worker)


def _worker(options: argparse.Namespace) -> ExitCode:
    host, port = address_of(options.master)
    return Joining(host, port, options.processes, options.wait, os.environ).execute()
