"""`make bench-compare`: does the comparison of builds cry wolf, and does it see one endpoint that takes 15 % longer?

In each trial three builds are run in turn, round by round: A, the same again, and B, a copy of the stack in which a list keeps
the processor for 15 % longer than lists take on this machine. A against A must not be flagged, B against A must be, by a
figure of the lists. Trials know the noise of the trials before them, as nights do. Writes results/comparison.json; exit code 1
when more than one A/A is flagged, or fewer than nine in ten A/B.
"""

import argparse
import json
import math
import shutil
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.console import Console

from benchmarks.machine import describe
from benchmarks.stack_run import ROOT
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

    def run(self, definition: Path) -> tuple[Measured, float]:
        """One run's figures, and the mean service time of its lists in s."""
        outcome = Run(self._plan.with_stack(str(definition)), self._how, Console(quiet=True)).execute()
        lists = json.loads(outcome.folder.file("summary.json").read_text())["series"][ENDPOINT]
        measured = measures_of(outcome.folder)
        shutil.rmtree(outcome.folder.path)
        return measured, lists["service_time_ms"]["mean"] / 1e3


def trial(bench: Bench, other: Path, rounds: int, known: list[list[Measured]]) -> dict[str, Any]:
    """Rounds of A, A again and B, each of them first in its turn; what the comparison says of both pairs."""
    builds = {"a": bench.own, "again": bench.own, "b": other}
    runs: dict[str, list[Measured]] = {name: [] for name in builds}
    for round_ in range(rounds):
        order = list(builds)
        for name in order[round_ % 3 :] + order[: round_ % 3]:
            runs[name].append(bench.run(builds[name])[0])
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


def main() -> int:
    """Run and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--users", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=6.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-compare-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        bench = Bench(options.users, options.seconds, folder / "runs")
        takes_s = fmean(bench.run(bench.own)[1] for _ in range(3))
        other = planted(folder, LONGER * takes_s)
        print(f"lists take {takes_s * 1e3:.2f} ms; B's take {LONGER * takes_s * 1e3:.2f} ms longer", flush=True)
        trials: list[dict[str, Any]] = []
        known: list[list[Measured]] = []
        for number in range(1, options.trials + 1):
            trials.append(trial(bench, other, options.rounds, known))
            same, changed = (trials[-1][one]["regressions"] for one in ("same", "changed"))
            print(f"trial {number}: A/A {same or 'nothing'}; A/B {changed or 'nothing'}", flush=True)
    return report(options, takes_s, trials)


def report(options: argparse.Namespace, takes_s: float, trials: Sequence[dict[str, Any]]) -> int:
    """Write and print what came out."""
    cried = sum(bool(one["same"]["regressions"]) for one in trials)
    seen = sum(any(ENDPOINT in figure for figure in one["changed"]["regressions"]) for one in trials)
    head = {"made": datetime.now(UTC).isoformat(), "machine": describe(), "options": vars(options), "list_s": takes_s}
    found = {**head, "flagged_same": cried, "named_changed": seen, "trials": trials}
    RESULT.write_text(json.dumps(found, indent=1) + "\n")
    print(f"A/A: {cried} of {len(trials)} flagged; A/B with {LONGER:.0%} more: {seen} of {len(trials)} flagged and named")
    return int(cried > 1 or seen < math.ceil(0.9 * len(trials)))


if __name__ == "__main__":
    raise SystemExit(main())
