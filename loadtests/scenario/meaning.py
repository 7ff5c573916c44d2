"""What no single key can know: do the journeys, request names and metrics that a scenario speaks of exist?

Checked on the file's own data, not on the validated scenario, so that all faults of a file are reported together.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from loadtests.errors import InputError, Problem
from loadtests.objectives import catalog
from loadtests.objectives.grammar import BUILT_IN, Metric, Objective, parse_objective
from loadtests.scenario.plan import metrics
from loadtests.scenario.schema import Load, Request
from loadtests.scenario.system import Fault, Probes, Tasks
from loadtests.traffic import journeys
from loadtests.traffic.recording import read_recording
from loadtests.traffic.tokens import AUTH_SERIES
from loadtests.units import duration_text

ABORTING = ("latency", "rate", "ratio", "gauge", "count")
"""Kinds of metrics that are known while the load runs."""


def check_meaning(path: Path, data: dict[str, Any]) -> Iterator[Problem]:
    """Problems that a key's own form does not show; keys of a wrong form are passed over."""
    for index, file in enumerate(_list(data.get("journeys"))):
        if isinstance(file, str):
            yield from _journey_file(path, index, file)
    yield from _requests(path, data)
    requests: set[str] | None = {*AUTH_SERIES}
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
    yield from _recording(path, data)
    yield from _faults(path, data)
    asked = _asked(data, requests)
    if asked is not None:  # without the gauges, half of the objectives would seem wrong
        yield from _probes(path, asked.probes)
        yield from _objectives(path, data, asked)


@dataclass(frozen=True)
class _Asked:
    """What objectives may speak of."""

    probes: Probes
    has_tasks: bool
    requests: set[str] | None
    """Request names of the mix; None when they cannot be known."""
    faulty: set[str]
    """Services that faults are planted in, and instances that they name."""
    staged: bool
    """Whether the rate is another one at each moment."""
    metrics: dict[str, Metric]


def _asked(data: dict[str, Any], requests: set[str] | None) -> _Asked | None:
    """None when a table's form is wrong, which is a problem already."""
    try:
        probes = Probes.model_validate(data.get("probes", {}))
        tasks = Tasks.model_validate(data["tasks"]) if "tasks" in data else None
    except ValidationError:
        return None
    load = _table(data.get("load"))
    staged = bool(load.get("stages") or load.get("recording"))
    return _Asked(probes, tasks is not None, requests, set(_faulty(data)), staged, metrics(probes, tasks))


def _faulty(data: dict[str, Any]) -> Iterator[str]:
    """What recovery times can be asked of: services, and the instances that faults name."""
    for fault in map(_table, _list(data.get("faults"))):
        yield str(fault.get("service"))
        if fault.get("instance") is not None:
            yield f"{fault.get('service')}-{fault['instance']}"


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _journey_file(path: Path, index: int, file: str) -> Iterator[Problem]:
    try:
        journeys.load_file(path.parent / file)
    except (Exception, SystemExit) as error:  # whatever somebody's Python file raises
        yield Problem(str(path), f"journeys[{index}]", f"{file}: {error}")


def _requests(path: Path, data: dict[str, Any]) -> Iterator[Problem]:
    """Names that are taken, and what makes no request."""
    owners = {request: known.name for known in journeys.REGISTRY.values() for request in known.requests}
    taken = {*journeys.REGISTRY, *AUTH_SERIES}
    for name, table in _table(data.get("requests")).items():
        if name in taken:
            yield Problem(str(path), f"requests.{name}", f"{name!r} is a journey already; take another name")
            continue
        if name in owners:  # both would be measured as one
            message = f"{name!r} is a request of the journey {owners[name]!r} already; take another name"
            yield Problem(str(path), f"requests.{name}", message)
            continue
        with suppress(ValidationError):  # a problem already
            try:
                Request.model_validate(table).declare(name)
            except ValueError as error:
                if isinstance(error, ValidationError):
                    raise
                yield Problem(str(path), f"requests.{name}", str(error))


def _recording(path: Path, data: dict[str, Any]) -> Iterator[Problem]:
    """A recording that is not there, or speaks of other journeys than the mix."""
    file = _table(data.get("load")).get("recording")
    if isinstance(file, str):
        names = [_table(share).get("journey") for share in _list(data.get("mix"))]
        try:
            read_recording(path.parent / file, {name: index for index, name in enumerate(names) if isinstance(name, str)})
        except InputError as error:
            yield Problem(str(path), "load.recording", str(error))


def _faults(path: Path, data: dict[str, Any]) -> Iterator[Problem]:
    """Faults that would never begin, since the load is over."""
    with suppress(ValidationError):  # a problem already
        end_s = Load.model_validate(data.get("load", {})).total_s
        for index, fault in enumerate(_list(data.get("faults"))):
            at_s = Fault.model_validate(fault).at
            if at_s >= end_s:
                message = f"{duration_text(at_s)} is not before the end of the load, {duration_text(end_s)} after its start"
                yield Problem(str(path), f"faults[{index}].at", message)


def _probes(path: Path, probes: Probes) -> Iterator[Problem]:
    """Names that are taken, and shares of counters that nobody reads."""
    taken = {*BUILT_IN, *(metric.name for delivered in catalog.ALL for metric in delivered)}
    counters = set()
    own = [(f"probes.postgres.{name}", name) for name in probes.postgres]
    for place, endpoint in probes.prometheus.items():
        own += [(f"probes.prometheus.{place}.select.{name}", name) for name in endpoint.select]
        counters |= {name for name, one in endpoint.select.items() if one.kind == "counter"}
    own += [(f"probes.shares.{name}", name) for name in probes.shares]
    for key, name in own:
        if name in taken:
            yield Problem(str(path), key, f"{name!r} is a metric already; take another name")
        taken.add(name)
    for name, share in probes.shares.items():
        for part in {share.part, share.whole} - counters:
            known = ", ".join(sorted(counters)) or "none"
            yield Problem(str(path), f"probes.shares.{name}", f"{part!r} is no counter under select (there are: {known})")


def _objectives(path: Path, data: dict[str, Any], asked: _Asked) -> Iterator[Problem]:
    for name, value in _table(data.get("objectives")).items():
        text = value if isinstance(value, str) else _table(value).get("objective")
        if isinstance(text, str):
            for message in _objective(text, asked, aborts=_table(value).get("abort_on_fail") is True):
                yield Problem(str(path), f"objectives.{name}", message)


def _objective(text: str, asked: _Asked, aborts: bool) -> Iterator[str]:
    try:
        objective = parse_objective(text, asked.metrics)
    except ValueError as error:
        yield str(error)
        return
    metric = objective.metric
    yield from _selector(objective, asked)
    if metric.kind in ("gauge", "recovery") and metric.selectable and objective.selector is None:
        yield f"{metric.name} needs a service (write e.g. '{metric.name}(api)')"
    if metric.name.startswith(("task_", "tasks_")) and metric.name in BUILT_IN and not asked.has_tasks:
        yield f"{metric.name} needs a [tasks] table"
    if aborts:
        yield from why_not_abort(objective, asked.staged)


def why_not_abort(objective: Objective, staged: bool) -> Iterator[str]:
    """Why an objective cannot end a load that is going on."""
    metric = objective.metric
    if metric.kind not in ABORTING or metric.name == "task_success":
        yield f"{metric.name} is known at the end of the run only; leave out abort_on_fail"
    elif metric.kind == "count" and objective.comparison in (">", ">="):
        yield f"a lower limit of {metric.name} is missed until it is reached; leave out abort_on_fail"
    elif metric.kind == "rate" and staged:
        yield f"with load.stages or a recording no part of the load has the full {metric.name}; leave out abort_on_fail"


def _selector(objective: Objective, asked: _Asked) -> Iterator[str]:
    metric, probes = objective.metric, asked.probes
    if metric.kind == "recovery":
        what, names = "service with a fault", asked.faulty
    elif metric in catalog.CELERY:
        what, names = "queue under probes.celery", set(probes.celery)
    elif metric.kind == "gauge":
        what, names = "service under probes.processes", {*probes.processes, *probes.containers}
    elif asked.requests is not None:
        what, names = "request of the mix", asked.requests
    else:
        return
    selector = objective.selector
    if selector in names or (metric.kind == "gauge" and re.sub(r"-[0-9]+$", "", selector or "") in names):
        return
    if selector:
        yield f"{selector!r} is no {what} (there are: {', '.join(sorted(names))})"
