"""`make bench-probes`: what all of phase5's probes take of the stack's throughput, everything on this machine.

Users without a pause, three lists to one create, against the embedded stack, with probes and without. Runs with and without
alternate, and neighbours are compared: a slow minute of the machine meets both. Beside the ratio, what is less noisy: the CPU
of the command, in which the probes run. Writes results/probes.json and the paragraph in stack.md; exit code 1 when the median
of the ratios is below LEAST_RATIO.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from benchmarks.generator import note
from benchmarks.machine import describe
from benchmarks.stack import write_page
from benchmarks.stack_run import LIMIT_S, ROOT, answers_of

RESULT = Path(__file__).parent / "results" / "probes.json"
PHASE5 = ROOT / "scenarios" / "phase5.toml"
LEAST_RATIO = 0.98
WARM_UP_S = 3
SAMPLE_S = 0.2
SCENARIO = """\
name = "bench-probes"
description = "Users without a pause, three lists to one create."

[auth]
mode = "mint"
subject = "agenthq:loadtest:{{user}}"

[load]
model = "closed"
users = {users}
think_time = ["0s", "0s"]
duration = "{seconds}s"
drain = "5s"

[[mix]]
journey = "list_tasks"
weight = 3

[[mix]]
journey = "create_task"
weight = 1

[objectives]
requests = "requests > 0"

[stack.env]
SEED_TASKS_PER_USER = "20"

"""


@dataclass(frozen=True)
class ProbedRun:
    """One run."""

    rate: float
    """Answers per second after the warm-up."""
    command_cores: float
    """CPU of the command itself (not of its children) while the load ran."""
    metrics: int
    """Different (metric, selector) in its record."""
    gaps: int
    """Rounds of a probe that failed while the load ran."""


def main() -> int:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(prog="make bench-probes", description=__doc__)
    parser.add_argument("--pairs", type=int, default=6)
    parser.add_argument("--seconds", type=int, default=12)
    parser.add_argument("--users", type=int, default=100)
    options = parser.parse_args()
    text = PHASE5.read_text()
    # Tasks are sampled through the API itself: the only probe that the users' requests meet.
    probes = tables(text, "tasks") + tables(text, "probes")
    runs: dict[bool, list[ProbedRun]] = {False: [], True: []}
    for pair in range(options.pairs):
        # Each order as often as the other: what comes second may be slower for that alone.
        for probed in (False, True) if pair % 2 == 0 else (True, False):
            plain = SCENARIO.format(users=options.users, seconds=WARM_UP_S + options.seconds)
            run = run_once(plain + (probes if probed else ""))
            runs[probed].append(run)
            note(f"probes {'on' if probed else 'off'}: {run.rate:,.0f}/s, {run.command_cores:.3f} cores, {run.metrics} metrics")
    result = {
        "measured": {**describe(), "date": datetime.now(UTC).date().isoformat(), "users": options.users},
        **summary(runs[False], runs[True]),
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    write_page()
    print(json.dumps(result["throughput"]))
    return 0 if result["kept"] else 1


def tables(scenario: str, name: str) -> str:
    """The table of that name of a scenario's text, and those below it, as they stand there."""
    return "".join(part for part in re.split(r"(?m)^(?=\[)", scenario) if re.match(rf"\[{name}[\].]", part))


def summary(off: list[ProbedRun], on: list[ProbedRun]) -> dict[str, object]:
    """With probes against without, by pairs."""
    ratios = [probed.rate / plain.rate for plain, probed in zip(off, on, strict=True)]
    cores = [probed.command_cores - plain.command_cores for plain, probed in zip(off, on, strict=True)]
    return {
        "rates": {"off": [round(run.rate, 1) for run in off], "on": [round(run.rate, 1) for run in on]},
        "throughput": {
            "with_probes_of_without": round(statistics.median(ratios), 4),
            "lowest": round(min(ratios), 4),
            "highest": round(max(ratios), 4),
        },
        "cores_of_the_probes": {"median": round(statistics.median(cores), 4), "pairs": [round(one, 4) for one in cores]},
        "metrics": max(run.metrics for run in on),
        "gaps": sum(run.gaps for run in on),
        "promised": {"with_probes_of_without": LEAST_RATIO},
        "kept": statistics.median(ratios) >= LEAST_RATIO,
    }


def run_once(scenario: str) -> ProbedRun:
    """Bring the stack up, load it, take it down. Raises RuntimeError when that fails."""
    with tempfile.TemporaryDirectory(prefix="loadtest-bench-") as name:
        folder = Path(name)
        (folder / "probes.toml").write_text(scenario)
        command = [sys.executable, "-m", "loadtests", "run", str(folder / "probes.toml"), "--out", name]
        log = folder / "log"
        with log.open("w") as said:
            process = subprocess.Popen(command, cwd=ROOT, env=dict(os.environ), stdout=said, stderr=said, process_group=0)
            used = _watch(process)
        events = [json.loads(line) for file in _files(folder, "events.jsonl") for line in file.read_text().splitlines()]
        at = {event["event"]: event for event in events}
        if not {"start", "stop"} <= at.keys():
            raise RuntimeError(f"the stack could not be measured:\n{log.read_text()}")
        begin = at["start"]["epoch"]
        end = begin + at["stop"]["at_s"]
        records = [json.loads(line) for file in _files(folder, "probes.jsonl") for line in file.read_text().splitlines()]
        return ProbedRun(
            rate=answers_of(folder, WARM_UP_S),
            command_cores=_cores(used, begin, end),
            metrics=len({(metric, selector) for record in records for metric, selector, _ in record["samples"]}),
            gaps=sum(len(record["gaps"]) for record in records if begin + WARM_UP_S <= record["time"] <= end),
        )


def _watch(process: "subprocess.Popen[bytes]") -> list[tuple[float, float]]:
    """Wait for the command's end; Unix time and its own CPU seconds on the way."""
    found: list[tuple[float, float]] = []
    seen = psutil.Process(process.pid)
    deadline = time.monotonic() + LIMIT_S
    while process.poll() is None:
        if time.monotonic() > deadline:
            process.terminate()  # it ends its stack itself
            process.wait()
        with suppress(psutil.Error):
            found.append((time.time(), sum(seen.cpu_times()[:2])))
        time.sleep(SAMPLE_S)
    return found


def _cores(used: list[tuple[float, float]], begin: float, end: float) -> float:
    part = [(moment, cpu) for moment, cpu in used if begin <= moment <= end]
    (first, before), (last, after) = part[0], part[-1]
    return (after - before) / (last - first)


def _files(folder: Path, name: str) -> list[Path]:
    return [file for file in folder.glob(f"*/{name}") if not file.parent.is_symlink()]


if __name__ == "__main__":
    raise SystemExit(main())
