"""The command that searches for the highest rate that a target can take."""

import argparse
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from loadtests.cli.commands import Commands, how, how_options
from loadtests.errors import InputError
from loadtests.exitcodes import ExitCode
from loadtests.orchestrate.definition import WITHOUT, read_definition
from loadtests.orchestrate.ramp import Ramp, bounds_of
from loadtests.orchestrate.step import Stepper, rate_of_one
from loadtests.report.screen import printable
from loadtests.scenario.load import find_scenario
from loadtests.scenario.plan import Plan
from loadtests.units import RATE_PER_S, RATIO, parse_duration, parse_quantity


def add_commands(commands: Commands) -> None:
    """`capacity`."""
    parser = commands.add_parser("capacity", help="search for the highest rate that meets all objectives")
    parser.add_argument("scenario", nargs="?", default="capacity", help="name in scenarios/ or path (default: capacity)")
    parser.add_argument("--seed", default=None)
    parser.add_argument("--host", default=None, help="target to load instead of the stack, e.g. http://127.0.0.1:8000")
    how_options(parser)
    parser.add_argument("--start", default=None, metavar="RATE", help="first rate, e.g. 500/s (default: the scenario's)")
    parser.add_argument("--lowest", default=None, metavar="RATE", help="give up below (default: a sixty-fourth of the start)")
    parser.add_argument("--highest", default=None, metavar="RATE", help="try no more than this (default: 20,000 users' worth)")
    parser.add_argument("--precision", default="5%", help="how near to the truth (default: 5%%)")
    parser.add_argument(
        "--tries", type=int, default=3, help="how often a rate must fail before it counts as failed (default: 3)"
    )
    parser.add_argument("--step", default="15s", help="length of each load, its ramp included (default: 15s)")
    parser.add_argument("--plateau", default="45s", help="length of the one that confirms the answer (default: 45s)")
    parser.add_argument(
        "--env", action="append", default=[], metavar="NAME=VALUE", help="a setting of the stack, e.g. API_INSTANCES=2"
    )
    parser.add_argument("--json", action="store_true", help="print capacity.json; the steps go to standard error")
    parser.set_defaults(command=_capacity)


def _capacity(options: argparse.Namespace) -> ExitCode:
    lengths = (_duration("--step", options.step), _duration("--plateau", options.plateau))
    stepper = Stepper(find_scenario(options.scenario), options.seed, options.host, *lengths)
    plan = stepper.base()
    carried_out = how(options, plan)
    chosen = _settings(options.env)
    if carried_out.stack == "embedded":
        _check_settings(chosen, plan)
    elif chosen:
        raise InputError("--env: settings are those of a stack that this command starts; the target is up already")
    os.environ.update(chosen)
    per_user = rate_of_one(plan)
    start = _rate("--start", options.start)
    start = plan.scenario.load.users * per_user if start is None else start
    lowest, highest = _rate("--lowest", options.lowest), _rate("--highest", options.highest)
    bounds = bounds_of(start, lowest, highest, _precision(options.precision), per_user, options.tries)
    console = Console(stderr=options.json, force_terminal=False if options.plain else None)
    ramp = Ramp(stepper, bounds, carried_out, chosen, lambda text: _tell(console, text))
    try:
        return ramp.execute()
    finally:
        _conclude(ramp, console, options.json)


def _conclude(ramp: Ramp, console: Console, as_json: bool) -> None:
    """What is known, and where it stands."""
    for sentence in ramp.found.sentences():
        _tell(console, sentence)
    page = ramp.folder / "capacity.html"
    _tell(console, str(page if page.exists() else ramp.folder))
    if as_json:
        print(json.dumps(ramp.found.to_json(), indent=2, ensure_ascii=False))


def _tell(console: Console, text: str) -> None:
    console.print(Text(printable(text)), soft_wrap=True)


def _duration(flag: str, text: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise InputError(f"{flag}: {error}") from None
    if seconds < 1:
        raise InputError(f"{flag}: must be at least 1 s (got {text!r})")
    return seconds


def _rate(flag: str, text: str | None) -> float | None:
    try:
        rate = None if text is None else parse_quantity(text, RATE_PER_S, "500/s")
    except ValueError as error:
        raise InputError(f"{flag}: {error}") from None
    if rate is not None and rate <= 0:
        raise InputError(f"{flag}: must be above 0 (got {text!r})")
    return rate


def _precision(text: str) -> float:
    try:
        precision = parse_quantity(text, RATIO, "5%")
    except ValueError as error:
        raise InputError(f"--precision: {error}") from None
    if not 0 < precision <= 1:
        raise InputError(f"--precision: must be above 0 % and not above 100 % (got {text!r})")
    return precision


def _settings(pairs: Sequence[str]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        match = re.fullmatch(r"([A-Za-z_]\w*)=(.*)", pair, re.DOTALL)
        if match is None:
            raise InputError(f"--env: must be NAME=VALUE, such as API_INSTANCES=2 (got {pair!r})")
        found[match[1]] = match[2]
    return found


def _check_settings(chosen: Mapping[str, str], plan: Plan) -> None:
    """What the stack would not look at is a mistake."""
    stack = plan.scenario.stack
    known = {*read_definition(Path(stack.definition)).defaults, *stack.env, WITHOUT}
    if unknown := sorted(set(chosen) - known):
        raise InputError(
            f"--env: {', '.join(unknown)}: no setting of {stack.definition} (there are: {', '.join(sorted(known))})"
        )
