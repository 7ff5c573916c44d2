"""From Pydantic's errors to problems that a person can mend: the key as the file has it, what was wrong, what was meant."""

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from loadtests.errors import Problem
from loadtests.scenario.schema import Scenario
from loadtests.settings import without_user


def problems_of(path: Path, error: ValidationError, file: type[BaseModel] = Scenario) -> Iterator[Problem]:
    """One problem for each fault of a file; `file` is what it should have been."""
    details = {key_path(detail["loc"]): detail for detail in error.errors()}
    for key, detail in details.items():
        # A list whose entries are all wrong is not too short as well.
        if detail["type"] != "too_short" or not any(other.startswith(f"{key}[") for other in details):
            yield Problem(str(path), key, message_of(detail, file))


def key_path(loc: tuple[int | str, ...]) -> str:
    """Where a fault is, as a person would say it: `mix[0].journey`."""
    if loc[:1] == ("objectives",):
        loc = loc[:2] + loc[3:]  # after its name stands which form of an objective was tried
    text = ""
    for part in loc:
        if part != "[key]":  # the fault is the key itself
            text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def message_of(detail: ErrorDetails, file: type[BaseModel] = Scenario) -> str:
    """What is wrong, and the value that was found."""
    if detail["type"] == "extra_forbidden":
        guess = _nearest(detail["loc"], file)
        return "unknown key" + (f"; did you mean {guess!r}?" if guess else "")
    if detail["type"] == "missing":
        return "is missing"
    text = detail["msg"].removeprefix("Value error, ")
    found = detail["input"]
    if not isinstance(found, str | int | float | bool):
        return f"{text[0].lower()}{text[1:]}"
    shown = without_user(found) if isinstance(found, str) else found  # an address may hold a password
    return f"{text[0].lower()}{text[1:]} (got {shown!r})"


def _nearest(loc: tuple[int | str, ...], file: type[BaseModel]) -> str | None:
    """The key of the same table that is spelt most like the unknown one."""
    table: Any = file
    for part in loc[:-1]:
        if isinstance(part, str) and table is not None:
            field = table.model_fields.get(part)
            table = _table_of(field.annotation) if field else table
    if table is None:
        return None
    close = difflib.get_close_matches(str(loc[-1]), table.model_fields, n=1)
    return close[0] if close else None


def _table_of(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_table_of, get_args(annotation))), None)
