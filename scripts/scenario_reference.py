"""Writes docs/scenarios.md from the schema, so that the page cannot say anything else: `make docs`."""

import inspect
import types
import typing
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from loadtests.scenario import schema, system

PAGE = Path(__file__).parents[1] / "docs" / "scenarios.md"
HEAD = """# Scenarios

<!-- Written by scripts/scenario_reference.py from loadtests/scenario/schema.py and system.py; `make docs` writes it anew. -->

A scenario is a TOML file. Unknown keys are errors, and every duration (`"30s"`), share (`"1%"`) and limit has its unit.
`loadtest validate` reports every error of every file. `scenarios/` has examples; the README has a small one.
"""
TABLES: list[tuple[str, type[BaseModel]]] = [
    ("Top level", schema.Scenario),
    ("`[target]`", schema.Target),
    ("`[auth]`", schema.Auth),
    ("`[load]`", schema.Load),
    ("`load.stages`", schema.Stage),
    ("`[requests.NAME]`", schema.Request),
    ("`[[mix]]`", schema.Share),
    ("`[objectives]`: a text each, or a table", schema.ObjectiveTable),
    ("`[health]`", schema.Health),
    ("`[tasks]`", system.Tasks),
    ("`[tasks.api]`", system.TasksApi),
    ("`[probes]`", system.Probes),
    ("`[probes.prometheus.NAME]`", system.PrometheusProbe),
    ("`[probes.prometheus.NAME.select]`: a table for each metric", system.Selection),
    ("`[probes.shares]`: a table for each ratio", system.CounterShare),
    ("`[[faults]]`", system.Fault),
    ("`[stack]`", system.Stack),
]


def page() -> str:
    """The whole page."""
    return HEAD + "".join(f"\n## {title}\n\n{_about(table)}\n\n{_rows(table)}" for title, table in TABLES)


def _about(table: type[BaseModel]) -> str:
    text = inspect.cleandoc(table.__doc__ or "").split(":", 1)[-1].strip()
    return text[0].upper() + text[1:]


def _rows(table: type[BaseModel]) -> str:
    lines = ["| key | default | meaning |", "|---|---|---|"]
    lines += [f"| `{name}` | {_default(field)} | {_meaning(field)} |" for name, field in table.model_fields.items()]
    return "\n".join(lines) + "\n"


def _default(field: FieldInfo) -> str:
    value = field.default
    if field.is_required():
        return "required"
    if value is None or value is PydanticUndefined or isinstance(value, BaseModel) or value in ((), {}, ""):
        return ""
    if _is_unit(field, "_duration"):
        return f"`{value:g}s`"
    return f"`{value * 100:g}%`" if _is_unit(field, "_ratio") else f"`{_text(value)}`"


def _is_unit(field: FieldInfo, parser: str) -> bool:
    return any(getattr(getattr(one, "func", None), "__name__", "") == parser for one in field.metadata)


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _meaning(field: FieldInfo) -> str:
    choices = _choices(field.annotation)
    text = " ".join((field.description or _if_table(field.annotation)).split())
    return " ".join(filter(None, [f"{choices}." if choices else "", text])).replace("|", "\\|")


def _if_table(annotation: object) -> str:
    tables = (annotation, *typing.get_args(annotation))
    return "Table below." if any(isinstance(one, type) and issubclass(one, BaseModel) for one in tables) else ""


def _choices(annotation: object) -> str:
    if typing.get_origin(annotation) is typing.Literal:
        return ", ".join(f"`{choice}`" for choice in typing.get_args(annotation))
    if isinstance(annotation, types.UnionType):
        return next(filter(None, map(_choices, typing.get_args(annotation))), "")
    return ""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
