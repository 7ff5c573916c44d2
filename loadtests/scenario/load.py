"""From a file and overrides to a plan, or to every problem at once with its place in the file."""

import math
import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from loadtests.errors import InputError, Problem, ScenarioError
from loadtests.objectives.grammar import parse_objective
from loadtests.scenario.implicit import implicit_objectives
from loadtests.scenario.meaning import check_meaning
from loadtests.scenario.plan import Plan, metrics
from loadtests.scenario.problems import key_path, message_of, problems_of
from loadtests.scenario.schema import HIGHEST_SPEED, LEAST_SPEED, Load, ObjectiveTable, Scenario, Stage
from loadtests.scenario.speed import at_speed
from loadtests.scenario.system import Fault
from loadtests.settings import Overrides
from loadtests.traffic import journeys
from loadtests.traffic.recording import digest_of
from loadtests.units import duration_text, parse_duration

FOLDER = "scenarios"


def find_scenario(name: str) -> Path:
    """The file of a scenario given by path or by name. Raises InputError that lists the names there are."""
    return find_file("scenario", Path(FOLDER), name)


def find_file(what: str, folder: Path, name: str) -> Path:
    """The TOML file `name` in the folder, or at the path that `name` is."""
    path = Path(name)
    if path.suffix == ".toml" or path.parent != Path():
        if path.is_file():
            return path
        raise InputError(f"{what} {name!r}: no such file")
    if (folder / f"{name}.toml").is_file():
        return folder / f"{name}.toml"
    known = sorted(file.stem for file in folder.glob("*.toml"))
    raise InputError(f"{what} {name!r} is unknown (in {folder}/ there are: {', '.join(known) or 'none'})")


def load_plan(path: Path, overrides: Overrides | None = None) -> Plan:
    """The frozen plan of a scenario file. Raises ScenarioError with all problems, InputError for a bad override."""
    original = _validate(path, read_toml(path))
    scenario = _override(path, original, overrides or Overrides())
    return _freeze(original, scenario)


def read_toml(path: Path) -> dict[str, Any]:
    """What a file says. Raises ScenarioError when it cannot be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError([Problem(str(path), "", f"not valid TOML: {error}")]) from error
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ScenarioError([Problem(str(path), "", f"cannot be read: {reason}")]) from error


def _validate(path: Path, data: dict[str, Any]) -> Scenario:
    problems: list[Problem] = []
    scenario = None
    try:
        scenario = Scenario.model_validate(data)
    except ValidationError as error:
        problems.extend(problems_of(path, error))
    with journeys.as_before():  # what this file's journeys are called is no business of the next file's
        problems.extend(check_meaning(path, data))
    if scenario is None or problems:
        raise ScenarioError(problems)
    return scenario


def _text(objective: str | ObjectiveTable) -> str:
    return objective if isinstance(objective, str) else objective.objective


def _override(path: Path, scenario: Scenario, overrides: Overrides) -> Scenario:
    """The scenario with the overrides in it, at its speed.

    A new duration stretches ramp, stages and the faults' moments in proportion.
    """
    scenario = at_speed(scenario, _speed(overrides, scenario.load.speed))
    changes: dict[str, Any] = {}
    load: dict[str, Any] = {}
    if overrides.users is not None:
        load["users"] = _whole(overrides, "users", overrides.users, least=1)
    if overrides.duration is not None:
        duration_s = _positive_duration(overrides)
        if scenario.load.recording is not None:
            raise InputError(f"{overrides.sources['duration']}: a recording lasts as long as it does; change its speed instead")
        load.update(_stretched(scenario.load, duration_s))
        changes["faults"] = [_stretched_fault(fault, duration_s / scenario.load.total_s) for fault in scenario.faults]
    if overrides.seed is not None:
        changes["seed"] = _whole(overrides, "seed", overrides.seed, least=0)
    if overrides.host is not None:
        changes["target"] = {**_dump(scenario.target), "host": overrides.host}
    data = _dump(scenario) | changes
    data["load"] = _dump(scenario.load) | load
    if scenario.load.recording is not None:
        data["load"]["recording"] = str((path.parent / scenario.load.recording).resolve())
    data["journeys"] = [str((path.parent / file).resolve()) for file in scenario.journeys]
    try:
        return Scenario.model_validate(data)
    except ValidationError as error:
        raise InputError("; ".join(_blamed(overrides, detail) for detail in error.errors())) from error


def _blamed(overrides: Overrides, detail: ErrorDetails) -> str:
    """The fault with the flag or variable that brought it; a duration may not suit the other keys of its table."""
    key = str(detail["loc"][-1])
    source = overrides.sources.get(key) or overrides.sources.get("duration", key_path(detail["loc"]))
    return f"{source}: {message_of(detail)}"


def _dump(table: BaseModel) -> dict[str, Any]:
    return table.model_dump(mode="json")


def _whole(overrides: Overrides, name: str, text: str, least: int) -> int:
    if not (text.isascii() and text.strip().isdigit()) or int(text) < least:
        raise InputError(f"{overrides.sources[name]}: must be a whole number of at least {least} (got {text!r})")
    return int(text)


def _speed(overrides: Overrides, own: float) -> float:
    if overrides.speed is None:
        return own
    try:
        speed = float(overrides.speed)
    except ValueError:
        speed = math.nan
    if not LEAST_SPEED <= speed <= HIGHEST_SPEED:
        limits = f"from {LEAST_SPEED:f} to {HIGHEST_SPEED:,.0f}"
        raise InputError(f"{overrides.sources['speed']}: must be a number {limits}, such as 2 or 0.5 (got {overrides.speed!r})")
    return speed


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
        return {"stages": [_stretched_stage(stage, factor) for stage in load.stages]}
    return {"duration": duration_text(duration_s), "ramp_up": duration_text(load.ramp_up * factor)}


def _stretched_stage(stage: Stage, factor: float) -> dict[str, Any]:
    data: dict[str, Any] = stage.model_dump(mode="json", exclude_none=True)
    data["duration"] = duration_text(stage.duration * factor)
    if stage.wave is not None:
        data["wave"]["period"] = duration_text(stage.wave.period * factor)
    return data


def _stretched_fault(fault: Fault, factor: float) -> dict[str, Any]:
    """How long it lasts is the fault's own."""
    return {**_dump(fault), "at": duration_text(fault.at * factor)}


def _freeze(original: Scenario, scenario: Scenario) -> Plan:
    factor = scenario.load.users / original.load.users
    known = metrics(scenario.probes, scenario.tasks)
    texts: dict[str, str] = {}
    targets: list[str] = []
    for name, value in scenario.objectives.items():
        texts[name] = _text(value)
        if isinstance(value, ObjectiveTable) and value.scale_with and factor != 1:
            asked = parse_objective(value.objective, known)
            targets.append(value.target or str(asked))
            texts[name] = str(asked.scaled(factor))
    texts.update(implicit_objectives(scenario, texts))
    recording = scenario.load.recording
    digest = None if recording is None else digest_of(Path(recording))
    journeys = tuple(digest_of(Path(file)) for file in scenario.journeys)
    plan = Plan(scenario=scenario, objectives=texts, recording=digest, journeys=journeys)
    notes = [_note(plan, targets, factor)] if targets else []
    if scenario.load.speed != 1:
        notes.append(f"Time runs {scenario.load.speed:g} times as fast as the scenario's load has it.")
    return plan.model_copy(update={"notes": tuple(notes)}) if notes else plan


def _note(plan: Plan, targets: list[str], factor: float) -> str:
    rate = plan.offered_rate
    offered = f"{plan.scenario.load.users:,} users" + ("" if rate is None else f" at {rate:,.0f} req/s")
    what = ", ".join(targets)
    if factor > 1:
        return f"{what}: this run plans more, {offered}, and these objectives ask for as much as that."
    return (
        f"{what}: not offered, so neither confirmed nor refuted. "
        f"This run plans {offered}, and these objectives ask for as much as that."
    )
