"""Reads line protocol back, as InfluxDB does."""

import re
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Point:
    """One point."""

    measurement: str
    tags: dict[str, str]
    fields: dict[str, Any]
    time: int


def parse(line: str) -> Point:
    """The point of a line. Raises ValueError for a line that InfluxDB would refuse."""
    found = re.fullmatch(r'((?:\\.|[^ \\])+) ((?:"(?:\\.|[^"\\])*"|\\.|[^ "\\])+) (\d+)', line, re.DOTALL)
    if found is None:
        raise ValueError(line)
    measurement, *tags = re.split(r"(?<!\\),", found[1])
    fields = re.findall(r'((?:\\.|[^,=\\])+)=("(?:\\.|[^"\\])*"|[^,]+)', found[2], re.DOTALL)
    pairs = [re.split(r"(?<!\\)=", tag) for tag in tags]
    return Point(
        measurement, {key: _plain(value) for key, value in pairs}, {key: _value(text) for key, text in fields}, int(found[3])
    )


def _plain(text: str) -> str:
    return re.sub(r"\\([ ,=])", r"\1", text)


def _value(text: str) -> Any:
    if text.startswith('"'):
        return re.sub(r'\\(["\\])', r"\1", text[1:-1])
    return int(text[:-1]) if text.endswith("i") else float(text)
