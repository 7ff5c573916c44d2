"""`make bench-probes`: what all of phase5's probes take of the stack's throughput, everything on this machine.

Users without a pause, three lists to one create, against the embedded stack. While they are at it the probes are switched on
and off, in pairs of neighbouring blocks of one run, on-off and off-on in turn: what changes slowly, in the stack or on the
machine, meets both. Beside the ratio, what is less noisy: the CPU of this process, in which the probes run. Writes
results/probes.json and the paragraph in stack.md; exit code 1 when the ratio is surely below LEAST_RATIO.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.machine import describe
from benchmarks.stack import write_page
from benchmarks.stack_run import ROOT
from loadtests import settings
from loadtests.orchestrate import probing
from loadtests.orchestrate.embedded import EmbeddedStack, Stack
from loadtests.orchestrate.processes import ProcessManager
from loadtests.orchestrate.watch import ProbeWatch
from loadtests.scenario.load import load_plan
from loadtests.scenario.schema import Scenario
from loadtests.store.folder import RunFolder, create_folder, start_of
from loadtests.store.records import read_lines
from loadtests.store.windows import read_windows

RESULT = Path(__file__).parent / "results" / "probes.json"
PHASE5 = ROOT / "scenarios" / "phase5.toml"
LEAST_RATIO = 0.98
Z = 1.96
WARM_UP_S = 6
EDGE_S = 1
"""At either end of a block, in which probes connect or end."""
BEGUN_WITHIN_S = 60
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
"""


@dataclass(frozen=True)
class Block:
    """Some seconds of the load."""

    probed: bool
    begin_s: float
    """After the start of the load."""
    end_s: float
    cores: float
    """CPU of this process."""


def main() -> int:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(prog="make bench-probes", description=__doc__)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--seconds", type=int, default=7, help="of a block")
    parser.add_argument("--users", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="loadtest-bench-") as name, ProcessManager(Path(name)) as processes:
        scratch = create_folder(Path(name), "probes")
        stack = EmbeddedStack(processes, ROOT / "backend" / "stack.toml", "wheels", None).up(
            options.users, {"SEED_TASKS_PER_USER": "20"}
        )
        seconds = WARM_UP_S + 2 * options.pairs * options.seconds
        with _load(Path(name), stack, options.users, seconds) as folder:
            blocks = list(_blocks(folder, scratch, stack, options.pairs, options.seconds))
        rates = answered(folder, blocks)
        records = list(read_lines(scratch.file("probes.jsonl")))
    result = {
        "measured": {**describe(), "date": datetime.now(UTC).date().isoformat(), "users": options.users},
        **summary(blocks, rates),
        "metrics": len({(metric, selector) for record in records for metric, selector, _ in record["samples"]}),
        "gaps": sum(len(record["gaps"]) for record in records),
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    write_page()
    print(json.dumps(result["throughput"]))
    return 0 if result["kept"] else 1


@contextmanager
def _load(place: Path, stack: Stack, users: int, seconds: int) -> Iterator[RunFolder]:
    """The folder of a run that has begun; on leaving, it has ended. Raises RuntimeError when it does not begin."""
    scenario, out = place / "bench-probes.toml", place / "out"
    scenario.write_text(SCENARIO.format(users=users, seconds=seconds))
    command = [sys.executable, "-m", "loadtests", "run", str(scenario), "--host", str(stack.host), "--out", str(out)]
    log = place / "load.log"
    with log.open("w") as said:
        process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **_key(stack)}, stdout=said, stderr=said)
    try:
        yield _begun(out, log)
        process.wait(timeout=seconds)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def _key(stack: Stack) -> dict[str, str]:
    """All that the load needs to know: neither database nor broker, which are the probes'."""
    return {settings.JWT_SECRET: stack.secrets[settings.JWT_SECRET]}


def _begun(out: Path, log: Path) -> RunFolder:
    deadline = time.monotonic() + BEGUN_WITHIN_S
    while time.monotonic() < deadline:
        for path in out.glob("*-bench-probes-*"):
            if start_of(RunFolder(path)) is not None:
                return RunFolder(path)
        time.sleep(0.1)
    raise RuntimeError(f"the load did not begin:\n{log.read_text()}")


def _blocks(folder: RunFolder, scratch: RunFolder, stack: Stack, pairs: int, seconds: int) -> Iterator[Block]:
    """Carry them out: on-off, off-on, on-off ..."""
    scenario, start = load_plan(PHASE5).scenario, start_of(folder) or 0.0
    for number in range(2 * pairs):
        begin_s = float(WARM_UP_S + number * seconds)
        end_s = begin_s + seconds
        _sleep_until(start + begin_s)
        probed = number % 4 in (0, 3)
        used, began = time.process_time(), time.monotonic()
        with _probes(scenario, stack, folder, scratch) if probed else nullcontext():
            _sleep_until(start + end_s - EDGE_S)
            cores = (time.process_time() - used) / (time.monotonic() - began)
        yield Block(probed, begin_s, end_s, cores)


@contextmanager
def _probes(scenario: Scenario, stack: Stack, folder: RunFolder, scratch: RunFolder) -> Iterator[None]:
    """All that the scenario asks for, tasks sampled through the API among them."""
    made = probing.make_probes(scenario.probes, stack)
    probing.add_sampler(made, scenario, stack, folder)
    watch = ProbeWatch(scratch, made.probes, made.absent)
    watch.start()
    yield
    watch.stop()


def _sleep_until(epoch: float) -> None:
    time.sleep(max(0.0, epoch - time.time()))


def answered(folder: RunFolder, blocks: Sequence[Block]) -> list[float]:
    """Requests answered in a second of each block, without its edges."""
    ok = {window.number: window.total().ok for window in read_windows(folder.file("windows.jsonl"))}
    inner = [range(int(block.begin_s) + EDGE_S, int(block.end_s) - EDGE_S) for block in blocks]
    return [statistics.mean(ok[second] for second in seconds) for seconds in inner]


def summary(blocks: Sequence[Block], rates: Sequence[float]) -> dict[str, object]:
    """With probes against without, by pairs; the interval is of 95 % confidence, of the mean of the logarithms."""
    pairs = [sorted(pair, key=lambda one: one[0].probed) for pair in _in_pairs(list(zip(blocks, rates, strict=True)))]
    logs = [math.log(on[1] / off[1]) for off, on in pairs]
    cores = [on[0].cores - off[0].cores for off, on in pairs]
    half = Z * statistics.stdev(logs) / math.sqrt(len(logs))
    low, ratio, high = (round(math.exp(statistics.mean(logs) + shift), 4) for shift in (-half, 0.0, half))
    return {
        "rates": {
            "off": [round(off[1], 1) for off, _ in pairs],
            "on": [round(on[1], 1) for _, on in pairs],
        },
        "throughput": {"with_probes_of_without": ratio, "interval": [low, high]},
        "cores_of_the_probes": {"median": round(statistics.median(cores), 4), "pairs": [round(one, 4) for one in cores]},
        "promised": {"with_probes_of_without": LEAST_RATIO},
        "kept": high >= LEAST_RATIO,
    }


def _in_pairs(measured: Sequence[tuple[Block, float]]) -> Iterator[Sequence[tuple[Block, float]]]:
    return (measured[first : first + 2] for first in range(0, len(measured), 2))


if __name__ == "__main__":
    raise SystemExit(main())
