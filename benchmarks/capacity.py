"""`make bench-capacity`: what docs/capacity.md rests on: how far this machine goes, and what a request costs each service.

    searches     three searches for the capacity, with steps of 10 s and a plateau of 30 s
    instances    one search each with more instances of the API, for the Universal Scalability Law
    demands      four runs well below the capacity: CPU seconds per request of each service

Each part alone by its name; results of the others stay. Writes results/capacity.json and docs/capacity.md.
"""

import argparse
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.console import Console

from benchmarks.capacity_render import render
from benchmarks.machine import describe
from benchmarks.stack_run import ROOT
from loadtests.exitcodes import ExitCode
from loadtests.orchestrate.preflight import default_workers
from loadtests.orchestrate.ramp import Ramp, bounds_of
from loadtests.orchestrate.run import Options, Outcome, Run
from loadtests.orchestrate.step import Stepper
from loadtests.report.evidence import Evidence
from loadtests.report.measures import measures_of
from loadtests.scenario.load import load_plan
from loadtests.settings import Overrides

RESULT = Path(__file__).parent / "results" / "capacity.json"
PAGE = ROOT / "docs" / "capacity.md"
START = 1000.0
SEARCHES, DEMANDS = 3, 4
USERS, SECONDS = 1500, 25
SERVICES = ("api", "worker", "relay", "nginx", "redis")
"""One process each here; PostgreSQL has one a connection, and is what is left of the whole."""


def search(out: Path, settings: dict[str, str], step_s: float, plateau_s: float) -> dict[str, Any]:
    """One search, as `capacity.json` has it, its steps shortened."""
    stepper = Stepper(ROOT / "scenarios" / "capacity.toml", None, None, step_s, plateau_s)
    bounds = bounds_of(START, None, None, 0.05, 1.0)
    how = Options(out, default_workers(), "embedded", "wheels")
    with _environment(settings):
        ramp = Ramp(stepper, bounds, how, settings, lambda text: print(text, flush=True))
        if ramp.execute() is ExitCode.INTERRUPTED:
            raise SystemExit(int(ExitCode.INTERRUPTED))
    print(*ramp.found.sentences(), sep="\n", flush=True)
    found = json.loads((ramp.folder / "capacity.json").read_text())
    kept = ("number", "rate", "plateau", "achieved", "verdict", "passed", "latency_ms", "folder")
    steps = [{key: step[key] for key in kept} for step in found["steps"]]
    shutil.rmtree(ramp.folder / "steps")
    return {"run": ramp.folder.name, "commit": found["commit"], "answer": found["answer"], "steps": steps}


def demand(out: Path) -> dict[str, Any]:
    """One run's CPU seconds per request, by service."""
    flags = {"users": str(USERS), "duration": f"{SECONDS}s"}
    plan = load_plan(ROOT / "scenarios" / "phase5.toml", Overrides(**flags, sources=dict(flags)))
    outcome = _carried_out(Run(plan, Options(out, default_workers(), "embedded", "wheels"), Console(quiet=True)))
    measured, evidence = measures_of(outcome.folder), Evidence.of(outcome.folder)
    per_request = {name: measured.values[f"cpu_per_request({name})"] for name in SERVICES}
    cores = fmean(evidence.probed.gauges["machine_stack", None]) * (os.cpu_count() or 1)
    whole = cores * evidence.end_s / evidence.total.requests
    per_request["postgres"] = whole - sum(per_request.values())
    per_request["generator"] = measured.values["generator_cpu_per_request"]
    shown = {"rate": measured.values["rate"], "verdict": outcome.verdict.word}
    shown["connections"] = max(evidence.probed.gauges["db_connections", None])
    shutil.rmtree(outcome.folder.path)
    print(outcome.folder.run_id, shown, {name: f"{value * 1e6:.0f} us" for name, value in per_request.items()}, flush=True)
    return {"run": outcome.folder.run_id, "commit": measured.commit, **shown, "cpu_s_per_request": per_request}


def _carried_out(run: Run) -> Outcome:
    """Raises SystemExit when the user has enough."""
    outcome = run.execute()
    if outcome.exit_code is ExitCode.INTERRUPTED:
        raise SystemExit(int(ExitCode.INTERRUPTED))
    return outcome


@contextmanager
def _environment(settings: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(settings)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def main() -> int:
    """Measure what is asked for, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=["searches", "instances", "demands"])
    parser.add_argument("--out", type=Path, default=ROOT / "results")
    options = parser.parse_args()
    found: dict[str, Any] = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    for part in options.parts:
        match part:
            case "searches":
                found[part] = [search(options.out, {}, 10.0, 30.0) for _ in range(SEARCHES)]
            case "instances":
                found[part] = {number: search(options.out, {"API_INSTANCES": number}, 10.0, 20.0) for number in ("2", "3")}
            case "demands":
                found[part] = [demand(options.out) for _ in range(DEMANDS)]
            case "render":
                pass
            case _:
                raise SystemExit(f"{part}: no part; there are searches, instances, demands, render")
        if part != "render":
            found["made"], found["machine"] = datetime.now(UTC).isoformat(timespec="seconds"), describe()
            RESULT.write_text(json.dumps(found, indent=1) + "\n")
    PAGE.write_text(render(found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
