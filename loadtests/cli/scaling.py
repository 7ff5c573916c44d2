"""Commands that answer on paper how far something scales: `usl` from measurements, `hpa` for a scenario's load.

What they need is imported when they run: numpy and scipy take a third of a second that no other command should pay.
"""

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from loadtests.cli.commands import Commands
from loadtests.errors import InputError
from loadtests.exitcodes import ExitCode
from loadtests.pacing.stream import OpenLoad
from loadtests.scenario.load import find_scenario, load_plan
from loadtests.scenario.plan import Plan
from loadtests.settings import overrides
from loadtests.traffic.journeys import REGISTRY
from loadtests.units import RATE_PER_S, RATIO, parse_duration, parse_quantity

if TYPE_CHECKING:
    from loadtests.capacity.autoscaling import Deployment
    from loadtests.capacity.hpa import Behavior

WATCHED = "10m"


def add_commands(commands: Commands) -> None:
    """`usl`, `hpa`."""
    usl = commands.add_parser(
        "usl", help="fit the Universal Scalability Law to measurements, and say how many units a rate takes"
    )
    usl.add_argument("points", nargs="+", metavar="N=X", help="throughput X measured with N units, or a file with two columns")
    usl.add_argument("--target", action="append", default=[], metavar="RATE", help="how many units would this rate take?")
    usl.add_argument("--unit", default="instances", help="what the units are called (default: instances)")
    usl.add_argument("--out", type=Path, default=None, metavar="FILE", help="write a page with a chart, e.g. usl.html")
    usl.set_defaults(command=_usl)

    hpa = commands.add_parser("hpa", help="simulate Kubernetes' autoscaler under the load of a scenario")
    hpa.add_argument("scenario", nargs="?", default="phase5", help="name in scenarios/ or path (default: phase5)")
    hpa.add_argument("--users", default=None, help="simulated users; the offered rate scales with them")
    hpa.add_argument("--duration", default=None, help="length of the load, e.g. 10m; ramps and stages stretch with it")
    hpa.add_argument("--capacity", required=True, metavar="RATE", help="requests/s of one pod at 100 %% of its requested CPU")
    hpa.add_argument("--target", default="60%", help="CPU utilisation that the autoscaler aims at (default: 60%%)")
    hpa.add_argument("--min", type=int, default=3, dest="least", metavar="PODS", help="fewest pods (default: 3)")
    hpa.add_argument("--max", type=int, default=20, dest="most", metavar="PODS", help="most pods (default: 20)")
    hpa.add_argument("--behavior", default="guide", help="guide (k8s/hpa.yaml), default (Kubernetes'), none, or a TOML file")
    hpa.add_argument("--startup", default="20s", help="from a decision to a pod that is ready (default: 20s)")
    hpa.add_argument("--after", default=WATCHED, help=f"how long to watch after the load (default: {WATCHED})")
    hpa.add_argument("--requests", type=float, default=1.0, metavar="N", help="requests of one turn of a user (default: 1)")
    hpa.add_argument("--out", type=Path, default=None, metavar="FILE", help="write a page with charts, e.g. hpa.html")
    hpa.set_defaults(command=_hpa)


def _usl(options: argparse.Namespace) -> ExitCode:
    from loadtests.capacity.reach import reach  # noqa: PLC0415 - see the module's docstring
    from loadtests.capacity.usl import fit  # noqa: PLC0415
    from loadtests.report.usl import HEADER, answer, notes, rows, usl_page  # noqa: PLC0415

    targets = [_positive("--target", text) for text in options.target]
    found = fit([point for text in options.points for point in _points(text)])
    answers = [reach(found, target) for target in targets]
    _print_table(HEADER, rows(found))
    for line in (*notes(found), *(answer(one, options.unit) for one in answers)):
        print(line)
    _write(options.out, lambda: usl_page(found, answers, options.unit))
    return ExitCode.PASS


def _hpa(options: argparse.Namespace) -> ExitCode:
    from loadtests.capacity.autoscaling import simulate  # noqa: PLC0415
    from loadtests.report.hpa import changes, hpa_page, rows  # noqa: PLC0415

    plan = load_plan(find_scenario(options.scenario), overrides({"users": options.users, "duration": options.duration}))
    if not isinstance(plan.load, OpenLoad):
        raise InputError(f"{plan.scenario.name}: no rate over time, but answers or a recording; take one with a rate")
    if not 0 < options.requests < 1000:
        raise InputError(f"--requests: must be above 0 and below 1000 (got {options.requests:g})")
    deployment = _deployment(options)
    per_turn, profile = plan.scenario.load.users * options.requests, plan.load.profile
    after_s = _parsed("--after", parse_duration, options.after)
    course = simulate(deployment, lambda time_s: per_turn * profile.rate(time_s), profile.duration_s + after_s)
    remarks = list(_remarks(plan, options.requests))
    _print_table(("", ""), rows(course))
    _print_table(("at", "pods", "load"), changes(course))
    for line in remarks:
        print(f"note: {line}")
    lead = (
        f"{plan.scenario.name}, {plan.scenario.load.users:,} users; {options.capacity} a pod, target {options.target}, "
        f"behaviour {options.behavior}, {options.startup} to start"
    )
    _write(options.out, lambda: hpa_page(course, "Pods under the autoscaler", lead, remarks))
    return ExitCode.PASS


def _deployment(options: argparse.Namespace) -> "Deployment":
    from loadtests.capacity.autoscaling import Deployment  # noqa: PLC0415

    try:
        return Deployment(
            capacity=_positive("--capacity", options.capacity),
            target=_parsed("--target", lambda text: parse_quantity(text, RATIO, "60%"), options.target),
            least=options.least,
            most=options.most,
            behavior=_behavior(options.behavior),
            startup_s=_parsed("--startup", parse_duration, options.startup),
        )
    except ValueError as error:
        raise InputError(f"hpa: {error}") from error


def _behavior(text: str) -> "Behavior | None":
    from loadtests.capacity.behavior import read_behavior  # noqa: PLC0415
    from loadtests.capacity.hpa import DEFAULT, GUIDE  # noqa: PLC0415

    known = {"guide": GUIDE, "default": DEFAULT, "none": None}
    return known[text] if text in known else read_behavior(Path(text))


def _remarks(plan: Plan, requests: float) -> Iterator[str]:
    """What a reader must know of how load became requests."""
    several = [share.journey for share in plan.scenario.mix if len(REGISTRY[share.journey].requests) > 1]
    if several and requests == 1.0:
        yield f"{', '.join(several)} may make more than one request a turn; one was taken (--requests says how many)"


def _points(text: str) -> Iterator[tuple[float, float]]:
    """One measurement `N=X`, or all of a file."""
    if "=" in text and not _is_file(text):
        units, _, rate = text.partition("=")
        yield _number(text, units), _number(text, rate.removesuffix("/s"))
        return
    try:
        lines = Path(text).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{text}: no measurement such as 2=1878, and no file with two columns ({error})") from error
    for number, line in enumerate(lines, start=1):
        fields = line.partition("#")[0].replace(",", " ").replace(";", " ").split()
        if not fields or (number == 1 and not any(field[0].isdigit() for field in fields)):
            continue  # empty, or the columns' names
        if len(fields) != 2:
            raise InputError(f"{text}:{number}: two columns are needed, units and throughput (got {len(fields)})")
        yield _number(f"{text}:{number}", fields[0]), _number(f"{text}:{number}", fields[1])


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except OSError:  # longer than a file's name may be
        return False


def _number(where: str, text: str) -> float:
    try:
        return parse_quantity(text, {"": 1.0}, "2=1878")
    except ValueError as error:
        raise InputError(f"{where}: {text!r} is not a number (write e.g. 2=1878)") from error


def _positive(flag: str, text: str) -> float:
    """A rate above 0, a second's where no unit says otherwise."""
    value = _parsed(flag, lambda given: parse_quantity(given, RATE_PER_S, "2100/s"), text if "/" in text else f"{text}/s")
    if value <= 0:
        raise InputError(f"{flag}: must be above 0 (got {text})")
    return value


def _parsed(flag: str, parse: Callable[[str], float], text: str) -> float:
    try:
        return parse(text)
    except ValueError as error:
        raise InputError(f"{flag}: {error}") from error


def _print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="dim", show_header=any(header))
    for name in header:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    if table.row_count:
        Console().print(table)


def _write(path: Path | None, html: Callable[[], str]) -> None:
    if path is None:
        return
    try:
        path.write_text(html(), encoding="utf-8")
    except OSError as error:
        raise InputError(f"--out {path}: {error.strerror or error}") from error
    print(f"page: {path}")
