"""Puts the dashboards and the marks of a run into Grafana."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import loadtests
from loadtests import settings
from loadtests.errors import InputError
from loadtests.sinks.grafana import Annotation, Grafana, influx_datasource
from loadtests.store.folder import RunFolder
from loadtests.store.records import read_json, read_lines

FOLDER = Path(loadtests.__file__).parents[1] / "dashboards" / "json"
FOLDER_UID = "loadtest"
FOLDER_TITLE = "Load tests"
DATASOURCE_UID = "loadtest-influxdb"
"""As every query of the dashboards names it."""
MARKED = "loadtest-live"
"""The dashboard that runs are marked on."""


def provision(url: str, environ: Mapping[str, str], influx: str | None = None, database: str | None = None) -> list[str]:
    """Bring folder, datasource and dashboards into the Grafana at `url`; a line for each, saying what was done.

    Without an address of InfluxDB (`influx`, LOADTEST_INFLUX_URL) the datasource stays as it is. Raises LoadtestError.
    """
    dashboards = _dashboards()
    influx = influx or environ.get(settings.INFLUX_URL)
    database = database or environ.get(settings.INFLUX_DATABASE) or "loadtest"
    datasource = influx_datasource(DATASOURCE_UID, influx, database, environ) if influx else None
    grafana = Grafana(url, environ)
    lines = [f"Grafana {grafana.version()} at {grafana.url}"]
    lines.append(f"folder      {FOLDER_TITLE}: {grafana.ensure_folder(FOLDER_UID, FOLDER_TITLE)}")
    if datasource is not None:
        lines.append(f"datasource  {datasource['url']} {database}: {grafana.ensure_datasource(datasource)}")
    elif grafana.has_datasource(DATASOURCE_UID):
        lines.append(f"datasource  {DATASOURCE_UID}: unchanged")
    else:
        lines.append(f"datasource  {DATASOURCE_UID}: there is none; name your InfluxDB with --influx URL")
    for dashboard in dashboards:
        done = grafana.ensure_dashboard(dashboard, FOLDER_UID)
        lines.append(f"dashboard   {dashboard['title']}: {done} ({grafana.url}/d/{dashboard['uid']})")
    return lines


def _dashboards() -> list[dict[str, Any]]:
    found = [read_json(path) for path in sorted(FOLDER.glob("*.json"))]
    if not found:
        raise InputError(f"{FOLDER}: holds no dashboards; this command needs a checkout (make dashboards writes them)")
    return found


def annotate(url: str, environ: Mapping[str, str], folder: RunFolder) -> int:
    """`annotate_run` in the Grafana at `url`. Raises LoadtestError."""
    return annotate_run(Grafana(url, environ), folder)


def annotate_run(gateway: Grafana, folder: RunFolder) -> int:
    """Mark the run on the live dashboard, from its files: a region from start to stop and each missed objective at the end.

    How many marks were new; asking again adds none. Nothing is marked of a load that never began.
    """
    return sum(gateway.annotate(annotation) for annotation in marks(folder))


def marks(folder: RunFolder) -> list[Annotation]:
    """The annotations that a run's files make."""
    events = list(read_lines(folder.file("events.jsonl")))
    started = next((event["epoch"] for event in events if event["event"] == "start"), None)
    if started is None:
        return []
    verdict = read_json(folder.file("verdict.json")) if folder.file("verdict.json").exists() else {}
    start_ms = round(started * 1000)
    end_ms = next((max(start_ms, _moment_ms(event, start_ms)) for event in events if event["event"] == "stop"), None)
    tags = ("loadtest", folder.run_id)
    text = f"{folder.run_id}: {verdict.get('verdict', 'not judged')}"
    found = [Annotation(text, start_ms, tags, MARKED, end_ms)]
    for result in verdict.get("objectives", []):
        if result["status"] == "fail":
            text = f"missed {result['name']}: {result['objective']}, observed {result['observed_text']}"
            found.append(Annotation(text, start_ms if end_ms is None else end_ms, (*tags, "objective_missed"), MARKED))
    return found


def _moment_ms(event: Mapping[str, Any], start_ms: int) -> int:
    if event["at_s"] is not None:
        return start_ms + round(float(event["at_s"]) * 1000)
    return round(datetime.fromisoformat(event["time"]).timestamp() * 1000)
