"""`loadtest`: the command line. One place where an error becomes a line and an exit code."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from loadtests import __version__, settings
from loadtests.errors import InputError, LoadtestError, Problem, ScenarioError
from loadtests.exitcodes import ExitCode
from loadtests.orchestrate.dashboards import annotate, provision
from loadtests.orchestrate.embedded import EmbeddedStack
from loadtests.orchestrate.preflight import default_workers
from loadtests.orchestrate.processes import ProcessManager
from loadtests.orchestrate.run import Options, Run
from loadtests.orchestrate.upload import upload
from loadtests.pacing.stream import OpenLoad, planned_stream
from loadtests.report.evidence import Evidence, readable
from loadtests.report.summary import summarise
from loadtests.report.terminal import print_verdict
from loadtests.report.verdict import judge
from loadtests.report.write import write_report
from loadtests.scenario.load import find_scenario, load_plan
from loadtests.scenario.plan import Plan
from loadtests.settings import overrides
from loadtests.sinks.address import address_of
from loadtests.store.folder import open_folder
from loadtests.store.records import read_json
from loadtests.units import parse_duration


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code. User errors are one line each on standard error, never a traceback."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return int(command(options))
    except LoadtestError as error:
        print(f"loadtest: {error}", file=sys.stderr)
        return int(error.exit_code)
    except KeyboardInterrupt:
        print("loadtest: interrupted", file=sys.stderr)
        return int(ExitCode.INTERRUPTED)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="loadtest", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--version", action="version", version=f"loadtest {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    run = commands.add_parser("run", help="run a scenario and judge it")
    _scenario_options(run)
    run.add_argument("--workers", type=int, default=None, help="worker processes (default: one for every two cores)")
    run.add_argument("--stack", choices=["auto", "embedded", "compose", "none"], default="auto")
    run.add_argument("--servers", choices=["wheels", "system"], default="wheels", help="whose PostgreSQL and Redis to start")
    run.add_argument("--api-port", type=int, default=None, help="port of the stack's API (default: 8000 or any free one)")
    run.add_argument("--metrics-port", default=None, help="port of 127.0.0.1 where Prometheus finds /metrics (default: none)")
    run.add_argument("--out", default="results", help="folder for the run's folder (default: results)")
    _influx_options(run)
    run.add_argument("--plain", action="store_true", help="plain lines, as without a terminal")
    run.set_defaults(command=_run)

    validate = commands.add_parser("validate", help="check scenario files and report every error of every file")
    validate.add_argument("files", nargs="+")
    validate.set_defaults(command=_validate)

    plan = commands.add_parser("plan", help="say what a scenario would offer, and the hash of its stream")
    _scenario_options(plan)
    plan.set_defaults(command=_plan)

    verdict = commands.add_parser("verdict", help="judge a run again, from its files")
    verdict.add_argument("folder", type=Path)
    verdict.set_defaults(command=_verdict)

    _metrics_commands(commands)

    servers = commands.add_parser("servers", help="start the stack's servers and run a command with its settings")
    servers.add_argument("--servers", choices=["wheels", "system"], default="wheels")
    servers.add_argument("--definition", type=Path, default=Path("backend/stack.toml"))
    servers.add_argument("--cwd", type=Path, default=None, help="folder to run the command in")
    servers.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- COMMAND ...")
    servers.set_defaults(command=_servers)
    return parser


def _metrics_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    upload = commands.add_parser("upload", help="deliver a run's metrics to InfluxDB, or what of them is not there yet")
    upload.add_argument("folder", type=Path)
    _influx_options(upload)
    upload.add_argument("--follow", action="store_true", help="a run that is still being written, to its end")
    upload.add_argument("--within", default="60s", help="how long a server in trouble is waited for at the end (default: 60s)")
    upload.add_argument("--again", action="store_true", help="everything once more; points that are there stay the same")
    upload.set_defaults(command=_upload)

    dashboards = commands.add_parser("dashboards", help="put folder, datasource and dashboards into Grafana")
    dashboards.add_argument("--grafana", required=True, metavar="URL", help="e.g. http://127.0.0.1:3000")
    dashboards.add_argument("--influx", default=None, metavar="URL", help="InfluxDB as Grafana reaches it (default: as it is)")
    dashboards.add_argument("--influx-database", default=None, metavar="NAME", help="its database (default: loadtest)")
    dashboards.set_defaults(command=_dashboards)

    annotate = commands.add_parser("annotate", help="mark a run and its missed objectives in Grafana")
    annotate.add_argument("folder", type=Path)
    annotate.add_argument("--grafana", required=True, metavar="URL", help="e.g. http://127.0.0.1:3000")
    annotate.set_defaults(command=_annotate)


def _scenario_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("scenario", nargs="?", default="phase5", help="name in scenarios/ or path (default: phase5)")
    parser.add_argument("--users", default=None, help="simulated users; the offered rate scales with them")
    parser.add_argument("--duration", default=None, help="length of the load, e.g. 30s; ramps and stages stretch with it")
    parser.add_argument("--seed", default=None)
    parser.add_argument("--host", default=None, help="target to load instead of the stack, e.g. http://127.0.0.1:8000")


def _influx_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--influx", default=None, metavar="URL", help="InfluxDB for the metrics, e.g. http://127.0.0.1:8086")
    parser.add_argument("--influx-database", default=None, metavar="NAME", help="its database or bucket (default: loadtest)")


def _load(options: argparse.Namespace) -> Plan:
    flags = {name: getattr(options, name) or None for name in ("users", "duration", "seed", "host")}
    return load_plan(find_scenario(options.scenario), overrides(flags))


def _run(options: argparse.Namespace) -> ExitCode:
    plan = _load(options)
    workers = default_workers() if options.workers is None else options.workers
    if workers < 1:
        raise InputError(f"--workers: must be at least 1 (got {workers})")
    host = plan.scenario.target.host
    stack = options.stack
    if stack == "auto":
        stack = "none" if host else "embedded"
    if stack == "compose":
        raise InputError("--stack compose: this version brings the stack up embedded only (--stack embedded)")
    if stack == "none" and host is None:
        raise InputError("--stack none: give --host, or target.host in the scenario")
    if stack == "embedded" and host is not None:
        raise InputError(f"--stack embedded: the target is {host} already; leave out one of the two")
    console = Console(force_terminal=False if options.plain else None)
    influx = address_of(options.influx, options.influx_database, os.environ)
    ports = (options.api_port, _metrics_port(options))
    how = Options(Path(options.out), workers, stack, options.servers, *ports, influx)
    return Run(plan, how, console).execute()


def _metrics_port(options: argparse.Namespace) -> int:
    """The flag wins over the environment; 0 for none."""
    source, text = "--metrics-port", options.metrics_port
    if text is None:
        source, text = settings.METRICS_PORT, os.environ.get(settings.METRICS_PORT) or "0"
    if not (text.isascii() and text.isdigit() and len(text) < 6 and int(text) < 2**16):
        raise InputError(f"{source}: must be a port, 1 to 65535, or 0 for none (got {text!r})")
    return int(text)


def _validate(options: argparse.Namespace) -> ExitCode:
    problems: list[Problem] = []
    for file in options.files:
        try:
            load_plan(Path(file))
        except ScenarioError as error:
            problems.extend(error.problems)
    for problem in problems:
        print(problem)
    if problems:
        return ExitCode.BAD_INPUT
    print(f"{len(options.files)} scenario(s) valid")
    return ExitCode.PASS


def _plan(options: argparse.Namespace) -> ExitCode:
    plan = _load(options)
    load = plan.scenario.load
    print(f"scenario   {plan.scenario.name}: {plan.scenario.description}")
    print(f"plan       {plan.hash}")
    print(f"users      {load.users:,} for {load.total_s:g} s, {load.model} model, seed {plan.scenario.seed}")
    if isinstance(plan.load, OpenLoad):
        turns, digest = planned_stream(plan.load, plan.mix, plan.scenario.seed, range(load.users))
        print(f"offered    {plan.offered_rate:,.1f}/s after the ramp, {turns:,} turns in all ({plan.load.process} arrivals)")
        print(f"stream     {plan.stream_hash(digest)}")
    for share, part in zip(plan.scenario.mix, plan.mix.shares, strict=True):
        print(f"mix        {share.journey} {part * 100:.1f} %")
    for fault in plan.scenario.faults:
        which = "" if fault.instance is None else f"-{fault.instance}"
        print(f"fault      at {fault.at:g} s: {fault.kind} {fault.service}{which}")
    for name, objective in plan.objectives.items():
        print(f"objective  {name}: {objective}")
    for note in plan.notes:
        print(f"note       {note}")
    return ExitCode.PASS


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


def _servers(options: argparse.Namespace) -> int:
    command = options.argv[1:] if options.argv[:1] == ["--"] else options.argv
    if not command:
        raise InputError("servers: give a command after --")
    with TemporaryDirectory(prefix="loadtest-logs-") as logs, ProcessManager(Path(logs)) as processes:
        processes.guardian.remove(Path(logs))
        stack = EmbeddedStack(processes, options.definition, options.servers, None).up(1, {}, services=False)
        return processes.attend(command, env=stack.env, cwd=options.cwd)
