"""`make bench-compare`: does the comparison of builds cry wolf, and does it see one endpoint that takes 15 % longer?

In each trial three builds are run in turn, round by round: A, the same again, and B, a copy of the stack in which a list keeps
the processor for so long that lists take 15 % longer, which is found out before (others wait for what one keeps, so it is less
than 15 % of a list's time). A against A must not be flagged, B against A must be, by a figure of the lists. Trials know the
noise of the trials before them, as nights do. Writes results/comparison.json; exit code 1 when more than one A/A is
flagged, or fewer than nine in ten A/B.
"""

import argparse
import json
import math
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.console import Console

from benchmarks.machine import describe
from benchmarks.stack_run import ROOT
from loadtests.exitcodes import ExitCode
from loadtests.orchestrate.preflight import default_workers
from loadtests.orchestrate.run import Options, Run
from loadtests.report.comparable import JUDGES
from loadtests.report.compare import Comparison, compare
from loadtests.report.measures import measures_of
from loadtests.scenario.load import load_plan
from loadtests.settings import Overrides
from loadtests.store.measured import YARDSTICK, Measured

RESULT = Path(__file__).parent / "results" / "comparison.json"
LONGER = 0.15
ENDPOINT = "list_tasks"
FIGURE = f"service_time({ENDPOINT}).p50"
TRIED, ATTEMPTS = 5, 3
"""Pairs of runs in each attempt to find out how long B's lists must take, and the attempts."""
SIDES = ("a", "again", "b")
PLACE = "    # The outermost, so it sees what the others do.\n"
PLANTED = """    app = _Slower(app)
"""
SLOWER = '''

class _Slower:
    """Lists keep the processor for {extra_s!r} s longer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "http" and scope["method"] == "GET" and scope["path"] == "/api/v1/tasks":
            import time

            until = time.perf_counter() + {extra_s!r}
            while time.perf_counter() < until:
                pass
        await self._app(scope, receive, send)
'''


def planted(folder: Path, extra_s: float) -> Path:
    """The definition of a copy of the stack whose lists take `extra_s` longer."""
    copy = folder / "backend"
    shutil.copytree(ROOT / "backend", copy, ignore=shutil.ignore_patterns(".venv", "__pycache__", "tests", ".*_cache"))
    (copy / ".venv").symlink_to(ROOT / "backend" / ".venv")
    shutil.copy(ROOT / "nginx.conf", folder / "nginx.conf")
    main = copy / "app" / "main.py"
    text = main.read_text()
    if PLACE not in text:
        raise SystemExit(f"{main}: has no place to plant a slower list in")
    main.write_text(text.replace(PLACE, PLANTED + PLACE) + SLOWER.format(extra_s=extra_s))
    return copy / "stack.toml"


class Bench:
    """Runs of one scenario on builds of the stack."""

    def __init__(self, users: int, seconds: float, folder: Path) -> None:
        flags = {"users": str(users), "duration": f"{seconds:g}s"}
        self._plan = load_plan(ROOT / "scenarios" / "phase5.toml", Overrides(**flags, sources=dict(flags)))
        self._how = Options(folder, default_workers(), "embedded", "wheels")
        self.own = Path(self._plan.scenario.stack.definition)

    def run(self, definition: Path) -> Measured:
        """One run's figures."""
        outcome = Run(self._plan.with_stack(str(definition)), self._how, Console(quiet=True)).execute()
        if outcome.exit_code is ExitCode.INTERRUPTED:
            raise SystemExit(int(ExitCode.INTERRUPTED))
        measured = measures_of(outcome.folder)
        shutil.rmtree(outcome.folder.path)
        return measured


def calibrated(bench: Bench, folder: Path) -> tuple[Path, float]:
    """The definition of B, and how long its lists keep the processor, in s."""
    extra_s = LONGER / 2 * fmean(bench.run(bench.own).values[FIGURE] for _ in range(3))
    found: list[tuple[float, float]] = []
    for attempt in range(ATTEMPTS):
        other = planted(folder / f"attempt-{attempt}", extra_s)
        pairs = [(bench.run(bench.own).values[FIGURE], bench.run(other).values[FIGURE]) for _ in range(TRIED)]
        found.append((extra_s, fmean(math.log(b / a) for a, b in pairs)))
        print(
            f"lists that keep the processor for {extra_s * 1e3:.3f} ms take {math.expm1(found[-1][1]):.1%} longer", flush=True
        )
        extra_s = wait_for(found)
    return planted(folder / "b", extra_s), extra_s


def wait_for(found: Sequence[tuple[float, float]]) -> float:
    """The wait that makes lists LONGER, from each attempt's wait and log of how much longer: least squares through 0. In s."""
    per_s = sum(wait * longer for wait, longer in found) / sum(wait * wait for wait, _ in found)
    last = found[-1][0]
    # An attempt of pure noise does not lead anywhere far.
    return min(max(math.log1p(LONGER) / per_s, last * 0.3), last * 3) if per_s > 0 else last * 3


def trial(bench: Bench, other: Path, rounds: int, known: list[list[Measured]]) -> dict[str, Any]:
    """Rounds of A, A again and B, each of them first in its turn; what the comparison says of both pairs."""
    builds = dict(zip(SIDES, (bench.own, bench.own, other), strict=True))
    runs: dict[str, list[Measured]] = {name: [] for name in builds}
    for round_ in range(rounds):
        order = list(builds)
        for name in order[round_ % 3 :] + order[: round_ % 3]:
            runs[name].append(bench.run(builds[name]))
    same = compare(runs["a"], runs["again"], True, known)
    changed = compare(runs["a"], runs["b"], True, known)
    known.extend([runs["a"], runs["again"]])
    values = {name: [_kept(run) for run in side] for name, side in runs.items()}
    return {"same": _told(same), "changed": _told(changed), "values": values}


def _kept(run: Measured) -> dict[str, float]:
    """What judges, and the yardstick, so that the trial can be judged again."""
    return {name: round(value, 9) for name, value in run.values.items() if JUDGES.fullmatch(name) or name == YARDSTICK}


def _told(one: Comparison) -> dict[str, Any]:
    rows = {row.figure: row for row in one.rows}
    shown = {
        name: [None if value is None else round(value, 4) for value in (row.effect, row.low, row.high, row.noise)]
        for name, row in rows.items()
        if row.judges and row.relative
    }
    return {"regressions": [row.figure for row in one.regressions], "effect_low_high_noise": shown}


def at_longer(trials: Sequence[dict[str, Any]], longer: float) -> int:
    """How many trials flag and name B's lists with these scaled from `longer`, as they were, to LONGER; all else as it was."""
    known: list[list[Measured]] = []
    named = 0
    for number, one in enumerate(trials):
        a, again, b = (
            [_again(f"{number}-{name}-{turn}", run) for turn, run in enumerate(one["values"][name])] for name in SIDES
        )
        scaled = [_scaled(run, (1 + LONGER) / (1 + longer)) for run in b]
        named += any(ENDPOINT in row.figure for row in compare(a, scaled, True, known).regressions)
        known.extend([a, again])
    return named


def _again(name: str, values: dict[str, float]) -> Measured:
    return Measured(name, "phase5", None, "", "pass", {}, values)


def _scaled(run: Measured, factor: float) -> Measured:
    return replace(run, values={name: value * factor if ENDPOINT in name else value for name, value in run.values.items()})


def main() -> int:
    """Run and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--users", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=8.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-compare-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        bench = Bench(options.users, options.seconds, folder / "runs")
        other, extra_s = calibrated(bench, folder)
        print(f"B's lists keep the processor for {extra_s * 1e3:.3f} ms", flush=True)
        trials: list[dict[str, Any]] = []
        known: list[list[Measured]] = []
        for number in range(1, options.trials + 1):
            trials.append(trial(bench, other, options.rounds, known))
            same, changed = (trials[-1][one]["regressions"] for one in ("same", "changed"))
            print(f"trial {number}: A/A {same or 'nothing'}; A/B {changed or 'nothing'}", flush=True)
    return report(options, extra_s, trials)


def report(options: argparse.Namespace, extra_s: float, trials: Sequence[dict[str, Any]]) -> int:
    """Write and print what came out."""
    cried = sum(bool(one["same"]["regressions"]) for one in trials)
    seen = sum(any(ENDPOINT in figure for figure in one["changed"]["regressions"]) for one in trials)
    head = {"made": datetime.now(UTC).isoformat(), "machine": describe(), "options": vars(options), "extra_s": extra_s}
    effects = [math.log1p(one["changed"]["effect_low_high_noise"][FIGURE][0]) for one in trials]
    longer = math.expm1(fmean(effects))
    exact = at_longer(trials, longer)
    named = {"named_changed": seen, "longer": round(longer, 4), f"named_at_{LONGER:g}": exact}
    found = {**head, "flagged_same": cried, **named, "trials": trials}
    RESULT.write_text(json.dumps(found, indent=1) + "\n")
    print(f"A/A: {cried} of {len(trials)} flagged")
    print(f"A/B, lists {longer:.1%} longer over all trials: {seen} of {len(trials)} flagged and named")
    print(f"The same with B's lists scaled to {LONGER:.0%} longer: {exact} of {len(trials)}")
    return int(cried > 1 or seen < math.ceil(0.9 * len(trials)))


if __name__ == "__main__":
    raise SystemExit(main())
