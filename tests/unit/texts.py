"""Scenario texts for tests: a small valid one, and short ways to load what a test writes."""

from pathlib import Path

import pytest

from loadtests.errors import Problem, ScenarioError
from loadtests.scenario.load import load_plan
from loadtests.scenario.plan import Plan
from loadtests.settings import overrides

BASE = """\
name = "small"

[load]
users = 10
duration = "10s"

[[mix]]
journey = "list_tasks"
weight = 3

[[mix]]
journey = "create_task"
weight = 1

[objectives]
fast = "response_time.p95 < 200ms"
"""


def write_scenario(folder: Path, text: str) -> Path:
    """A scenario file with this text."""
    file = folder / "scenario.toml"
    file.write_text(text, encoding="utf-8")
    return file


def plan_of(folder: Path, text: str = BASE, **flags: str) -> Plan:
    """The plan of a scenario with this text, under these flags and an empty environment."""
    return load_plan(write_scenario(folder, text), overrides(flags, {}))


def problems_of(folder: Path, text: str) -> list[Problem]:
    """Everything that is wrong with a scenario of this text."""
    with pytest.raises(ScenarioError) as caught:
        plan_of(folder, text)
    return list(caught.value.problems)


def changed(old: str, new: str, text: str = BASE) -> str:
    """`text` with its only `old` replaced."""
    assert text.count(old) == 1, f"{old!r} must occur once"
    return text.replace(old, new)


RAMPED = changed('duration = "10s"', 'duration = "20s"\nramp_up = "5s"')
"""A load of twenty seconds, of which five are a ramp."""


def asking(*objectives: str, text: str = RAMPED) -> str:
    """A scenario that asks for these."""
    lines = "".join(f"o{number} = '{objective}'\n" for number, objective in enumerate(objectives))
    return changed('fast = "response_time.p95 < 200ms"\n', lines, text)
