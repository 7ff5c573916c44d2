"""What one run measured, in figures that can be compared with another's, and under which conditions."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

VERSION = 1
"""Of the layout of `to_json`, and of what the figures mean."""
Condition = str | int | float | bool | None
Difference = tuple[str, Condition, Condition]
"""A condition, and what it was for the one and the other."""
YARDSTICK = "generator_cpu_per_request"
"""Figure: what the generator itself needed. It does the same for every build, so it says how fast the machine was."""
MEMORY = "machine.memory_bytes"
MEMORY_TOLERANCE = 0.1
"""Share by which the memory of two machines that count as equal may differ: kernels keep more or less for themselves."""
LONGEST_TEXT = 40
MOST_NAMED = 8
"""Conditions that a refusal names."""


@dataclass(frozen=True)
class Measured:
    """A run's figures: times in s, ratios, counts, bytes. Two runs compare only when their conditions are equal."""

    run_id: str
    scenario: str
    commit: str | None
    """The build: that of the stack where the run started it, else the harness's own; None outside a checkout."""
    created: str
    """When the run began, ISO 8601."""
    verdict: str
    conditions: Mapping[str, Condition]
    values: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """As a line of the history has it."""
        return {"version": VERSION, **asdict(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Measured":
        """What `to_json` wrote. Raises ValueError for another version, KeyError and TypeError for anything else."""
        if data["version"] != VERSION:
            raise ValueError(f"figures of version {data['version']}, this harness reads version {VERSION}")
        return cls(**{name: data[name] for name in cls.__dataclass_fields__})


def differences(one: Measured, other: Measured, across: Collection[str] = ()) -> list[Difference]:
    """The conditions that keep two runs from being compared, in order; those that are to be compared `across` are none."""
    first, second = ({"scenario": run.scenario, **run.conditions} for run in (one, other))
    keys = sorted((first.keys() | second.keys()) - set(across))
    found = ((key, first.get(key), second.get(key)) for key in keys)
    return [(key, was, now) for key, was, now in found if not _equal(key, was, now)]


def differences_text(found: Collection[Difference]) -> str:
    """`workers 1 against 2; machine.cpus 2 against 4`, in one line."""
    named = [f"{key} {_text(was)} against {_text(now)}" for key, was, now in list(found)[:MOST_NAMED]]
    more = [f"and {len(found) - MOST_NAMED} more"] if len(found) > MOST_NAMED else []
    return "; ".join([*named, *more])


def _equal(key: str, was: Condition, now: Condition) -> bool:
    if key == MEMORY and isinstance(was, int | float) and isinstance(now, int | float):
        return abs(was - now) <= MEMORY_TOLERANCE * max(was, now)
    return was == now


def _text(value: Condition) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return ("no", "yes")[value]
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"
