"""Commands that judge what was run."""

import argparse
import sys
from pathlib import Path

from rich.console import Console

from loadtests.cli.commands import Commands
from loadtests.exitcodes import ExitCode
from loadtests.report.evidence import Evidence, readable
from loadtests.report.summary import summarise
from loadtests.report.terminal import print_verdict
from loadtests.report.verdict import judge
from loadtests.report.write import write_report
from loadtests.store.folder import open_folder
from loadtests.store.records import read_json


def add_commands(commands: Commands) -> None:
    """`verdict`."""
    verdict = commands.add_parser("verdict", help="judge a run again, from its files")
    verdict.add_argument("folder", type=Path)
    verdict.set_defaults(command=_verdict)


def _verdict(options: argparse.Namespace) -> ExitCode:
    folder = open_folder(options.folder)
    stored = folder.file("verdict.json")
    if not stored.exists():
        verdict, summary = write_report(folder)
    else:
        with readable(folder):
            evidence = Evidence.of(folder)
            verdict, summary = judge(evidence), summarise(evidence)
        if verdict.to_json() != read_json(stored):
            print(f"loadtest: {stored} says something else than the run's files", file=sys.stderr)
    print_verdict(Console(), verdict, summary, str(options.folder))
    return verdict.exit_code
