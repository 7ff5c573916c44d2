"""The figures of a run that can be compared with those of another, and the conditions under which they may be."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from loadtests.errors import InputError
from loadtests.report.evidence import readable
from loadtests.report.probed import Key, Probed
from loadtests.scenario.plan import Plan
from loadtests.store.folder import RunFolder, start_of
from loadtests.store.manifest import read_manifest
from loadtests.store.measured import YARDSTICK, Condition, Measured
from loadtests.store.records import read_json
from loadtests.store.windows import read_windows
from loadtests.traffic.tokens import AUTH_SERIES

LATENCIES = ("service_time", "response_time")
QUANTILES = ("p50", "p95", "p99")
TASK_TIMES = ("task_run", "task_processing")
TASK_QUANTILES = ("p50", "p95")
MAXIMA = ("memory", "file_descriptors", "pg_connections", "redis_clients", "redis_memory")
"""Gauges of which the largest value of the load is a figure, beside those of the scenario's own queries."""
_INSTANCE = re.compile(r"(.+)-\d+")
CAPACITY = "capacity"
"""The highest rate that met all objectives, in 1/s."""
SEARCHED = ("load.users", "load.duration", "load.ramp_up")
UNCOMPARED = ("name", "description", "objectives", "health", "stack", "journeys", "target")
"""Parts of a scenario that do not change what is measured, or of which only a part does: that is added by itself."""


def measures_of(folder: RunFolder) -> Measured:
    """What a judged run measured. Raises InputError for one that has no verdict, RunError for a damaged one."""
    if not folder.file("verdict.json").exists():
        raise InputError(f"{folder.path}: has not been judged (loadtest verdict {folder.path})")
    with readable(folder):
        manifest, summary = read_manifest(folder), read_json(folder.file("summary.json"))
        verdict = read_json(folder.file("verdict.json"))["verdict"]
        plan = Plan.from_json(manifest["plan"])
        probed = Probed.of(
            folder.file("probes.jsonl"),
            plan.scenario.probes,
            plan.scenario.tasks,
            start_of(folder),
            summary["duration_s"],
        )
        return Measured(
            run_id=folder.run_id,
            scenario=plan.scenario.name,
            commit=manifest.get("stack_commit") or manifest["commit"],
            created=manifest["created"],
            verdict=verdict,
            conditions=conditions_of(manifest),
            values=dict(_values(summary, probed)) | _yardstick(folder, summary["requests"]),
        )


def measures_of_search(folder: Path) -> Measured:
    """What a search for the capacity found, under the conditions of its steps. Raises RunError for one that is damaged.

    How many users a step had, and for how long, is what was searched, and no condition; what was asked of them is one. A
    search that confirmed no rate fails and has no figure; one that ended where the generator was short is none of the target.
    """
    found = read_json(folder / "capacity.json")
    with readable(RunFolder(folder)):
        answer, steps = found["answer"], found["steps"]
        if not steps:
            raise ValueError("no step was tried")
        manifest = read_manifest(RunFolder(folder / steps[0]["folder"]))
        searched = {key: value for key, value in conditions_of(manifest).items() if key not in SEARCHED}
        word = _word(answer)
        return Measured(
            run_id=folder.name,
            scenario=found["scenario"],
            commit=found.get("stack_commit") or found["commit"],
            created=found["created"],
            verdict=word,
            conditions={**searched, **dict(_asked(manifest)), "searched": "capacity"},
            values=_found(folder, answer, steps) if word == "pass" else {},
        )


def _found(folder: Path, answer: Mapping[str, Any], steps: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The rate, and how fast the machine was when it was confirmed."""
    plateau = next(RunFolder(folder / step["folder"]) for step in steps if step["number"] == answer["confirmed_by"])
    requests = read_json(plateau.file("summary.json"))["requests"]
    return {CAPACITY: float(answer["rate"])} | _yardstick(plateau, requests)


def _word(answer: Mapping[str, Any]) -> str:
    """As `loadtest capacity` ends."""
    if answer["short_party"] == "generator":
        return "invalid"
    return "pass" if answer["confirmed_by"] is not None else "fail"


def runs_under(path: Path) -> list[RunFolder]:
    """A run's own folder, or those of all runs in a folder, in the order in which they began. Raises InputError for neither."""
    if (path / "manifest.json").is_file():
        return [RunFolder(path.resolve())]
    found = [one for one in sorted(path.glob("*/")) if not one.is_symlink() and (one / "manifest.json").is_file()]
    if not found:
        raise InputError(f"{path}: neither a run's folder nor one that holds some (there is no manifest.json)")
    return [RunFolder(one.resolve()) for one in found]


def conditions_of(manifest: Mapping[str, Any]) -> dict[str, Condition]:
    """What must be equal for a comparison to mean anything; limits may change, so objectives are not among it.

    The seed is: were it another one on one side, the difference between two streams would be taken for that of two builds.
    """
    scenario = manifest["plan"]["scenario"]
    found = dict(_flat("", {key: value for key, value in scenario.items() if key not in UNCOMPARED}))
    if found.get("load.recording") is not None:  # by its content, as another checkout has it elsewhere
        found["load.recording"] = manifest["plan"]["recording"]
    digests = manifest["plan"].get("journeys") or [""] * len(scenario["journeys"])  # once there were none
    named = zip(scenario["journeys"], digests, strict=False)
    found["journeys"] = ", ".join(" ".join([Path(file).name, digest[:12]]).strip() for file, digest in named)
    found["target.timeout"] = scenario["target"]["timeout"]
    found["workers"], found["stack"] = manifest["workers"], manifest["stack"]
    if manifest["stack"] == "embedded":
        found["servers"] = manifest["servers"]
    else:
        found["host"] = manifest["host"]
    found.update(_flat("stack_settings", manifest.get("stack_settings", {})))
    found["sends_metrics"] = "metrics" in manifest
    found.update({f"machine.{key}": manifest["machine"][key] for key in ("cpus", "memory_bytes", "python")})
    found["harness"] = ".".join(manifest["harness"].split(".")[:2])
    return found


def _asked(manifest: Mapping[str, Any]) -> Iterator[tuple[str, Condition]]:
    """What decides whether a step of a search passed: objectives, as the scenario has them, and health limits."""
    scenario = manifest["plan"]["scenario"]
    for name, value in scenario["objectives"].items():
        yield f"objectives.{name}", value if isinstance(value, str) else value["objective"]
    yield from _flat("health", scenario["health"])


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, Condition]]:
    """Dotted keys of nested tables; a list is one text."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(f"{prefix}.{key}" if prefix else str(key), inner)
    elif isinstance(value, list):
        yield prefix, ", ".join(_item(one) for one in value)
    else:
        yield prefix, value


def _item(value: Any) -> str:
    """An entry of a list: of a table the values that are given, as `list_tasks 3.0`."""
    parts = value.values() if isinstance(value, Mapping) else [value]
    return " ".join(str(part) for part in parts if part is not None)


def _values(summary: Mapping[str, Any], probed: Probed) -> Iterator[tuple[str, float]]:
    for series, counted in summary["series"].items():
        if series not in AUTH_SERIES:
            for latency in LATENCIES:
                yield from _times(f"{latency}({series})", counted[f"{latency}_ms"], QUANTILES)
    for name in TASK_TIMES:
        yield from _times(name, summary[f"{name}_ms"], TASK_QUANTILES)
    requests, failures = summary["requests"], summary["failures"]
    if requests:
        yield "failure_ratio", failures / requests
    if summary["achieved"] is not None:
        yield "achieved", summary["achieved"]
    yield "rate", summary["rate"]
    yield "duration", summary["duration_s"]
    cpu = _cpu(probed.gauges) if requests > failures else {}
    for service, cores in sorted({"": sum(cpu.values()), **cpu}.items() if cpu else ()):
        yield f"cpu_per_request{f'({service})' if service else ''}", cores * summary["duration_s"] / (requests - failures)
    yield from _maxima(probed)


def _yardstick(folder: RunFolder, requests: int) -> dict[str, float]:
    """The generator's own CPU seconds per request, which no build of the target changes."""
    windows = read_windows(folder.file("windows.jsonl"))
    cpu_s = sum(gauges.cpu for window in windows for gauges in window.workers.values())
    return {YARDSTICK: cpu_s / requests} if requests and cpu_s > 0 else {}


def _times(name: str, found: Mapping[str, float | None] | None, quantiles: tuple[str, ...]) -> Iterator[tuple[str, float]]:
    """In seconds; none for what has no data."""
    for quantile in quantiles if found else ():
        value = (found or {})[quantile]
        if value is not None:
            yield f"{name}.{quantile}", value / 1e3


def _cpu(gauges: Mapping[Key, list[float]]) -> dict[str, float]:
    """Mean cores that each service used: of its busiest process, of one with several instances the sum of theirs."""
    means = {str(selector): sum(values) / len(values) for (name, selector), values in gauges.items() if name == "cpu"}
    instances: dict[str, float] = {}
    for selector, mean in means.items():
        match = _INSTANCE.fullmatch(selector)
        if match and match[1] in means:
            instances[match[1]] = instances.get(match[1], 0.0) + mean
    parts = {selector for selector in means if (match := _INSTANCE.fullmatch(selector)) and match[1] in means}
    return {service: instances.get(service, mean) for service, mean in means.items() if service not in parts}


def _maxima(probed: Probed) -> Iterator[tuple[str, float]]:
    wanted = (*MAXIMA, *probed.probes.postgres)
    for (name, selector), values in sorted(probed.gauges.items(), key=lambda item: (item[0][0], item[0][1] or "")):
        if name in wanted and values:
            yield f"{name}{f'({selector})' if selector else ''}.max", max(values)
