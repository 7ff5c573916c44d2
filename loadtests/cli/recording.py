"""The command that turns traffic that was recorded into a scenario."""

import argparse
import json
import shlex
from pathlib import Path

from loadtests.cli.commands import Commands
from loadtests.errors import InputError
from loadtests.exitcodes import ExitCode
from loadtests.scenario.load import find_scenario
from loadtests.scenario.replay import SUFFIX, Replay, Wishes, own_paths, read_data
from loadtests.traffic.access_log import STDIN, Reading, hits, open_log
from loadtests.traffic.tally import Tally, Wanted


def add_commands(commands: Commands) -> None:
    """`record`."""
    record = commands.add_parser("record", help="turn an nginx access log into a scenario that replays it")
    record.add_argument("log", help="in nginx's combined format or nginx.conf's own, also gzip; - for standard input")
    record.add_argument("-o", "--out", type=Path, required=True, metavar="FILE.toml", help="the scenario to write")
    record.add_argument("--exact", action="store_true", help="every request at its very moment, instead of the rate over time")
    record.add_argument("--like", metavar="NAME", help="a scenario to take target, auth, objectives, tasks and probes from")
    record.add_argument("--users", type=int, help="simulated users (default: as many as keep each below one request a second)")
    record.add_argument("--keep-ids", action="store_true", help="keep requests with ids in their paths, with samples of those")
    record.add_argument(
        "--body", default="{}", metavar="JSON", help="body for POST, PUT and PATCH, which no log has (default: {})"
    )
    record.add_argument("--force", action="store_true", help="replace files that are there")
    record.set_defaults(command=_record)


def _record(options: argparse.Namespace) -> ExitCode:
    out: Path = options.out
    _check(out, options)
    like = read_data(find_scenario(options.like)) if options.like else {}
    reading, tally = Reading(), Tally(Wanted(own_paths(like), options.keep_ids, options.exact))
    with open_log(options.log) as lines:
        for hit in hits(lines, reading):
            tally.add(hit)
    name = "standard input" if options.log == STDIN else options.log
    replay = Replay(name, reading, tally, Wishes(out, like, options.users, options.body))
    replay.write()
    for line in replay.account():
        print(line)
    print(f"Wrote {out}; replay it: loadtest run {shlex.quote(str(out))} (--speed 2 for twice as fast)")
    return ExitCode.PASS


def _check(out: Path, options: argparse.Namespace) -> None:
    if out.suffix != ".toml":
        raise InputError(f"--out {out}: a scenario's name ends in .toml")
    if options.users is not None and options.users < 1:
        raise InputError(f"--users: must be at least 1 (got {options.users})")
    try:
        json.loads(options.body.encode())
    except ValueError as error:
        raise InputError(f"--body: not valid JSON: {error}") from error
    files = [out, out.with_suffix(SUFFIX)] if options.exact else [out]
    if present := [str(file) for file in files if file.exists() and not options.force]:
        raise InputError(f"{', '.join(present)}: there already; take another name, or --force")
