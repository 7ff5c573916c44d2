"""Commands that carry a run's metrics to InfluxDB and Grafana."""

import argparse
import os
from pathlib import Path

from loadtests import settings
from loadtests.cli.commands import Commands, influx_options
from loadtests.errors import InputError
from loadtests.exitcodes import ExitCode
from loadtests.orchestrate.dashboards import annotate, provision
from loadtests.orchestrate.upload import upload
from loadtests.sinks.address import address_of
from loadtests.store.folder import open_folder
from loadtests.units import parse_duration


def add_commands(commands: Commands) -> None:
    """`upload`, `dashboards`, `annotate`."""
    parser = commands.add_parser("upload", help="deliver a run's metrics to InfluxDB, or what of them is not there yet")
    parser.add_argument("folder", type=Path)
    influx_options(parser)
    parser.add_argument("--follow", action="store_true", help="a run that is still being written, to its end")
    parser.add_argument("--within", default="60s", help="how long a server in trouble is waited for at the end (default: 60s)")
    parser.add_argument("--again", action="store_true", help="everything once more; points that are there stay the same")
    parser.set_defaults(command=_upload)

    pages = commands.add_parser("dashboards", help="put folder, datasource and dashboards into Grafana")
    pages.add_argument("--grafana", required=True, metavar="URL", help="e.g. http://127.0.0.1:3000")
    pages.add_argument("--influx", default=None, metavar="URL", help="InfluxDB as Grafana reaches it (default: as it is)")
    pages.add_argument("--influx-database", default=None, metavar="NAME", help="its database (default: loadtest)")
    pages.set_defaults(command=_dashboards)

    marks = commands.add_parser("annotate", help="mark a run and its missed objectives in Grafana")
    marks.add_argument("folder", type=Path)
    marks.add_argument("--grafana", required=True, metavar="URL", help="e.g. http://127.0.0.1:3000")
    marks.set_defaults(command=_annotate)


def _upload(options: argparse.Namespace) -> ExitCode:
    address = address_of(options.influx, options.influx_database, os.environ)
    if address is None:
        raise InputError(f"upload: no InfluxDB is named; give --influx URL, or set {settings.INFLUX_URL}")
    try:
        within_s = parse_duration(options.within)
    except ValueError as error:
        raise InputError(f"--within: {error}") from None
    print(upload(open_folder(options.folder), address, options.follow, within_s, options.again))
    return ExitCode.PASS


def _annotate(options: argparse.Namespace) -> ExitCode:
    made = annotate(options.grafana, os.environ, open_folder(options.folder))
    print(f"{made} new annotation(s) for {options.folder.name} in {options.grafana}")
    return ExitCode.PASS


def _dashboards(options: argparse.Namespace) -> ExitCode:
    for line in provision(options.grafana, os.environ, options.influx, options.influx_database):
        print(line)
    return ExitCode.PASS
