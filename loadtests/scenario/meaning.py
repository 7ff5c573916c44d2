"""What no single key can know: do the journeys, request names and metrics that a scenario speaks of exist?

Checked on the file's own data, not on the validated scenario, so that all faults of a file are reported together.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from loadtests.errors import Problem
from loadtests.objectives.grammar import BUILT_IN, Metric, Objective, parse_objective
from loadtests.scenario.plan import metrics
from loadtests.scenario.schema import Probes
from loadtests.traffic import journeys
from loadtests.traffic.tokens import AUTH_SERIES


def check_meaning(path: Path, data: dict[str, Any]) -> Iterator[Problem]:
    """Problems that a key's own form does not show; keys of a wrong form are passed over."""
    for index, file in enumerate(_list(data.get("journeys"))):
        if isinstance(file, str):
            yield from _journey_file(path, index, file)
    requests: set[str] | None = {AUTH_SERIES}
    for index, share in enumerate(_list(data.get("mix"))):
        name = _table(share).get("journey")
        journey = journeys.REGISTRY.get(name) if isinstance(name, str) else None
        if journey is None:
            requests = None  # unknown, so nothing can be said of a request's name
        elif requests is not None:
            requests.update(journey.requests)
        if journey is None and isinstance(name, str):
            known = ", ".join(sorted(journeys.REGISTRY))
            yield Problem(str(path), f"mix[{index}].journey", f"unknown journey {name!r} (there are: {known})")
    try:
        probes = Probes.model_validate(data.get("probes", {}))
    except ValidationError:
        return  # without the gauges, half of the objectives would seem wrong
    yield from _probes(path, probes)
    yield from _objectives(path, data, probes, requests)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _journey_file(path: Path, index: int, file: str) -> Iterator[Problem]:
    try:
        journeys.load_file(path.parent / file)
    except (Exception, SystemExit) as error:  # whatever somebody's Python file raises
        yield Problem(str(path), f"journeys[{index}]", f"{file}: {error}")


def _probes(path: Path, probes: Probes) -> Iterator[Problem]:
    for name in probes.postgres:
        if name in BUILT_IN or name in ("cpu", "memory"):
            yield Problem(str(path), f"probes.postgres.{name}", f"{name!r} is a metric already; take another name")


def _objectives(path: Path, data: dict[str, Any], probes: Probes, requests: set[str] | None) -> Iterator[Problem]:
    known = metrics(probes)
    for name, value in _table(data.get("objectives")).items():
        text = value if isinstance(value, str) else _table(value).get("objective")
        if isinstance(text, str):
            for message in _objective(text, known, probes, requests, "tasks" in data):
                yield Problem(str(path), f"objectives.{name}", message)


def _objective(
    text: str, known: dict[str, Metric], probes: Probes, requests: set[str] | None, has_tasks: bool
) -> Iterator[str]:
    try:
        objective = parse_objective(text, known)
    except ValueError as error:
        yield str(error)
        return
    metric = objective.metric
    yield from _selector(objective, probes, requests)
    if metric.kind == "gauge" and metric.selectable and objective.selector is None:
        yield f"{metric.name} needs a service (write e.g. '{metric.name}(api)')"
    if metric.name.startswith("task_") and not has_tasks:
        yield f"{metric.name} needs a [tasks] table"


def _selector(objective: Objective, probes: Probes, requests: set[str] | None) -> Iterator[str]:
    if objective.metric.kind == "gauge":
        what, names = "service under probes.processes", set(probes.processes)
    elif requests is not None:
        what, names = "request of the mix", requests
    else:
        return
    if objective.selector and objective.selector not in names:
        yield f"{objective.selector!r} is no {what} (there are: {', '.join(sorted(names))})"
