"""The command that starts the stack's servers alone."""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from loadtests.cli.commands import Commands
from loadtests.errors import InputError
from loadtests.orchestrate.embedded import EmbeddedStack
from loadtests.orchestrate.processes import ProcessManager


def add_commands(commands: Commands) -> None:
    """`servers`."""
    servers = commands.add_parser("servers", help="start the stack's servers and run a command with its settings")
    servers.add_argument("--servers", choices=["wheels", "system"], default="wheels")
    servers.add_argument("--definition", type=Path, default=Path("backend/stack.toml"))
    servers.add_argument("--cwd", type=Path, default=None, help="folder to run the command in")
    servers.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- COMMAND ...")
    servers.set_defaults(command=_servers)


def _servers(options: argparse.Namespace) -> int:
    command = options.argv[1:] if options.argv[:1] == ["--"] else options.argv
    if not command:
        raise InputError("servers: give a command after --")
    with TemporaryDirectory(prefix="loadtest-logs-") as logs, ProcessManager(Path(logs)) as processes:
        processes.guardian.remove(Path(logs))
        stack = EmbeddedStack(processes, options.definition, options.servers, None).up(1, {}, services=False)
        return processes.attend(command, env=stack.env, cwd=options.cwd)
