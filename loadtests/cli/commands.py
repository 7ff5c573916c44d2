"""What the modules with commands share."""

import argparse
import os
from pathlib import Path
from typing import TypeAlias

from loadtests import settings
from loadtests.errors import InputError
from loadtests.orchestrate.gathering import DEFAULT_WAIT_S, LOCAL, MASTER_PORT, NOBODY, Crowd
from loadtests.orchestrate.preflight import default_workers
from loadtests.orchestrate.run import Options
from loadtests.scenario.load import find_scenario, load_plan
from loadtests.scenario.plan import Plan
from loadtests.settings import overrides
from loadtests.sinks.address import address_of

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def scenario_options(parser: argparse.ArgumentParser) -> None:
    """Which scenario, and what of it is another way this time."""
    target_options(parser, "phase5")
    parser.add_argument("--users", default=None, help="simulated users; the offered rate scales with them")
    parser.add_argument("--duration", default=None, help="length of the load, e.g. 30s; ramps and stages stretch with it")


def target_options(parser: argparse.ArgumentParser, scenario: str) -> None:
    """Those of them that leave the size of the load alone."""
    parser.add_argument("scenario", nargs="?", default=scenario, help=f"name in scenarios/ or path (default: {scenario})")
    parser.add_argument("--seed", default=None)
    parser.add_argument("--speed", default=None, help="time runs so many times as fast: shorter, at a higher rate")
    parser.add_argument("--host", default=None, help="target to load instead of the stack, e.g. http://127.0.0.1:8000")


def how_options(parser: argparse.ArgumentParser) -> None:
    """How a run is carried out; none of it changes what is offered."""
    parser.add_argument("--workers", type=int, default=None, help="worker processes (default: one for every two cores)")
    parser.add_argument("--stack", choices=["auto", "embedded", "compose", "none"], default="auto")
    parser.add_argument("--servers", choices=["wheels", "system"], default="wheels", help="whose PostgreSQL and Redis to start")
    parser.add_argument("--api-port", type=int, default=None, help="port of the stack's API (default: 8000 or any free one)")
    parser.add_argument(
        "--metrics-port", default=None, help="port of 127.0.0.1 where Prometheus finds /metrics (default: none)"
    )
    parser.add_argument("--out", default="results", help="folder for the run's folder (default: results)")
    influx_options(parser)
    parser.add_argument("--plain", action="store_true", help="plain lines, as without a terminal")


def crowd_options(parser: argparse.ArgumentParser) -> None:
    """Workers that join from other machines; see `loadtest worker`."""
    parser.add_argument("--remote-workers", type=int, default=0, metavar="M", help="so many join from elsewhere (default: 0)")
    parser.add_argument("--bind", default=LOCAL, metavar="ADDRESS", help=f"where the master awaits them (default: {LOCAL})")
    ports = f"port of the master, exactly this one (default: {MASTER_PORT} or any free one)"
    parser.add_argument("--master-port", type=int, default=None, metavar="PORT", help=ports)
    wait = f"longest time for all workers to join (default: {DEFAULT_WAIT_S})"
    parser.add_argument("--wait", type=int, default=DEFAULT_WAIT_S, metavar="SECONDS", help=wait)


def influx_options(parser: argparse.ArgumentParser) -> None:
    """Where metrics go."""
    parser.add_argument("--influx", default=None, metavar="URL", help="InfluxDB for the metrics, e.g. http://127.0.0.1:8086")
    parser.add_argument("--influx-database", default=None, metavar="NAME", help="its database or bucket (default: loadtest)")


def plan_of(options: argparse.Namespace) -> Plan:
    """The plan of `scenario_options`. Raises ScenarioError and InputError."""
    flags = {name: getattr(options, name) or None for name in ("users", "duration", "seed", "host", "speed")}
    return load_plan(find_scenario(options.scenario), overrides(flags))


def how(options: argparse.Namespace, plan: Plan, crowd: Crowd = NOBODY) -> Options:
    """What `how_options` say of this plan. Raises InputError for what does not go together."""
    workers = default_workers() if options.workers is None else options.workers
    least = 0 if crowd.remote else 1
    if workers < least:
        raise InputError(f"--workers: must be at least {least} (got {workers})")
    host = plan.scenario.target.host
    stack = options.stack
    if stack == "auto":
        stack = "none" if host else "embedded"
    if stack == "compose":
        raise InputError("--stack compose: this command brings the stack up embedded only (--stack embedded)")
    if stack == "none" and host is None:
        raise InputError("--stack none: give --host, or target.host in the scenario")
    if stack == "embedded" and host is not None:
        raise InputError(f"--stack embedded: the target is {host} already; leave out one of the two")
    crowd.check(stack)
    influx = address_of(options.influx, options.influx_database, os.environ)
    ports = (options.api_port, metrics_port(options))
    return Options(Path(options.out), workers, stack, options.servers, *ports, influx, crowd)


def metrics_port(options: argparse.Namespace) -> int:
    """The flag wins over the environment; 0 for none."""
    source, text = "--metrics-port", options.metrics_port
    if text is None:
        source, text = settings.METRICS_PORT, os.environ.get(settings.METRICS_PORT) or "0"
    if not (text.isascii() and text.isdigit() and len(text) < 6 and int(text) < 2**16):
        raise InputError(f"{source}: must be a port, 1 to 65535, or 0 for none (got {text!r})")
    return int(text)
