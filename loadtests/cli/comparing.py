"""Commands that compare runs."""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from loadtests.cli.commands import Commands
from loadtests.errors import InputError
from loadtests.exitcodes import ExitCode
from loadtests.report.comparable import in_turns
from loadtests.report.measures import measures_of, runs_under
from loadtests.store.history import History, read_history
from loadtests.store.measured import differences
from loadtests.store.records import write_text
from loadtests.units import RATIO, parse_quantity

if TYPE_CHECKING:
    from loadtests.report.compare import Comparison


def add_commands(commands: Commands) -> None:
    """`compare`."""
    compare = commands.add_parser("compare", help="say whether one build's runs are slower than another's")
    compare.add_argument("baseline", type=Path, help="a run's folder, or a folder that holds some")
    compare.add_argument("candidate", type=Path, help="likewise")
    compare.add_argument("--least", default="5%", metavar="SHARE", help="least change that is flagged (default: 5%%)")
    compare.add_argument("--history", type=Path, default=None, metavar="FILE", help="earlier nights, to know the noise better")
    compare.add_argument(
        "--across", action="append", default=[], metavar="KEY", help="a condition that may differ, e.g. workers"
    )
    compare.add_argument(
        "--out", type=Path, default=None, metavar="FILE", help="write Markdown for a pull request, or a page: x.html"
    )
    compare.add_argument("--json", action="store_true", help="print JSON instead of a table")
    compare.set_defaults(command=_compare)


def _compare(options: argparse.Namespace) -> ExitCode:
    # NumPy and SciPy take a third of a second and 50 MB, which `loadtest run` does not have to pay.
    from loadtests.report.compare_page import compare_page  # noqa: PLC0415
    from loadtests.report.compare_text import markdown, print_comparison  # noqa: PLC0415

    if options.out is not None and not options.out.parent.is_dir():
        raise InputError(f"--out {options.out}: there is no folder {options.out.parent}")
    comparison = _comparison(options)
    if options.out is not None:
        written = compare_page if options.out.suffix == ".html" else markdown
        write_text(options.out, written(comparison))
    if options.json:
        print(json.dumps(comparison.to_json(), indent=2))
    else:
        print_comparison(Console(), comparison)
    return comparison.exit_code


def _comparison(options: argparse.Namespace) -> "Comparison":
    from loadtests.report.compare import compare  # noqa: PLC0415
    from loadtests.report.within import effects_within  # noqa: PLC0415

    least = _least(options.least)
    folders = [runs_under(path) for path in (options.baseline, options.candidate)]
    baseline, candidate = ([measures_of(folder) for folder in side] for side in folders)
    if options.history is not None and not options.history.is_file():
        raise InputError(f"--history {options.history}: no such file")
    history = History(()) if options.history is None else read_history(options.history)
    single = len(baseline) == len(candidate) == 1 and not differences(baseline[0], candidate[0], options.across)
    within = effects_within(folders[0][0], folders[1][0]) if single else {}
    turns = in_turns(baseline, candidate)
    comparison = compare(baseline, candidate, turns, history.groups(), least, options.across, within)
    return replace(comparison, notes=[*history.notes, *comparison.notes])


def _least(text: str) -> float:
    try:
        value = parse_quantity(text, RATIO, "5%")
    except ValueError as error:
        raise InputError(f"--least: {error}") from None
    if not 0 <= value <= 1:
        raise InputError(f"--least: must be 0 to 100 % (got {text!r})")
    return value
