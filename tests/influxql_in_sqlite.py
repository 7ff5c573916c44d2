"""InfluxQL's statements of the dashboards, asked of a run's files: points in SQLite, which has nothing to do with InfluxDB.

Understands what the dashboards use: fields, aggregates, arithmetic, conditions with regular expressions, `GROUP BY time(...)`
and tags, a nested SELECT, SHOW TAG VALUES.
"""

import math
import re
import sqlite3
from collections.abc import Mapping
from typing import Any

from tests.influxd import Key

Row = tuple[Any, ...]
_UNITS_NS = {"ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9, "d": 86_400 * 10**9, "w": 604_800 * 10**9}
_SELECT = re.compile(
    r"SELECT (?P<what>.*?) FROM (?P<where>\(.*?\)(?= WHERE)|\"\w+\")(?: WHERE (?P<when>.*?))?(?: GROUP BY (?P<by>.*?))?"
    r"(?: fill\(\w+\))?(?: ORDER BY time DESC LIMIT \d+)?",
)
_SHOW = re.compile(r'SHOW TAG VALUES FROM ("\w+") WITH KEY = ("\w+")(?: WHERE (.*))?')


class _Last:
    """`last`: the value with the greatest time."""

    def __init__(self) -> None:
        self._time, self._value = -math.inf, None

    def step(self, value: Any, time: int) -> None:
        """One row."""
        if value is not None and time >= self._time:
            self._time, self._value = time, value

    def finalize(self) -> Any:
        """The last one."""
        return self._value


class Points:
    """Points in a database of their own, a table a measurement."""

    def __init__(self, points: Mapping[Key, Mapping[str, Any]]) -> None:
        self._tags: dict[str, set[str]] = {}
        self._database = sqlite3.connect(":memory:")
        self._database.create_function("REGEXP", 2, lambda pattern, text: text is not None and bool(re.search(pattern, text)))
        self._database.create_aggregate("last", 2, _Last)  # type: ignore[arg-type]
        columns: dict[str, set[str]] = {}
        for (measurement, tags, _), fields in points.items():
            self._tags.setdefault(measurement, set()).update(name for name, _ in tags)
            columns.setdefault(measurement, set()).update(fields, (name for name, _ in tags))
        for measurement, names in columns.items():
            self._database.execute(f'CREATE TABLE "{measurement}" (time INTEGER, {", ".join(map(_quoted, sorted(names)))})')
        for (measurement, tags, time), fields in points.items():
            row = {"time": time, **dict(tags), **{name: _number(value) for name, value in fields.items()}}
            marks = ", ".join("?" * len(row))
            statement = f'INSERT INTO "{measurement}" ({", ".join(map(_quoted, row))}) VALUES ({marks})'
            self._database.execute(statement, list(row.values()))

    def ask(self, text: str) -> list[Row]:
        """The answer: tags of groups by their names, time (ns) where `is_timed`, values; rows of nothing left out."""
        if show := _SHOW.fullmatch(text):
            if not self._has(show[1]):
                return []
            condition = f" WHERE {_condition(show[3])}" if show[3] else ""
            return self._rows(f"SELECT DISTINCT {show[2]} FROM {show[1]}{condition}")
        found = _SELECT.fullmatch(text)
        assert found is not None, f"not understood: {text}"
        if not found["where"].startswith("(") and not self._has(found["where"]):
            return []
        tags, step_ns = _groups(found["by"] or "")
        rows = self._rows(_statement(found, tags, step_ns))
        known = self._tags.get(found["where"].strip('"'), set())
        chosen = [name.strip('"') for name in _split(found["what"])]
        # A point has no row when it has none of the fields asked for; tags do not count.
        fields = [place for place, name in enumerate(chosen) if name.split('" AS')[0] not in known]
        first = len(tags) + is_timed(text)
        return [row for row in rows if any(row[first + place] is not None for place in fields)]

    def _has(self, measurement: str) -> bool:
        return measurement.strip('"') in self._tags

    def _rows(self, statement: str) -> list[Row]:
        try:
            return self._database.execute(statement).fetchall()
        except sqlite3.Error as error:
            raise AssertionError(f"{error}: {statement}") from error


def is_timed(text: str) -> bool:
    """Whether rows have a time of their own: those of single points and of steps of time have."""
    found = _SELECT.fullmatch(text)
    return found is not None and ("time(" in (found["by"] or "") or not _aggregates(found["what"]))


def _statement(found: "re.Match[str]", tags: list[str], step_ns: int | None) -> str:
    what = re.sub(r'last\(("\w+")\)', r"last(\1, time)", found["what"]).replace("mean(", "avg(")
    what = re.sub(r'(count\("\w+"\))', r"nullif(\1, 0)", what)  # of nothing there is no count
    source = found["where"]
    if source.startswith("("):
        inner = _SELECT.fullmatch(source[1:-1])
        assert inner is not None, source
        source = f"(SELECT time, {', '.join([*tags, inner['what']])} FROM {inner['where']} WHERE {_condition(inner['when'])})"
    groups = list(tags)
    if step_ns is not None:
        groups.append(f"time - time % {step_ns}")
    shown = groups if step_ns is not None or _aggregates(what) else [*groups, "time"]
    statement = f"SELECT {', '.join([*shown, what])} FROM {source}"
    if found["when"]:
        statement += f" WHERE {_condition(found['when'])}"
    return statement + (f" GROUP BY {', '.join(groups)}" if groups and _aggregates(what) else "")


def _aggregates(what: str) -> bool:
    return bool(re.search(r"\b(sum|max|last|mean|avg|count)\(", what))


def _groups(text: str) -> tuple[list[str], int | None]:
    """Tags, and the step of time."""
    step = re.search(r"time\((\d+)([a-z]+)\)", text)
    return sorted(re.findall(r'"\w+"', text)), int(step[1]) * _UNITS_NS[step[2]] if step else None


def _condition(text: str) -> str:
    text = re.sub(r'("\w+") ([=!])~ /((?:\\/|[^/])*)/', _match, text)
    return re.sub(r"(\d+)ms\b", lambda found: str(int(found[1]) * 10**6), text)


def _match(found: "re.Match[str]") -> str:
    column, sign, pattern = found.groups()
    return f"{column} {'NOT ' if sign == '!' else ''}REGEXP {_literal(pattern)}"


def _literal(pattern: str) -> str:
    return "'" + pattern.replace("\\/", "/").replace("'", "''") + "'"


def _split(what: str) -> list[str]:
    """Columns, parted at the commas that no parenthesis encloses."""
    return re.split(r", (?![^(]*\))", what)


def _quoted(name: str) -> str:
    return f'"{name}"'


def _number(value: Any) -> Any:
    """Division of integers gives a fraction there."""
    return float(value) if isinstance(value, int) else value
