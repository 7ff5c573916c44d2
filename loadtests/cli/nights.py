"""The command that spends a night: a suite, its history and its comparison."""

import argparse
from pathlib import Path

from rich.console import Console

from loadtests.cli.commands import Commands
from loadtests.errors import InputError
from loadtests.exitcodes import ExitCode
from loadtests.orchestrate.preflight import default_workers, usable_cores
from loadtests.orchestrate.run import Options
from loadtests.scenario.suite import find_suite, load_suite


def add_commands(commands: Commands) -> None:
    """`nightly`."""
    nightly = commands.add_parser("nightly", help="run a suite several times, compare it with the baseline, keep its history")
    nightly.add_argument("suite", nargs="?", default="nightly", help="name in suites/ or path (default: nightly)")
    nightly.add_argument(
        "--against", type=Path, default=None, metavar="CHECKOUT", help="run the stack of another checkout in turn"
    )
    nightly.add_argument("--accept", action="store_true", help="let this night be the baseline of those to come")
    nightly.add_argument("--rounds", type=int, default=None, help="how often every part is run (default: the suite's)")
    nightly.add_argument("--workers", type=int, default=None, help="worker processes (default: one for every two cores)")
    nightly.add_argument(
        "--servers", choices=["wheels", "system"], default="wheels", help="whose PostgreSQL and Redis to start"
    )
    nightly.add_argument("--out", type=Path, default=Path("results"), help="folder of results, history and baseline")
    nightly.add_argument("--plain", action="store_true", help="plain lines, as without a terminal")
    nightly.set_defaults(command=_nightly)


def _nightly(options: argparse.Namespace) -> ExitCode:
    # NumPy and SciPy take a third of a second and 50 MB, which `loadtest run` does not have to pay.
    from loadtests.orchestrate.nightly import Night, NightOptions  # noqa: PLC0415

    suite, plans = load_suite(find_suite(options.suite), usable_cores())
    for name, value in (("--rounds", options.rounds), ("--workers", options.workers)):
        if value is not None and value < 1:
            raise InputError(f"{name}: must be at least 1 (got {value})")
    if options.accept and options.against is not None:
        raise InputError("--accept: what is run --against another build is compared with that alone; leave out one of the two")
    if options.rounds is not None:
        suite = suite.model_copy(update={"rounds": options.rounds})
    workers = default_workers() if options.workers is None else options.workers
    how = Options(options.out, workers, "embedded", options.servers)
    console = Console(force_terminal=False if options.plain else None)
    return Night(suite, plans, NightOptions(how, options.against, options.accept), console).execute()
