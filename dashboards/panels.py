"""Builders of Grafana's classic panel JSON: one function a kind of panel. An id is given once and never used again."""

from collections.abc import Mapping, Sequence
from typing import Any

from dashboards.queries import DATASOURCE, Target

Json = dict[str, Any]
Steps = Sequence[tuple[str, float | None]]

PLAIN: Steps = (("green", None),)
VERDICTS = {0: ("pass", "green"), 1: ("fail", "red"), 2: ("invalid", "purple")}
PASSED = {0: ("no", "red"), 1: ("yes", "green")}


def at_most(limit: float) -> Steps:
    """Green, and red from the limit on."""
    return (("green", None), ("red", limit))


def at_least(limit: float) -> Steps:
    """Red, and green from the limit on."""
    return (("red", None), ("green", limit))


def fields(unit: str, steps: Steps = PLAIN, mappings: Mapping[int, tuple[str, str]] | None = None, **more: Any) -> Json:
    """What holds for all values of a panel: unit, thresholds, words for numbers."""
    defaults: Json = {
        "unit": unit,
        "thresholds": {"mode": "absolute", "steps": [{"color": color, "value": value} for color, value in steps]},
        **more,
    }
    if mappings:
        defaults["mappings"] = [words(mappings)]
    return defaults


def words(mappings: Mapping[int, tuple[str, str]]) -> Json:
    """Words, with colors, in the place of numbers."""
    options = {str(value): {"text": text, "color": color, "index": value} for value, (text, color) in mappings.items()}
    return {"type": "value", "options": options}


def column(name: str, **properties: Any) -> Json:
    """Settings of one column or series; dots of their ids are written as `__`."""
    listed = [{"id": key.replace("__", "."), "value": value} for key, value in properties.items()]
    return {"matcher": {"id": "byName", "options": name}, "properties": listed}


def axis(pattern: str, unit: str) -> Json:
    """Series whose name matches have a unit, and so an axis, of their own: bytes would flatten what is counted."""
    properties = [{"id": "unit", "value": unit}, {"id": "custom.axisPlacement", "value": "right"}]
    return {"matcher": {"id": "byRegexp", "options": pattern}, "properties": properties}


def panel(
    kind: str,
    number: int,
    title: str,
    description: str,
    targets: Sequence[Target],
    defaults: Json,
    options: Json,
    size: tuple[int, int],
    overrides: Sequence[Json] = (),
) -> Json:
    """Any panel; `size` is width (of 24) and height, its place comes from the dashboard."""
    return {
        "id": number,
        "type": kind,
        "title": title,
        "description": description,
        "datasource": DATASOURCE,
        "gridPos": {"w": size[0], "h": size[1], "x": 0, "y": 0},
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": DATASOURCE, "rawQuery": True, **target}
            for index, target in enumerate(targets)
        ],
        "fieldConfig": {"defaults": defaults, "overrides": list(overrides)},
        "options": options,
    }


def row(number: int, title: str) -> Json:
    """A heading over the panels that follow."""
    return {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": _place(24, 1), "panels": []}


def _place(width: int, height: int) -> Json:
    return {"w": width, "h": height, "x": 0, "y": 0}


def graph(
    number: int,
    title: str,
    description: str,
    targets: Sequence[Target],
    unit: str,
    *,
    limits: Steps = PLAIN,
    size: tuple[int, int] = (12, 8),
    custom: Json | None = None,
    overrides: Sequence[Json] = (),
    least: float | None = 0,
) -> Json:
    """Series over time. Limits are drawn as lines; a second is the smallest step."""
    drawing = {"lineWidth": 1, "fillOpacity": 0, "showPoints": "auto", "pointSize": 4, "spanNulls": False, "drawStyle": "line"}
    drawing["thresholdsStyle"] = {"mode": "line" if len(limits) > 1 else "off"}
    more: Json = {} if least is None else {"min": least}
    defaults = fields(unit, limits, custom={**drawing, **(custom or {})}, color={"mode": "palette-classic"}, **more)
    options = {"legend": _legend(), "tooltip": {"mode": "multi", "sort": "desc"}}
    made = panel("timeseries", number, title, description, targets, defaults, options, size, overrides)
    return {**made, "interval": "1s"}


STACKED: Json = {"stacking": {"mode": "normal", "group": "A"}, "fillOpacity": 30}
BARS: Json = {**STACKED, "drawStyle": "bars", "fillOpacity": 70}
RUNS: Json = {"drawStyle": "line", "showPoints": "always", "pointSize": 7, "spanNulls": True}
"""A point a run, joined by lines."""


def _legend() -> Json:
    return {"displayMode": "table", "placement": "bottom", "showLegend": True, "calcs": ["max", "lastNotNull"]}


def stat(
    number: int,
    title: str,
    description: str,
    targets: Sequence[Target],
    defaults: Json,
    size: tuple[int, int] = (4, 4),
    **options: Any,
) -> Json:
    """One number, or a few, in large."""
    reduce = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    shown = {"reduceOptions": reduce, "colorMode": "value", "graphMode": "none", "textMode": "auto", **options}
    return panel("stat", number, title, description, targets, defaults, shown, size)


def table(
    number: int,
    title: str,
    description: str,
    targets: Sequence[Target],
    unit: str,
    *,
    columns: Sequence[Json] = (),
    transformations: Sequence[Json] = (),
    size: tuple[int, int] = (24, 8),
    sort: tuple[str, bool] | None = None,
) -> Json:
    """Rows and columns; `sort` is a column and whether its largest value comes first."""
    defaults = fields(unit, custom={"align": "auto", "filterable": True})
    options: Json = {"showHeader": True, "cellHeight": "sm"}
    if sort is not None:
        options["sortBy"] = [{"displayName": sort[0], "desc": sort[1]}]
    made = panel("table", number, title, description, targets, defaults, options, size, columns)
    return {**made, "transformations": list(transformations)}


def heatmap(number: int, title: str, description: str, target: Target, size: tuple[int, int] = (12, 8)) -> Json:
    """Counts by bucket over time; a column is named after the upper bound of its bucket."""
    defaults = fields("short", custom={"scaleDistribution": {"type": "linear"}})
    options = {
        "calculate": False,
        "cellGap": 0,
        "color": {
            "mode": "scheme",
            "scheme": "Oranges",
            "scale": "exponential",
            "exponent": 0.5,
            "steps": 64,
            "reverse": False,
        },
        "filterValues": {"le": 1e-9},
        "rowsFrame": {"layout": "le"},
        "cellValues": {"unit": "short"},
        "yAxis": {"axisPlacement": "left", "unit": "ms", "reverse": False},
        "legend": {"show": True},
        "tooltip": {"mode": "single", "yHistogram": True},
    }
    return {**panel("heatmap", number, title, description, [target], defaults, options, size), "interval": "1s"}


def trend(number: int, title: str, description: str, targets: Sequence[Target], unit: str, limits: Steps = PLAIN) -> Json:
    """Series over `elapsed_s`, which all targets have: runs of different days over each other."""
    drawing = {"lineWidth": 1, "fillOpacity": 0, "showPoints": "never", "spanNulls": False, "drawStyle": "line"}
    drawing["thresholdsStyle"] = {"mode": "line" if len(limits) > 1 else "off"}
    defaults = fields(unit, limits, custom=drawing, color={"mode": "palette-classic"}, min=0)
    options = {"xField": "elapsed_s", "legend": _legend(), "tooltip": {"mode": "multi", "sort": "none"}}
    axis = column("elapsed_s", unit="s", displayName="elapsed")
    made = panel("trend", number, title, description, targets, defaults, options, (12, 9), [axis])
    return {**made, "transformations": [without("Time"), join("elapsed_s", "outer")]}


def history(number: int, title: str, description: str, target: Target, mappings: Mapping[int, tuple[str, str]]) -> Json:
    """Words over time, in colors."""
    defaults = fields("short", mappings=mappings, custom={"lineWidth": 1, "fillOpacity": 80})
    options = {"showValue": "auto", "rowHeight": 0.9, "colWidth": 0.9, "legend": {"showLegend": False}}
    return panel("status-history", number, title, description, [target], defaults, options, (24, 6))


# Transformations.


def join(field: str, mode: str) -> Json:
    """Rows of all targets with the same value of a field, in one."""
    return {"id": "joinByField", "options": {"byField": field, "mode": mode}}


def without(*names: str) -> Json:
    """All columns but these."""
    return {"id": "filterFieldsByName", "options": {"exclude": {"names": list(names)}}}


def calculated(alias: str, left: str, operator: str, right: str) -> Json:
    """One more column, made of two."""
    sides = {side: {"matcher": {"id": "byName", "options": name}} for side, name in (("left", left), ("right", right))}
    return {"id": "calculateField", "options": {"mode": "binary", "alias": alias, "binary": {**sides, "operator": operator}}}


def ordered(*names: str) -> Json:
    """The columns in this order; others come after."""
    options = {"indexByName": {name: index for index, name in enumerate(names)}, "excludeByName": {}, "renameByName": {}}
    return {"id": "organize", "options": options}
