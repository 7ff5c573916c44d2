"""`make bench`: the generator against its peers in one run, one core each side. Writes results/generator.json and README.md.

Rounds are interleaved (every tool once, then every tool again), so that a slow minute of the machine meets all of them; what
is reported is the median of the rounds, with its spread, and ratios within this one run.
"""

import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.calibration import calibrate, to_json
from benchmarks.engine import EngineRun, run_scenario
from benchmarks.machine import GENERATOR_CORE, SERVER_CORE, describe, run
from benchmarks.master import cost_of_master
from benchmarks.render import render
from benchmarks.target import nginx, program
from benchmarks.tools import HERE, LOCUST, Run, Tool, flat_out, k6_program, read_csv

RESULT = HERE / "results" / "generator.json"
FILES_NEEDED = 12_000
USERS = 10_000
MASTER_WORKERS, MASTER_RATE = 50, 2_000


@dataclass(frozen=True)
class Effort:
    """How long and how often."""

    rounds: int
    flat_s: float
    many_rounds: int
    many_s: float
    short_s: float


FULL = Effort(rounds=5, flat_s=10.0, many_rounds=3, many_s=65.0, short_s=15.0)
QUICK = Effort(rounds=3, flat_s=3.0, many_rounds=1, many_s=20.0, short_s=8.0)


def main() -> int:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="less of everything, in under five minutes")
    quick = parser.parse_args().quick
    _check_machine()
    result = measure(QUICK if quick else FULL)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps({**result, "quick": quick}, indent=2) + "\n")
    text = render(json.loads(RESULT.read_text()))
    (HERE / "README.md").write_text(text)
    print(text)
    return 0


def _check_machine() -> None:
    """What cannot be measured here is said before anything is started."""
    program()
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("benchmarks: two cores are needed, one for the generator and one for the target")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < FILES_NEEDED <= hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES_NEEDED, hard))
    elif soft < FILES_NEEDED:
        sys.exit(f"benchmarks: {FILES_NEEDED:,} open files are needed, the limit is {hard:,}: raise it with ulimit -n")


def measure(effort: Effort) -> dict[str, Any]:
    """Everything, as generator.json has it. Raises SystemExit when nginx is missing."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="loadtest-bench-") as folder:
        tools = flat_out(k6_program(Path(folder)))
        absent = [tool.name for tool in tools if not tool.is_there]
        with nginx() as host:
            flat = _flat_out([tool for tool in tools if tool.is_there], host, effort)
            scenario = _repeat("flat-out scenario", effort.rounds, lambda: run_scenario("flat_out", host, [1], effort.flat_s))
            many = _ten_thousand(host, effort)
            scaling = _scaling(host, effort)
    note("calibration")
    calibration = to_json(calibrate())
    note("the master with 50 workers")
    master = cost_of_master(MASTER_WORKERS, MASTER_RATE, 10, accepted=True)
    return {
        "measured": {
            **describe(),
            "date": datetime.now(UTC).date().isoformat(),
            "minutes": round((time.monotonic() - began) / 60, 1),
            "versions": {"locust": version("locust"), "gevent": version("gevent"), **_versions(tools)},
        },
        "absent": absent,
        "notes": {tool.name: tool.note for tool in tools},
        "flat_out": {name: _summary(runs) for name, runs in flat.items()},
        "scenario": _summary(scenario),
        "ratios": _ratios(flat),
        **many,
        "scaling": scaling,
        "calibration": calibration,
        "master": {"workers": MASTER_WORKERS, "rate_per_worker": MASTER_RATE, "cpu_cores": round(master["cpu_cores"], 3)},
    }


def _flat_out(tools: Sequence[Tool], host: str, effort: Effort) -> dict[str, list[Run]]:
    found: dict[str, list[Run]] = {tool.name: [] for tool in tools}
    for number in range(effort.rounds):
        for tool in tools:
            with tempfile.TemporaryDirectory(prefix="loadtest-bench-") as folder:
                one = tool.measure(host, effort.flat_s, Path(folder))
            found[tool.name].append(one)
            note(f"round {number + 1}: {tool.name} {one.rate:,.0f}/s")
    return found


def _ratios(flat: dict[str, list[Run]]) -> dict[str, float]:
    """Rates divided; a peer that was absent has no key."""
    rates = {name: statistics.median(run.rate for run in runs) for name, runs in flat.items()}
    pairs = [("prepared", peer) for peer in ("fasthttp", "k6", "hey", "wrk", "ab")] + [("get", "fasthttp")]
    ratios = {f"{ours}_vs_{peer}": round(rates[ours] / rates[peer], 3) for ours, peer in pairs if peer in rates}
    # Of the throughput without recording, the part that recording takes: so small that only neighbouring runs can tell.
    pairs_of_runs = zip(flat["prepared"], flat["unrecorded"], strict=True)
    ratios["recording_cost"] = round(
        statistics.median(1 - with_it.rate / without.rate for with_it, without in pairs_of_runs), 3
    )
    return ratios


def _ten_thousand(host: str, effort: Effort) -> dict[str, Any]:
    """10,000 users at one request a second each, 100 users at the same rate, and FastHttpUser beside them."""
    many = _repeat("10,000 users", effort.many_rounds, lambda: run_scenario("ten_thousand", host, [1], effort.many_s))
    few = _repeat("100 users, the same rate", effort.many_rounds, lambda: run_scenario("hundred", host, [1], effort.short_s))
    peer = _stock_ten_thousand(host, min(effort.many_s, 30.0))
    note(f"FastHttpUser, 10,000 users: {peer.rate:,.0f}/s")
    middle = {name: statistics.median(getattr(one, name) for one in many) for name in ("rate", "lateness_p99_ms", "cpu_cores")}
    return {
        "ten_thousand": {
            "users": USERS,
            "planned": many[0].planned,
            "sent": many[0].sent,
            "achieved_ratio": round(min((one.sent - one.failed) / one.planned for one in many), 5),
            "rate": round(middle["rate"], 1),
            "lateness_p99_ms": round(middle["lateness_p99_ms"], 2),
            "cpu_cores": round(middle["cpu_cores"], 3),
            "rss_mb": round(max(one.rss_mb for one in many), 1),
            "reconnects": max(one.connections - one.users for one in many),
            "cpu_us": round(statistics.median(one.cpu_us for one in many), 2),
            "cpu_us_of_100_users": round(statistics.median(one.cpu_us for one in few), 2),
        },
        "ten_thousand_fasthttp": {
            "rate": round(peer.rate, 1),
            "p50_ms": peer.p50_ms,
            "failures": peer.failures,
            "rss_mb": round(peer.rss_mb, 1),
        },
    }


def _stock_ten_thousand(host: str, seconds: float) -> Run:
    """Locust's own, with its own way to keep a pace."""
    with tempfile.TemporaryDirectory(prefix="loadtest-bench-") as folder:
        users = ["-u", str(USERS), "-r", "2000", "-t", f"{seconds:.0f}s"]
        what = ["--headless", "--only-summary", "--csv", str(Path(folder) / "locust"), "--host", host]
        command = [*LOCUST, "-f", str(HERE / "locustfiles" / "face.py"), *what, *users]
        env = {"BENCH_CLIENT": "locust", "BENCH_PACE": "1"}
        cost = run(command, core=GENERATOR_CORE, span_s=seconds / 2, limit_s=seconds + 120, env=env, cwd=Path(folder))
        return read_csv(cost, seconds, Path(folder))


def _scaling(host: str, effort: Effort) -> dict[str, Any]:
    """One worker, then two, each offered the same rate; the target shares their cores."""
    one = run_scenario("scaling", host, [GENERATOR_CORE], effort.short_s)
    two = run_scenario("scaling", host, [SERVER_CORE, GENERATOR_CORE], effort.short_s, users=2 * one.users)
    note(f"one worker {one.rate:,.0f}/s, two workers {two.rate:,.0f}/s")
    return {
        "one_worker_rate": round(one.rate, 1),
        "two_workers_rate": round(two.rate, 1),
        "ratio": round(two.rate / one.rate, 3),
        "cpu_us": [round(one.cpu_us, 2), round(two.cpu_us, 2)],
        "lateness_p99_ms": [round(one.lateness_p99_ms, 2), round(two.lateness_p99_ms, 2)],
    }


def _repeat(what: str, times: int, once: Callable[[], EngineRun]) -> list[EngineRun]:
    runs = []
    for _ in range(times):
        one = once()
        runs.append(one)
        note(f"{what}: {one.rate:,.0f}/s, lateness p99 {one.lateness_p99_ms:.2f} ms, {one.cpu_cores:.2f} cores")
    return runs


def _summary(runs: Sequence[Run | EngineRun]) -> dict[str, Any]:
    """Median of each figure, and the smallest and largest rate."""
    names = ("rate", "p50_ms", "p99_ms", "cpu_us", "rss_mb")
    values = {name: [getattr(run, name) for run in runs if getattr(run, name) is not None] for name in names}
    middle = {name: round(statistics.median(found), 3) if found else None for name, found in values.items()}
    failures = sum(run.failures if isinstance(run, Run) else run.failed for run in runs)
    spread = [round(min(values["rate"]), 1), round(max(values["rate"]), 1)]
    return {**middle, "rate_spread": spread, "rounds": len(runs), "failures": failures}


def _versions(tools: Sequence[Tool]) -> dict[str, str]:
    asked = {"k6": ["version"], "wrk": ["-v"], "ab": ["-V"]}
    found = {}
    for tool in tools:
        if tool.name in asked and tool.is_there:
            said = subprocess.run([tool.program, *asked[tool.name]], capture_output=True, text=True, check=False)
            number = re.search(r"\d+\.\d+(\.\d+)?", said.stdout + said.stderr)
            found[tool.name] = number[0] if number else "?"
    return found


def note(text: str) -> None:
    """Progress, on the error output."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
