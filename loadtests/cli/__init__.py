"""`loadtest`: the command line. One place where an error becomes a line and an exit code."""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence

from loadtests import __version__
from loadtests.cli import (
    comparing,
    containers,
    doctoring,
    joining,
    judging,
    metrics,
    nights,
    ramping,
    recording,
    running,
    scaling,
    servers,
)
from loadtests.errors import LoadtestError
from loadtests.exitcodes import ExitCode

GROUPS = (running, joining, ramping, nights, recording, judging, comparing, scaling, metrics, servers, containers, doctoring)
"""Modules with commands, in the order in which `--help` lists them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code. User errors are one line each on standard error, never a traceback."""
    options = parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return int(command(options))
    except LoadtestError as error:
        print(f"loadtest: {error}", file=sys.stderr)
        return int(error.exit_code)
    except KeyboardInterrupt:
        print("loadtest: interrupted", file=sys.stderr)
        return int(ExitCode.INTERRUPTED)
    except BrokenPipeError:  # whoever read the output has seen enough of it; what is left has nowhere to go
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE


def parser() -> argparse.ArgumentParser:
    """Everything that the command line knows."""
    known = argparse.ArgumentParser(prog="loadtest", description=__doc__.splitlines()[0] if __doc__ else None)
    known.add_argument("--version", action="version", version=f"loadtest {__version__}")
    commands = known.add_subparsers(metavar="COMMAND", required=True)
    for group in GROUPS:
        group.add_commands(commands)
    return known
