"""What Grafana makes of a dashboard's InfluxQL before it sends it: macros and variables put in, as its InfluxDB plugin does.

Written after the plugin of Grafana 12: variables are put in by the browser (formats included), `$timeFilter`, `$interval`,
`$__interval_ms` and `$__interval` by the backend, in this order.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Json = Mapping[str, Any]
Values = Mapping[str, str | Sequence[str]]
ALL = "$__all"
"""The value of a variable whose choice is All."""
VARIABLE = re.compile(r"\$(\w+)|\[\[(\w+?)(?::(\w+))?\]\]|\$\{(\w+)(?::([^}]+))?\}")
BY_BACKEND = ("timeFilter", "interval", "__interval", "__interval_ms")
MAX_DATA_POINTS = 1000
SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000
# Grafana's round intervals, each with the end of what is rounded to it.
STEPS_MS = (
    *((10, 1), (15, 10), (35, 20), (75, 50), (150, 100), (350, 200), (750, 500), (1500, SECOND), (3500, 2 * SECOND)),
    *((7500, 5 * SECOND), (12_500, 10 * SECOND), (17_500, 15 * SECOND), (25_000, 20 * SECOND), (45_000, 30 * SECOND)),
    *((90_000, MINUTE), (210_000, 2 * MINUTE), (450_000, 5 * MINUTE), (750_000, 10 * MINUTE), (1_050_000, 15 * MINUTE)),
    *((1_500_000, 20 * MINUTE), (2_700_000, 30 * MINUTE), (5_400_000, HOUR), (9_000_000, 2 * HOUR), (16_200_000, 3 * HOUR)),
    *((32_400_000, 6 * HOUR), (DAY, 12 * HOUR), (7 * DAY, DAY), (21 * DAY, 7 * DAY), (42 * DAY, 30 * DAY)),
)
LONGEST_MS = 365 * DAY


@dataclass(frozen=True)
class Query:
    """A query as InfluxDB gets it."""

    kind: Literal["panel", "variable", "annotation"]
    where: str
    """Dashboard, panel and target, for a message."""
    text: str
    table: bool = False


@dataclass(frozen=True)
class Board:
    """A dashboard with the choices of its variables and its time range."""

    dashboard: Json
    values: Values
    from_ms: int
    to_ms: int
    options: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """What the variables offer: the choice All of one without a text of its own stands for all of them."""

    def queries(self) -> Iterator[Query]:
        """Every query of the dashboard: of its variables, its annotations and its panels, hidden ones too."""
        uid = self.dashboard["uid"]
        for variable in self.dashboard["templating"]["list"]:
            if variable["type"] == "query":
                query = variable["query"]
                text = query if isinstance(query, str) else query["query"]
                yield Query("variable", f"{uid} variable {variable['name']}", self.put_in(text))
        for annotation in self.dashboard["annotations"]["list"]:
            text = annotation.get("target", {}).get("query")
            if text:
                yield Query("annotation", f"{uid} annotation {annotation['name']}", self.put_in(text))
        for panel in all_panels(self.dashboard["panels"]):
            yield from self._panel(uid, panel)

    def _panel(self, uid: str, panel: Json) -> Iterator[Query]:
        interval_ms = self.interval_ms(panel)
        for own in self._repetitions(panel):
            for target in panel.get("targets", []):
                where = f"{uid} panel {panel['id']} {panel['title']!r} {target['refId']}"
                board = Board(self.dashboard, {**self.values, **own}, self.from_ms, self.to_ms, self.options)
                yield Query("panel", where, board.put_in(target["query"], interval_ms), target["resultFormat"] == "table")

    def _repetitions(self, panel: Json) -> list[dict[str, str]]:
        """The variable that a panel is repeated by has one value in each."""
        name = panel.get("repeat")
        return [{name: value} for value in self._chosen(name)] if name else [{}]

    def _chosen(self, name: str) -> Sequence[str]:
        value = self.values[name]
        if value in (ALL, [ALL]):
            return self.options[name]
        return [value] if isinstance(value, str) else value

    def interval_ms(self, panel: Json) -> int:
        """`$__interval` of a panel: the range over its points, rounded, and not less than the panel says."""
        wanted = (self.to_ms - self.from_ms) / (panel.get("maxDataPoints") or MAX_DATA_POINTS)
        return max(rounded(wanted), milliseconds(panel.get("interval") or "1ms"))

    def put_in(self, text: str, interval_ms: int = SECOND) -> str:
        """The text with all variables and macros replaced."""
        text = VARIABLE.sub(lambda found: self._replaced(found, text), text)
        interval = duration(interval_ms)
        filtered = text.replace("$timeFilter", f"time >= {self.from_ms}ms and time <= {self.to_ms}ms")
        filtered = filtered.replace("$interval", interval).replace("$__interval_ms", str(interval_ms))
        return filtered.replace("$__interval", interval)

    def _replaced(self, found: re.Match[str], text: str) -> str:
        name = found[1] or found[2] or found[4]
        form = found[3] or found[5] or ""
        if name in BY_BACKEND:
            return f"${name}"
        if name in ("__from", "__to"):
            return _moment(self.from_ms if name == "__from" else self.to_ms, form)
        if name not in self.values:
            return found[0]
        value = self.values[name]
        variable = next(one for one in self.dashboard["templating"]["list"] if one["name"] == name)
        if value in (ALL, [ALL]):
            if variable.get("allValue"):
                return str(variable["allValue"])  # as it is, whatever the format
            value = list(self.options[name])
        return formatted(value, form) if form else in_query(value, variable, text)


def in_query(value: str | Sequence[str], variable: Json, text: str) -> str:
    """A value without a format, as the InfluxDB plugin puts it in: escaped in a regular expression, or if it may be many."""
    many = not isinstance(value, str)
    regex = any(re.search(rf"\$(\{{|)?{variable['name']}\b|\[\[{variable['name']}\]\]", one) for one in regexes(text))
    if variable.get("multi") or regex:
        if not many and re.match(r"[+-]?\.?\d", str(value)):
            return str(value)  # whatever begins like a number
        return f"({'|'.join(escaped(one) for one in value)})" if many else escaped(str(value))
    return ",".join(value) if many else str(value)


def regexes(text: str) -> list[str]:
    """What stands between slashes after an operator."""
    return re.findall(r"(?:=~|!~)\s*/((?:[^/\\]|\\.)*)/", text)


def formatted(value: str | Sequence[str], form: str) -> str:
    """A value in one of Grafana's formats."""
    values = [value] if isinstance(value, str) else list(value)
    match form:
        case "regex":
            made = [escaped(one) for one in values]
            return made[0] if len(made) == 1 else f"({'|'.join(made)})"
        case "pipe":
            return "|".join(values)
        case "csv" | "raw":
            return ",".join(values)
        case "singlequote":
            return ",".join("'" + one.replace("'", r"\'") + "'" for one in values)
        case "doublequote":
            return ",".join('"' + one.replace('"', r"\"") + '"' for one in values)
    raise ValueError(f"a format that no dashboard here uses: {form}")


def escaped(text: str) -> str:
    """As Grafana's escapeRegex, which knows slashes and leaves dashes alone."""
    return re.sub(r"[\\^$*+?.()|\[\]{}/]", r"\\\g<0>", text)


def all_panels(panels: Sequence[Json]) -> Iterator[Json]:
    """Panels, with those of collapsed rows."""
    for panel in panels:
        yield panel
        yield from panel.get("panels") or []


def rounded(interval_ms: float) -> int:
    """Grafana's choice of a round interval."""
    return next((step for below, step in STEPS_MS if interval_ms < below), LONGEST_MS)


def milliseconds(text: str) -> int:
    """Of an interval such as `1s` or `>10s`."""
    found = re.fullmatch(r">?(\d+)(ms|s|m|h|d)", text)
    assert found is not None, text
    return int(found[1]) * {"ms": 1, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}[found[2]]


def duration(interval_ms: int) -> str:
    """An interval as InfluxQL has it."""
    for unit, size in (("d", DAY), ("h", HOUR), ("m", MINUTE), ("s", SECOND)):
        if interval_ms % size == 0:
            return f"{interval_ms // size}{unit}"
    return f"{interval_ms}ms"


def _moment(moment_ms: int, form: str) -> str:
    if form in ("", "raw"):
        return str(moment_ms)
    if form == "date:seconds":
        return str(moment_ms // 1000)
    raise ValueError(f"a format of times that no dashboard here uses: {form}")
