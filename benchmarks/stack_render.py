"""benchmarks/stack.md from results/stack.json and results/probes.json. Nothing in it is written by hand but the words."""

from collections.abc import Mapping
from typing import Any

PROMISES = (
    # figure, what it must be, in words
    ("ratios.full_vs_sketch", 4.0, "the full stack / the guide's sketch, req/s at p95 < 200 ms", "≥ 4"),
    ("ratios.cache_select_reduction", 0.5, "list SELECTs that the cache saves, same arrivals", "≥ 0.5"),
    ("one_core.list_tasks", 8000, "cached lists of one process on one core, req/s", "≥ 8,000"),
    ("one_core.create_task", 2000, "creates of one process on one core, durable, req/s", "≥ 2,000"),
    ("one_core.tasks", 3000, "no-op tasks from outbox to completed on one core, tasks/s", "≥ 3,000"),
)


def render(result: Mapping[str, Any], probes: Mapping[str, Any] | None = None) -> str:
    """The whole page; `probes` is what `make bench-probes` has measured, if it ever did."""
    machine, selects, edge = result["measured"], result["list_selects"], result["edge"]
    full, bare = selects["full"], selects["without_caching"]
    command = f"make bench-stack{' QUICK=1' if result['quick'] else ''}"
    lines = [
        "# The stack under test, measured",
        "",
        f"Made by `{command}` on {machine['date']} in {machine['minutes']:g} minutes, "
        f"from `results/stack.json`. {machine['cpu']}, {machine['cores']} cores (shared with others), "
        f"Linux {machine['kernel']}, Python {machine['python']}.",
        "",
        "The whole stack and the generator share the machine. Three lists to one create, "
        f"{result['users']:,} users with 20 tasks each at the start, tasks of 0.4 s on average. "
        "Only ratios within one run mean anything on another machine.",
        "",
        "## What is promised",
        "",
        "| | promised | measured | |",
        "|---|---|---|---|",
        *(_promise(result, *promise) for promise in PROMISES),
        "",
        "## The whole, and the whole less one feature",
        "",
        "The rate of the highest step whose p95, from the moment each request was due, was below 200 ms, in the best round;",
        "p95 and CPU of the stack (without the generator) at that step; statements of the API per request and connections over",
        "the whole run.",
        "",
        "| variant | | req/s | / full | rounds | p95 ms | statements | CPU µs | connections |",
        "|---|---|---|---|---|---|---|---|---|",
        *(_row(name, one, result["variants"]["full"]) for name, one in result["variants"].items()),
        "",
        "## What the cache saves",
        "",
        f"At {full['lists'] / selects['seconds']:,.0f} lists a second with the same arrivals: {full['list_statements']:,.0f} "
        f"list SELECTs for {full['lists']:,.0f} lists; without the cache "
        f"{bare['list_statements']:,.0f} for {bare['lists']:,.0f}.",
        "",
        "## What the CDN edge saves",
        "",
        f"{edge['requests']:,} requests for a hashed asset: {edge['origin']:,} reached the origin.",
        "",
        *(_probes(probes) if probes is not None else []),
    ]
    return "\n".join(lines)


def _probes(result: Mapping[str, Any]) -> list[str]:
    machine, rate, cores = result["measured"], result["throughput"], result["cores_of_the_probes"]
    return [
        "## What the probes take",
        "",
        f"Made by `make bench-probes` on {machine['date']}, from `results/probes.json`. With all of phase5's "
        f"probes ({result['metrics']} series) the stack's throughput is {rate['with_probes_of_without']:.3f} of that without, "
        f"by {len(cores['pairs'])} pairs of neighbouring blocks of one run ({rate['interval'][0]:.3f} to "
        f"{rate['interval'][1]:.3f} at 95 %): {machine['users']} users without a pause, everything on one machine. "
        f"The probes themselves use {cores['median']:.3f} of a core.",
        "",
    ]


def _promise(result: Mapping[str, Any], figure: str, bound: float, words: str, promised: str) -> str:
    value: Any = result
    for key in figure.split("."):
        value = value[key]
    return f"| {words} | {promised} | {value:,g} | {'yes' if value >= bound else '**no**'} |"


def _row(name: str, one: Mapping[str, Any], full: Mapping[str, Any]) -> str:
    rounds = " ".join(f"{rate:,.0f}" for rate in one["rates"])
    share = one["rate"] / full["rate"] if full["rate"] else 0.0
    return (
        f"| {name} | {one['what']} | {one['rate']:,.0f} | {share:.2f} | {rounds} | {one['p95_ms']:.0f} | "
        f"{one['statements']:.2f} | {one['cpu_us']:,.0f} | {one['connections']} |"
    )
