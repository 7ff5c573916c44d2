"""benchmarks/README.md from results/generator.json. Nothing in it is written by hand but the words."""

from collections.abc import Mapping
from typing import Any

PROMISES = (
    # figure, what it must be, as a number and in words
    ("ratios.prepared_vs_fasthttp", 6.0, "prepared requests / FastHttpUser", "≥ 6"),
    ("ratios.get_vs_fasthttp", 3.5, "`self.client.get/post` / FastHttpUser", "≥ 3.5"),
    ("ratios.prepared_vs_k6", 3.0, "prepared requests / k6", "≥ 3"),
    ("ratios.prepared_vs_hey", 1.0, "prepared requests / hey", "≥ 1"),
    ("ratios.recording_cost", -0.10, "throughput that recording takes", "≤ 0.10"),
    ("ten_thousand.achieved_ratio", 0.995, "10,000 users: answered / planned", "≥ 0.995"),
    ("ten_thousand.lateness_p99_ms", -5.0, "10,000 users: lateness p99 after the ramp, ms", "≤ 5"),
    ("ten_thousand.cpu_cores", -0.60, "10,000 users: cores", "≤ 0.60"),
    ("ten_thousand.rss_mb", -250.0, "10,000 users: resident memory, MB", "≤ 250"),
    ("ten_thousand.reconnects", 0.0, "10,000 users: connections beyond the first of each", "0"),
    ("ten_thousand.cpu_ratio", -2.0, "CPU per request, 10,000 users / 100 users at the same rate", "≤ 2"),
    ("scaling.ratio", 1.8, "two workers / one worker", "≥ 1.8"),
    ("master.cpu_cores", -0.25, "the master with 50 workers, cores", "≤ 0.25"),
)
"""A negative bound is an upper one."""


def render(result: Mapping[str, Any]) -> str:
    """The whole page."""
    machine = result["measured"]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    lines = [
        "# The generator, measured",
        "",
        f"Made by `make bench{' QUICK=1' if result['quick'] else ''}` on {machine['date']} in {machine['minutes']:g} minutes, "
        f"from `results/generator.json`. {machine['cpu']}, {machine['cores']} cores (shared with others), "
        f"Linux {machine['kernel']}, Python {machine['python']}. {versions}.",
        "",
        "The target is nginx with one worker, answering from memory, on core 0; each generator has core 1 to itself.",
        "Rounds are interleaved and medians are shown. Only ratios within one run mean anything on another machine.",
        "",
        "## What is promised",
        "",
        "| | promised | measured | |",
        "|---|---|---|---|",
        *(_promise(result, *promise) for promise in PROMISES),
        "",
        "## 100 connections, flat out",
        "",
        "Three lists to one creation, with a bearer token of 187 bytes, for all that can mix.",
        "",
        "| generator | | req/s on one core | lowest to highest | CPU µs a request | p50 ms | p99 ms | RSS MB |",
        "|---|---|---|---|---|---|---|---|",
        *(_row(name, result["notes"][name], one) for name, one in _by_rate(result["flat_out"])),
        _row("scenario", "the same through a whole scenario: journeys, schedule, ledger", result["scenario"]),
        "",
        *_absent(result["absent"]),
        f"Ratio to wrk: {result['ratios'].get('prepared_vs_wrk', 'not measured')}.",
        "p50 and p99 are what each tool says of itself; ab and Locust say whole milliseconds.",
        "Our latencies run from the moment the request was due.",
        "",
        "## 10,000 users at one request a second each",
        "",
        *_many(result),
        "",
        "## Calibration",
        "",
        "A server that measures how long it took for each answer; its quantiles are exact. From due, one that stands still",
        "for S = 2 s of T = 20 s: theory says Q(q) = S - (1 - q) T (benchmarks/calibration.py derives it).",
        "",
        "| server | time | quantile | exact ms | reported ms | error |",
        "|---|---|---|---|---|---|",
        *(_calibrated(row) for row in result["calibration"]),
        "",
        "## More workers",
        "",
        *_more(result),
        "",
        "Read next: [README.md](../README.md), [docs/generator.md](../docs/generator.md).",
    ]
    return "\n".join(lines) + "\n"


def _figure(result: Mapping[str, Any], path: str) -> float | None:
    group, name = path.split(".")
    if name == "cpu_ratio":
        many = result["ten_thousand"]
        return round(float(many["cpu_us"] / many["cpu_us_of_100_users"]), 2)
    value = result[group].get(name)
    return None if value is None else float(value)


def _promise(result: Mapping[str, Any], path: str, bound: float, what: str, words: str) -> str:
    value = _figure(result, path)
    if value is None:
        return f"| {what} | {words} | not measured | |"
    kept = value <= -bound if bound <= 0 else value >= bound
    return f"| {what} | {words} | {value:,g} | {'kept' if kept else '**missed**'} |"


def _by_rate(flat: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, Mapping[str, Any]]]:
    return sorted(flat.items(), key=lambda one: -one[1]["rate"])


def _row(name: str, what: str, one: Mapping[str, Any]) -> str:
    low, high = one["rate_spread"]
    p50, p99 = ("" if one[key] is None else f"{one[key]:.2f}" for key in ("p50_ms", "p99_ms"))
    failed = f" ({one['failures']} failed)" if one["failures"] else ""
    return (
        f"| {name} | {what} | {one['rate']:,.0f}{failed} | {low:,.0f} to {high:,.0f} | {one['cpu_us']:.1f} | {p50} | {p99} "
        f"| {one['rss_mb']:.0f} |"
    )


def _absent(names: list[str]) -> list[str]:
    return [f"Not installed here, so not measured: {', '.join(names)}.", ""] if names else []


def _calibrated(row: Mapping[str, Any]) -> str:
    since = {"service": "from the send", "response": "from due"}[row["kind"]]
    exact = "small" if row["exact_ms"] is None else f"{row['exact_ms']:,.1f}"
    error = "" if row["error"] is None else f"{row['error'] * 100:+.2f} %"
    return f"| {row['distribution']} | {since} | {row['quantile']:g} | {exact} | {row['reported_ms']:,.1f} | {error} |"


def _many(result: Mapping[str, Any]) -> list[str]:
    ours, peer = result["ten_thousand"], result["ten_thousand_fasthttp"]
    return [
        f"One worker process on one core: {ours['sent']:,} of {ours['planned']:,} planned requests sent, "
        f"{ours['rate']:,.0f} req/s after the ramp, lateness p99 {ours['lateness_p99_ms']:g} ms, "
        f"{ours['cpu_cores']:.2f} cores, {ours['rss_mb']:.0f} MB, {ours['reconnects']} reconnects. "
        f"CPU per request: {ours['cpu_us']:g} µs, and "
        f"{ours['cpu_us_of_100_users']:g} µs with 100 users at the same rate.",
        "",
        f"Locust's FastHttpUser with `constant_pacing(1)` on the same core: {peer['rate']:,.0f} req/s, "
        f"median {peer['p50_ms']:,.0f} ms, {peer['rss_mb']:.0f} MB, {peer['failures']:,} failures.",
    ]


def _more(result: Mapping[str, Any]) -> list[str]:
    scaling, master = result["scaling"], result["master"]
    return [
        f"Each worker is offered 12,000 req/s: one worker answers {scaling['one_worker_rate']:,.0f}/s, two answer "
        f"{scaling['two_workers_rate']:,.0f}/s. Two cores hold both workers, the target and the master, so this shows that "
        "workers do not slow each other, not how far they go.",
        "",
        f"The master with {master['workers']} workers of {master['rate_per_worker']:,} req/s each "
        f"({master['workers'] * master['rate_per_worker']:,} req/s in all, a quarter of them accepted tasks) "
        f"uses {master['cpu_cores']:.2f} of a core.",
    ]
