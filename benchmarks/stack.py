"""`make bench-stack`: the stack against the guide's sketch, and the stack less one feature at a time, measured by the harness.

Each variant is brought up by `loadtest run` and offered more and more, three lists to one create, until its response time
breaks: the rate of a variant is that of the highest step whose p95 was below 200 ms, everything on this machine, generator
included. The first round looks for that rate in wide steps, the others, interleaved, go about it in narrow ones. What else the
machine does can only lower a rate, so the best of these rounds counts; all are shown.
Writes results/stack.json and stack.md.
"""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.generator import note
from benchmarks.machine import describe
from benchmarks.stack_cores import no_op_tasks, one_process
from benchmarks.stack_edge import edge_requests
from benchmarks.stack_render import render
from benchmarks.stack_run import Plateau, StepRun, Steps, run_steps

HERE = Path(__file__).parent
RESULT = HERE / "results" / "stack.json"

VARIANTS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "full": ("the full stack", {}),
    "sketch": ("the guide's sketch, made to run", {"NAIVE": "on", "INDEXES": "guide"}),
    "without_query_optimisation": ("the guide's indexes", {"INDEXES": "guide"}),
    "without_pooling": ("a connection for each statement", {"DB_POOL": "off"}),
    "without_caching": ("no cached lists", {"CACHE": "off"}),
    "without_token_cache": ("every token verified", {"TOKEN_CACHE_SIZE": "0"}),
    "without_hot_routes": ("lists and creates through FastAPI", {"HOT_ROUTES": "off"}),
    "without_batches": ("one insert a task, one message a task", {"CREATE_BATCH": "1", "TASK_BATCH": "1"}),
    "without_scaling": ("one instance of the API, behind nginx", {"API_INSTANCES": "1"}),
    "without_load_balancing": ("one instance of the API, no nginx", {"API_INSTANCES": "1", "STACK_WITHOUT": "nginx"}),
}
"""Name: in words, and the settings that differ."""

USERS = 2000
# Wide steps, from what each can do; a slow one is not led through steps that it cannot fail.
SEARCH = Steps(first=400, factor=1.4, count=9, step_s=3)
SLOW = Steps(first=50, factor=1.4, count=9, step_s=3)
# For the count of list SELECTs: both with the same arrivals, at a rate that both can do.
PLATEAU = Plateau(users=300, seconds=20)


def main() -> int:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(prog="make bench-stack", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the first round alone, in under ten minutes")
    parser.add_argument("--rounds", type=int, default=2, help="rounds of narrow steps")
    parser.add_argument("--only", nargs="*", choices=list(VARIANTS), help="some variants, printed and not written")
    options = parser.parse_args()
    began = time.monotonic()
    runs = measure(options.only or list(VARIANTS), 0 if options.quick else options.rounds)
    if options.only:
        return 0
    selects = {name: list_selects(name) for name in ("full", "without_caching")}
    seconds = 10 if options.quick else 30
    one_core = {journey: round(one_process(journey, seconds), 1) for journey in ("list_tasks", "create_task")}
    one_core["tasks"] = round(no_op_tasks(seconds), 1)
    note(f"one core: {one_core}")
    result = {
        "measured": {
            **describe(),
            "date": datetime.now(UTC).date().isoformat(),
            "minutes": round((time.monotonic() - began) / 60, 1),
            "rounds": len(runs["full"]),
        },
        "quick": options.quick,
        "users": USERS,
        "variants": {name: _summary(name, ones) for name, ones in runs.items()},
        "list_selects": {**selects, "seconds": PLATEAU.seconds},
        "one_core": one_core,
        "edge": edge_requests(),
        "ratios": _ratios(runs, selects),
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    text = write_page()
    print(text)
    return 0


def write_page() -> str:
    """Write stack.md from the results that there are; its text."""
    probes = RESULT.with_name("probes.json")
    text = render(json.loads(RESULT.read_text()), json.loads(probes.read_text()) if probes.exists() else None)
    (HERE / "stack.md").write_text(text)
    return text


def measure(names: Sequence[str], rounds: int) -> dict[str, list[StepRun]]:
    """The runs of each variant that count: the rounds of narrow steps, or the search where there are none."""
    found = {name: [_one(name, SLOW if name == "sketch" else SEARCH, "search")] for name in names}
    for number in range(rounds):
        for name in names:
            known = max(one.rate for one in found[name])
            found[name].append(_one(name, Steps.about(known), f"round {number + 1}"))
    return {name: runs[1:] or runs for name, runs in found.items()}


def _one(name: str, steps: Steps, when: str) -> StepRun:
    one = run_steps(VARIANTS[name][1], steps, USERS)
    note(
        f"{when}: {name} {one.rate:,.0f}/s at p95 {one.p95_ms:.0f} ms, {one.cpu_us:.0f} us of CPU and "
        f"{one.statements:.2f} statements a request, {one.connections} connections"
    )
    return one


def list_selects(name: str) -> dict[str, float]:
    """Lists asked and list statements sent, at a fixed rate with fixed arrivals."""
    one = run_steps(VARIANTS[name][1], PLATEAU.steps, PLATEAU.users)
    note(f"{name}: {one.list_statements:,.0f} list statements for {one.lists:,.0f} lists")
    return {"lists": one.lists, "list_statements": one.list_statements}


def _summary(name: str, runs: Sequence[StepRun]) -> dict[str, Any]:
    best = _best(runs)
    return {
        "what": VARIANTS[name][0],
        "settings": dict(VARIANTS[name][1]),
        "rate": round(best.rate, 1),
        "rates": [round(one.rate, 1) for one in runs],
        "p95_ms": round(best.p95_ms, 1),
        "statements": round(best.statements, 3),
        "cpu_us": round(best.cpu_us, 1),
        "connections": max(one.connections for one in runs),
    }


def _best(runs: Sequence[StepRun]) -> StepRun:
    return max(runs, key=lambda one: one.rate)


def _ratios(runs: Mapping[str, Sequence[StepRun]], selects: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """`full_vs_sketch` and each `without_` as rates divided; the share of list SELECTs that the cache saves."""
    rates = {name: _best(ones).rate for name, ones in runs.items()}
    ratios = {"full_vs_sketch": round(rates["full"] / rates["sketch"], 3)}
    ratios.update({name: round(rates[name] / rates["full"], 3) for name in rates if name.startswith("without_")})
    cached, bare = (selects[name]["list_statements"] / selects[name]["lists"] for name in ("full", "without_caching"))
    ratios["cache_select_reduction"] = round(1 - cached / bare, 3)
    return ratios


if __name__ == "__main__":
    raise SystemExit(main())
