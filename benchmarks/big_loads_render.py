"""docs/big-loads.md from results/{generator,capacity,ledger,master,sizes}.json and the words of big_loads.md.j2."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from jinja2 import Environment, StrictUndefined

from loadtests.engine.descriptors import SPARE_DESCRIPTORS

HERE = Path(__file__).parent
TEMPLATE = HERE / "big_loads.md.j2"
TARGETS = (10_000, 100_000, 1_000_000)
BUSY = 0.6
"""Of its core that a worker is given; above, its lateness shows it (docs/objectives.md)."""
PORTS, ALL_PORTS = 60_999 - 32_768 + 1, 65_535 - 1_024 + 1
"""Of one address to one target: the kernel's default, and what k8s/load asks for."""
MINUTES = 10
CREATES = 0.25
PROBES = 47
"""benchmarks/results/probes.json: metrics of phase5's probes."""


def render(sizes: Mapping[str, Any]) -> str:
    """The whole page."""
    others = ("generator", "capacity", "ledger", "master")
    results = {name: json.loads((HERE / "results" / f"{name}.json").read_text()) for name in others}
    environment = Environment(autoescape=False, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)  # noqa: S701  # no HTML
    known = figures(sizes, **results)
    page = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        **known,
        columns=[_column(rate, known) for rate in TARGETS],
        sizes=sizes,
        minutes=MINUTES,
        ports=PORTS,
        all_ports=ALL_PORTS,
    )
    return page.rstrip() + "\n"


def figures(
    sizes: Mapping[str, Any],
    generator: Mapping[str, Any],
    capacity: Mapping[str, Any],
    ledger: Mapping[str, Any],
    master: Mapping[str, Any],
) -> dict[str, Any]:
    """What was measured, in the units of the formulas."""
    ten, tasks = generator["ten_thousand"], ledger["tasks"]["1000000"]
    slope = sizes["slopes"]["2"]
    few = ledger["tasks"]["10000"]
    return {
        "made": sizes["measured"]["date"],
        "generator_date": generator["measured"]["date"],
        "request_us": ten["cpu_us"],
        "beside_us": fmean(run["cpu_s_per_request"]["generator"] for run in capacity["demands"]) * 1e6,
        "beside_rate": fmean(run["rate"] for run in capacity["demands"]),
        "user_kb": ten["rss_mb"] * 1000 / ten["users"],
        "spare": SPARE_DESCRIPTORS,
        "busy": BUSY,
        "master": master,
        "masters": " · ".join(f"{row['workers']}: {row['cpu_cores']:.3f}" for row in master["masters"]),
        "master_most": math.floor((1.0 - master["slope"]["base"]) / master["slope"]["worker"]),
        "snapshot_bytes": sizes["snapshot_bytes"]["10000"]["2"],
        "answer_bytes": sizes["answers"]["bytes_per_request"],
        "answer_run": sizes["answers"]["run"],
        "window": slope["window_bytes"],
        "points": slope["points"],
        "point_bytes": slope["point_bytes"],
        "task_bytes": sizes["task_bytes"],
        "task_disk": tasks["remember"]["bytes"] / 1e6,
        "take_in_us": master["accepted"]["task_us"],
        "follow_base": few["follow"]["peak_mb"],
        "follow_mb": (tasks["follow"]["peak_mb"] - few["follow"]["peak_mb"]) / 0.99,
        "follow_s": tasks["follow"]["seconds"],
        "api_us": fmean(run["cpu_s_per_request"]["api"] for run in capacity["demands"]) * 1e6,
        "postgres_us": fmean(run["cpu_s_per_request"]["postgres"] for run in capacity["demands"]) * 1e6,
        "probes": PROBES,
    }


def _column(rate: int, known: Mapping[str, Any]) -> dict[str, str]:
    """The estimate for a rate, of users that have one request a second each."""
    workers = math.ceil(rate * known["request_us"] * 1e-6 / BUSY)
    beside = math.ceil(rate * known["beside_us"] * 1e-6 / BUSY)
    each = math.ceil(rate / workers)
    points = known["points"]["worker"] * workers + known["points"]["base"]
    window = known["window"]["worker"] * workers + known["window"]["base"]
    line = known["point_bytes"]["worker"] * workers + known["point_bytes"]["base"]
    accepted = rate * CREATES * MINUTES * 60
    return {
        "rate": f"{rate:,}",
        "workers": f"{workers:,}",
        "workers_beside": f"{beside:,}",
        "users": f"{each:,}",
        "memory": f"{each * known['user_kb'] / 1000:,.0f} MB",
        "descriptors": f"{each + SPARE_DESCRIPTORS:,}",
        "addresses": f"{math.ceil(rate / PORTS):,}",
        "addresses_wide": f"{math.ceil(rate / ALL_PORTS):,}",
        "answers": f"{rate * known['answer_bytes'] * 8 / 1e9:,.2f} Gbit/s",
        "master": f"{_master(workers, known):.2f}",
        "master_beside": f"{_master(beside, known):.2f}",
        "snapshots": f"{known['snapshot_bytes'] * workers / 1000:,.0f} kB/s",
        "points": f"{points:,.0f}",
        "point_rate": f"{line / 1000:,.0f} kB/s",
        "series": f"{points + PROBES:,.0f}",
        "folder": f"{(window * MINUTES * 60) / 1e6:,.0f} MB",
        "tasks": f"{accepted:,.0f}",
        "task_rate": f"{rate * CREATES * known['task_bytes'] / 1e6:,.1f} MB/s",
        "task_cores": f"{rate * CREATES * known['take_in_us'] * 1e-6:,.2f}",
        "task_disk": f"{accepted * known['task_disk'] / 1e9:,.1f} GB",
        "follow": f"{known['follow_base'] + known['follow_mb'] * accepted / 1e6:,.0f} MB",
        "follow_s": f"{known['follow_s'] * accepted / 1e6 / 60:,.0f} min",
        "api": f"{math.ceil(rate * known['api_us'] * 1e-6 / BUSY):,}",
        "postgres": f"{rate * known['postgres_us'] * 1e-6:,.1f}",
    }


def _master(workers: int, known: Mapping[str, Any]) -> float:
    """Cores, by the line through what was measured."""
    slope = known["master"]["slope"]
    return float(slope["base"] + slope["worker"] * workers)
