"""A dashboard around its panels: variables, annotations, links to the others, and the panels' places."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from dashboards.panels import Json
from dashboards.queries import DATASOURCE, RUN, SCENARIO, TIME, select, tag_values

SCHEMA_VERSION = 39
"""Classic JSON that Grafana 12 reads as it is; file provisioning refuses the newer schema."""
COLUMNS = 24
COMPARE = "loadtest-compare"
GRAFANA = {"type": "grafana", "uid": "-- Grafana --"}
TITLES = {
    "loadtest-live": "Live run",
    "loadtest-endpoints": "Endpoints",
    "loadtest-stack": "Stack under test",
    "loadtest-runs": "Runs and trend",
    "loadtest-compare": "Compare A and B",
    "loadtest-generator": "Generator health",
}


@dataclass(frozen=True)
class Page:
    """What one dashboard has of its own."""

    uid: str
    description: str
    variables: Sequence[Json]
    panels: Sequence[Json]
    since: str = "now-15m"
    refresh: str = ""
    extra: Json = field(default_factory=dict)

    def to_json(self) -> Json:
        """The dashboard as Grafana reads it."""
        return {
            "uid": self.uid,
            "id": None,
            "title": TITLES[self.uid],
            "description": self.description,
            "tags": ["loadtest"],
            "schemaVersion": SCHEMA_VERSION,
            "editable": True,
            "graphTooltip": 1,
            "time": {"from": self.since, "to": "now"},
            "timezone": "",
            "refresh": self.refresh,
            "timepicker": {},
            "links": links(self.uid),
            "annotations": {"list": annotations(self.variables)},
            "templating": {"list": list(self.variables)},
            "panels": placed(self.panels),
            **self.extra,
        }


def placed(panels: Sequence[Json]) -> list[Json]:
    """The panels from left to right, a new line where one does not fit any more, with no gaps and no overlap."""
    made, x, y, height = [], 0, 0, 0
    for panel in panels:
        size = panel["gridPos"]
        if x + size["w"] > COLUMNS:
            x, y, height = 0, y + height, 0
        made.append({**panel, "gridPos": {**size, "x": x, "y": y}})
        x, height = x + size["w"], max(height, size["h"])
    return made


def links(uid: str) -> list[Json]:
    """To each other dashboard, with variables and time of this one; the comparison has names of its own for its runs."""
    chosen = "?var-run=${run_b}" if uid == COMPARE else ""
    return [
        {
            "type": "link",
            "title": title,
            "url": f"/d/{other}" + ("?var-run_a=${run}" if other == COMPARE else chosen),
            "icon": "dashboard",
            "includeVars": True,
            "keepTime": True,
            "targetBlank": False,
            "asDropdown": False,
            "tags": [],
            "tooltip": "",
        }
        for other, title in TITLES.items()
        if other != uid
    ]


# Annotations.


def annotations(variables: Sequence[Json]) -> list[Json]:
    """What was posted to the dashboard, and the events of the run where one is chosen."""
    posted = {"name": "Annotations & Alerts", "builtIn": 1, "type": "dashboard", "datasource": GRAFANA}
    found: list[Json] = [{**posted, "enable": True, "hide": True, "iconColor": "rgba(0, 211, 255, 1)"}]
    if any(variable["name"] == "run" for variable in variables):
        found.append(_events("Course of the run", "blue", "start|stop|stage"))
        found.append(_events("Trouble", "red", "halt|abort|worker_lost|process_ended"))
        found.append(_events("Faults", "purple", "fault"))
        found.append(_events("Missed objectives", "orange", "objective_missed"))
    return found


def _events(name: str, color: str, kinds: str) -> Json:
    # Grafana looks for its columns by parts of `measurement.column`, where `event` and `text` would be found in too many.
    columns = '"event" AS "headline", "event" AS "kind", "text" AS "said"'
    query = select(columns, "loadtest_event", RUN, f'"event" =~ /^({kinds})$/', TIME)
    target = {"refId": "Anno", "query": query, "queryType": "tags", "rawQuery": True, "fromAnnotations": True, "name": name}
    target |= {"textColumn": "said", "tagsColumn": "kind", "titleColumn": "headline", "timeEndColumn": ""}
    return {"name": name, "datasource": DATASOURCE, "enable": True, "hide": False, "iconColor": color, "target": target}


# Variables.


def variable(name: str, label: str, query: str, *, everything: bool = False, multi: bool = False, newest: bool = False) -> Json:
    """A list of a tag's values; `everything` adds All, `newest` turns the alphabet round: run ids begin with a time."""
    made: Json = {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "definition": query,
        "query": {"query": query, "refId": "InfluxVariableQueryEditor-VariableQuery"},
        "refresh": 2,
        "sort": 2 if newest else 1,
        "regex": "",
        "multi": multi,
        "includeAll": everything,
        "hide": 0,
        "options": [],
        "current": {},
    }
    if everything:
        made |= {"allValue": ".*", "current": {"text": "All", "value": "$__all"}}
        if multi:
            made["current"] = {"text": ["All"], "value": ["$__all"]}
    return made


def scenario(measurement: str = "loadtest_window") -> Json:
    """Which scenario's runs are offered."""
    return variable("scenario", "Scenario", tag_values(measurement, "scenario"), everything=True)


def run(name: str = "run", label: str = "Run", measurement: str = "loadtest_window") -> Json:
    """Which run is shown; the newest one, unless another is chosen."""
    return variable(name, label, tag_values(measurement, "run_id", SCENARIO), newest=True)


def endpoint(measurement: str = "loadtest_requests", where: str = RUN, **how: Any) -> Json:
    """Which request names are shown."""
    return variable("endpoint", "Endpoint", tag_values(measurement, "name", where), **how)
