"""From a file and overrides to a plan, or to every problem at once with its place in the file."""

import difflib
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from loadtests.errors import InputError, Problem, ScenarioError
from loadtests.objectives.grammar import Objective, parse_objective
from loadtests.scenario.plan import Plan, metrics
from loadtests.scenario.schema import Load, ScaledObjective, Scenario
from loadtests.settings import Overrides
from loadtests.traffic import journeys
from loadtests.traffic.tokens import AUTH_SERIES
from loadtests.units import parse_duration

FOLDER = "scenarios"


def find_scenario(name: str) -> Path:
    """The file of a scenario given by path or by name. Raises InputError that lists the names there are."""
    path = Path(name)
    if path.suffix == ".toml" or path.parent != Path():
        if path.is_file():
            return path
        raise InputError(f"scenario {name!r}: no such file")
    folder = Path(FOLDER)
    if (folder / f"{name}.toml").is_file():
        return folder / f"{name}.toml"
    known = sorted(file.stem for file in folder.glob("*.toml"))
    raise InputError(f"scenario {name!r} is unknown (in {folder}/ there are: {', '.join(known) or 'none'})")


def load_plan(path: Path, overrides: Overrides | None = None) -> Plan:
    """The frozen plan of a scenario file. Raises ScenarioError with all problems, InputError for a bad override."""
    original = _validate(path, _read(path))
    _check_meaning(path, original)
    scenario = _override(path, original, overrides or Overrides())
    return _freeze(original, scenario)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError([Problem(str(path), "", f"not valid TOML: {error}")]) from error
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ScenarioError([Problem(str(path), "", f"cannot be read: {reason}")]) from error


def _validate(path: Path, data: dict[str, Any]) -> Scenario:
    try:
        return Scenario.model_validate(data)
    except ValidationError as error:
        raise ScenarioError(list(_problems(path, error))) from error


def _problems(path: Path, error: ValidationError) -> Iterable[Problem]:
    details = {_key_path(detail["loc"]): detail for detail in reversed(error.errors())}  # a union reports each of its members
    for key, detail in reversed(details.items()):
        # A list whose entries are all wrong is not too short as well.
        if detail["type"] != "too_short" or not any(other.startswith(f"{key}[") for other in details):
            yield Problem(str(path), key, _message(detail))


def _key_path(loc: tuple[int | str, ...]) -> str:
    text = ""
    for part in loc:
        if part in ("str", "ScaledObjective"):
            continue  # which member of a union was tried is no part of the file
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _message(detail: ErrorDetails) -> str:
    if detail["type"] == "extra_forbidden":
        guess = _nearest(detail["loc"])
        return "unknown key" + (f"; did you mean {guess!r}?" if guess else "")
    if detail["type"] == "missing":
        return "is missing"
    text = detail["msg"].removeprefix("Value error, ")
    simple = isinstance(detail["input"], str | int | float | bool)
    return f"{text[0].lower()}{text[1:]}" + (f" (got {detail['input']!r})" if simple else "")


def _nearest(loc: tuple[int | str, ...]) -> str | None:
    """The key of the same table that is spelt most like the unknown one."""
    model: Any = Scenario
    for part in loc[:-1]:
        if isinstance(part, str) and isinstance(model, type) and issubclass(model, BaseModel):
            field = model.model_fields.get(part)
            model = _table_of(field.annotation) if field else None
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return None
    close = difflib.get_close_matches(str(loc[-1]), model.model_fields, n=1)
    return close[0] if close else None


def _table_of(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_table_of, get_args(annotation))), None)


def _check_meaning(path: Path, scenario: Scenario) -> None:
    """What no single field can know: journeys, request names, objectives."""
    problems: list[Problem] = []
    for index, file in enumerate(scenario.journeys):
        try:
            journeys.load_file(path.parent / file)
        except Exception as error:
            problems.append(Problem(str(path), f"journeys[{index}]", f"{file}: {error}"))
    requests: set[str] = set()
    for index, share in enumerate(scenario.mix):
        journey = journeys.REGISTRY.get(share.journey)
        if journey is None:
            known = ", ".join(sorted(journeys.REGISTRY))
            message = f"unknown journey {share.journey!r} (there are: {known})"
            problems.append(Problem(str(path), f"mix[{index}].journey", message))
        else:
            requests.update(journey.requests)
    for name in scenario.objectives:
        problems.extend(_objective_problem(path, scenario, name, requests))
    if problems:
        raise ScenarioError(problems)


def _objective_problem(path: Path, scenario: Scenario, name: str, requests: set[str]) -> Iterable[Problem]:
    key = f"objectives.{name}"
    known = metrics(scenario.probes)
    try:
        objective = parse_objective(_text(scenario.objectives[name]), known)
    except ValueError as error:
        yield Problem(str(path), key, str(error))
        return
    kind = objective.metric.kind
    names = set(scenario.probes.processes) if kind == "gauge" else requests | {AUTH_SERIES}
    if objective.selector and names and objective.selector not in names:
        what = "service under probes.processes" if kind == "gauge" else "request of the mix"
        message = f"{objective.selector!r} is no {what} (there are: {', '.join(sorted(names))})"
        yield Problem(str(path), key, message)
    if kind == "gauge" and objective.metric.selectable and objective.selector is None:
        yield Problem(str(path), key, f"{objective.metric.name} needs a service (write e.g. '{objective.metric.name}(api)')")
    if objective.metric.name.startswith("task_") and scenario.tasks is None:
        yield Problem(str(path), key, f"{objective.metric.name} needs a [tasks] table")


def _text(objective: str | ScaledObjective) -> str:
    return objective if isinstance(objective, str) else objective.objective


def _override(path: Path, scenario: Scenario, overrides: Overrides) -> Scenario:
    """The scenario with the overrides in it; a new duration stretches ramp and stages in proportion."""
    changes: dict[str, Any] = {}
    load: dict[str, Any] = {}
    if overrides.users is not None:
        load["users"] = _whole(overrides, "users", overrides.users, least=1)
    if overrides.duration is not None:
        load.update(_stretched(scenario.load, _positive_duration(overrides)))
    if overrides.seed is not None:
        changes["seed"] = _whole(overrides, "seed", overrides.seed, least=0)
    if overrides.host is not None:
        changes["target"] = {**_dump(scenario.target), "host": overrides.host}
    data = _dump(scenario) | changes
    data["load"] = _dump(scenario.load) | load
    data["journeys"] = [str((path.parent / file).resolve()) for file in scenario.journeys]
    try:
        return Scenario.model_validate(data)
    except ValidationError as error:
        where = ", ".join(overrides.sources.values())
        raise InputError(f"{where}: {'; '.join(_message(detail) for detail in error.errors())}") from error


def _dump(table: BaseModel) -> dict[str, Any]:
    return table.model_dump(mode="json")


def _whole(overrides: Overrides, name: str, text: str, least: int) -> int:
    if not text.strip().isdigit() or int(text) < least:
        raise InputError(f"{overrides.sources[name]}: must be a whole number of at least {least} (got {text!r})")
    return int(text)


def _positive_duration(overrides: Overrides) -> float:
    try:
        seconds = parse_duration(overrides.duration or "")
    except ValueError as error:
        raise InputError(f"{overrides.sources['duration']}: {error}") from error
    if seconds <= 0:
        raise InputError(f"{overrides.sources['duration']}: must be longer than 0 s")
    return seconds


def _stretched(load: Load, duration_s: float) -> dict[str, Any]:
    factor = duration_s / load.total_s
    if load.stages:
        return {"stages": [{"duration": f"{stage.duration * factor:.9g}s", "to": stage.to} for stage in load.stages]}
    return {"duration": f"{duration_s:.9g}s", "ramp_up": f"{load.ramp_up * factor:.9g}s"}


def _freeze(original: Scenario, scenario: Scenario) -> Plan:
    factor = scenario.load.users / original.load.users
    known = metrics(scenario.probes)
    texts: dict[str, str] = {}
    scaled: list[str] = []
    for name, value in scenario.objectives.items():
        asked = parse_objective(_text(value), known)
        if isinstance(value, ScaledObjective) and factor != 1:
            scaled.append(value.target or str(asked))
            texts[name] = _canonical(asked.scaled(factor), _text(value))
        else:
            texts[name] = _text(value)
    plan = Plan(scenario=scenario, objectives=texts)
    return plan.model_copy(update={"notes": (_note(plan, scaled),)}) if scaled else plan


def _canonical(objective: Objective, text: str) -> str:
    """`text` with the objective's limit in place of its own, exactly."""
    unit = {"rate": "/s", "count": "", "duration": "s", "size": "B"}.get(objective.metric.unit)
    limit = f"{objective.limit * 100:.12g}%" if unit is None else f"{objective.limit:.12g}{unit}"
    share = "" if objective.share == 1 else f"{objective.share * 100:.12g}% of "
    return f"{text[: text.index(objective.comparison)]}{objective.comparison} {share}{limit}"


def _note(plan: Plan, targets: list[str]) -> str:
    rate = plan.offered_rate
    offered = f"{plan.scenario.load.users:,} users" + ("" if rate is None else f" at {rate:,.0f} req/s")
    return (
        f"{', '.join(targets)}: not offered, so neither confirmed nor refuted. "
        f"This run plans {offered}, and these objectives ask for as much as that."
    )
