"""The dashboards' JSON is what the generator writes, is sound, and asks for nothing but what docs/metrics.md promises."""

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards import limits
from dashboards.__main__ import FOLDER, files, main
from dashboards.page import TITLES
from dashboards.queries import BOUNDS_MS, DATASOURCE
from loadtests.objectives import catalog
from loadtests.scenario.load import load_plan
from tests.grafana_macros import ALL, VARIABLE, Board, Query, all_panels
from tests.metrics_contract import bounds_ms, contract

ROOT = Path(__file__).parents[2]
PROVISIONING = ROOT / "dashboards" / "provisioning"
Json = dict[str, Any]

# What only some versions of InfluxDB know.
NOT_EVERYWHERE = ("SHOW SERIES", "SHOW DATABASES", "CARDINALITY", "SLIMIT", "INTEGRAL", "SAMPLE(", "from(bucket", "|>")
NUMERIC = ("timeseries", "stat", "heatmap", "trend", "table", "status-history")
V2_KEYS = {"apiVersion", "kind", "spec", "elements", "layout", "metadata", "cursorSync"}


def committed() -> dict[str, Json]:
    """Each dashboard as it is in the repository, by uid."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}


@pytest.fixture(params=sorted(TITLES))
def dashboard(request: pytest.FixtureRequest) -> Json:
    """One dashboard after the other."""
    found: Json = json.loads((FOLDER / f"{request.param}.json").read_text(encoding="utf-8"))
    return found


def queries(dashboard: Json) -> list[Query]:
    """All its queries, as they are sent when everything is chosen."""
    names = [variable["name"] for variable in dashboard["templating"]["list"]]
    return list(Board(dashboard, dict.fromkeys(names, ALL), 0, 60_000, {name: ["x"] for name in names}).queries())


def texts(dashboard: Json) -> Iterator[str]:
    """All its queries, as they stand in the file."""
    for variable in dashboard["templating"]["list"]:
        yield variable["query"]["query"]
    for annotation in dashboard["annotations"]["list"]:
        yield annotation.get("target", {}).get("query", "")
    for panel in all_panels(dashboard["panels"]):
        yield from (target["query"] for target in panel.get("targets", []))


def test_files_are_what_the_generator_writes() -> None:
    """Nothing was changed by hand, and nothing was forgotten: `make dashboards` leaves the files as they are."""
    assert {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()} == files()


def test_generator_writes_and_removes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It makes its folder, writes six files and removes a dashboard that is none any more."""
    folder = tmp_path / "json"
    folder.mkdir()
    (folder / "loadtest-old.json").write_text("{}")
    monkeypatch.setattr("dashboards.__main__.FOLDER", folder)
    main()
    assert sorted(path.name for path in folder.iterdir()) == sorted(files())
    assert capsys.readouterr().out.count("dashboards/json/") == len(TITLES) == 6


def test_dashboard_is_classic_and_found_by_its_uid(dashboard: Json) -> None:
    """File provisioning takes it: no keys of the newer schema, no number of its own, a uid, a title and the tag."""
    assert not V2_KEYS & set(dashboard)
    assert 36 <= dashboard["schemaVersion"] <= 41
    assert dashboard["id"] is None
    assert dashboard["title"] == TITLES[dashboard["uid"]]
    assert dashboard["description"]
    assert "loadtest" in dashboard["tags"]
    assert len(dashboard["uid"]) <= 40


def test_panels_have_numbers_of_their_own(dashboard: Json) -> None:
    """An id names one panel, and each target of a panel has a letter of its own."""
    panels = list(all_panels(dashboard["panels"]))
    ids = [panel["id"] for panel in panels]
    assert len(set(ids)) == len(ids)
    assert all(isinstance(number, int) and number > 0 for number in ids)
    for panel in panels:
        letters = [target["refId"] for target in panel.get("targets", [])]
        assert len(set(letters)) == len(letters)


def test_panels_do_not_overlap(dashboard: Json) -> None:
    """Every panel lies within the 24 columns and on no other."""
    places = {panel["id"]: panel["gridPos"] for panel in dashboard["panels"]}
    for place in places.values():
        assert place["w"] > 0 and place["h"] > 0 and 0 <= place["x"] <= 24 - place["w"]
    for (one, a), (other, b) in combinations(places.items(), 2):
        apart_x = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        apart_y = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert apart_x or apart_y, (one, other)


def test_one_datasource_everywhere(dashboard: Json) -> None:
    """Panels, targets, variables and annotations name the provisioned datasource; only posted marks are Grafana's own."""
    for panel in all_panels(dashboard["panels"]):
        if panel["type"] != "row":
            assert panel["datasource"] == DATASOURCE
            assert panel["targets"]
            assert all(target["datasource"] == DATASOURCE for target in panel["targets"])
    assert all(variable["datasource"] == DATASOURCE for variable in dashboard["templating"]["list"])
    built_in, *own = dashboard["annotations"]["list"]
    assert built_in["builtIn"] == 1
    assert all(annotation["datasource"] == DATASOURCE for annotation in own)
    assert DATASOURCE == {"type": "influxdb", "uid": "loadtest-influxdb"}


def test_panels_say_what_they_show(dashboard: Json) -> None:
    """Each has a title, a description and a unit, and columns with numbers of another kind have one of their own."""
    for panel in all_panels(dashboard["panels"]):
        assert panel["title"]
        if panel["type"] == "row":
            continue
        assert panel["type"] in NUMERIC
        assert len(panel["description"]) > 10 and panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
        first = panel["fieldConfig"]["defaults"]["thresholds"]["steps"][0]
        assert first["value"] is None


def test_queries_are_raw_influxql_that_every_version_knows(dashboard: Json) -> None:
    """No Flux, and nothing that InfluxDB 3 lacks; one statement each; rows that are joined come as tables."""
    for text in filter(None, texts(dashboard)):
        assert not [word for word in NOT_EVERYWHERE if word.lower() in text.lower()], text
        assert ";" not in text
        assert text.startswith(("SELECT ", "SHOW TAG VALUES FROM "))
    for panel in all_panels(dashboard["panels"]):
        for target in panel.get("targets", []):
            assert target["rawQuery"] is True
            assert target["resultFormat"] == ("table" if panel["type"] in ("table", "trend") else "time_series")


def test_queries_ask_for_what_the_contract_has(dashboard: Json) -> None:
    """Every measurement, field and tag of every query stands in the table of docs/metrics.md."""
    known = contract()
    for query in queries(dashboard):
        (name,) = re.findall(r'FROM "([^"]+)"', query.text)
        aliases = set(re.findall(r'AS "([^"]+)"', query.text)) if "FROM (SELECT" in query.text else set()
        used = set(re.findall(r'"([^"]+)"', re.sub(r' AS "[^"]+"', "", query.text))) - {name}
        assert used <= known[name].fields | known[name].tags | aliases, query


def test_percentiles_are_not_averaged(dashboard: Json) -> None:
    """No mean, sum or median of a percentile, maximum or mean that somebody else computed."""
    for query in queries(dashboard):
        assert not re.search(r'(mean|sum|median|percentile|spread)\("(response|service)_(?!sum_us)\w+"', query.text), query
        assert not re.search(r'(mean|sum|median|percentile)\("(p\d+|max|lateness_p99|loop_lag)_ms"', query.text), query


def test_variables_of_queries_are_there(dashboard: Json) -> None:
    """Whatever a query or a title puts in is a variable of the dashboard, and has a format where it is a regex."""
    known = {variable["name"] for variable in dashboard["templating"]["list"]}
    globals_ = {"timeFilter", "__interval", "__interval_ms"}
    for text in texts(dashboard):
        for found in VARIABLE.finditer(text):
            name, form = found[1] or found[4], found[5]
            assert name in globals_ or (name in known and form == "regex"), text
        assert not re.search(r"'\$", text), "a value in quotes is not escaped"
    for panel in all_panels(dashboard["panels"]):
        assert {found[1] for found in re.finditer(r"\$(\w+)", panel["title"])} <= known
        assert panel.get("repeat") in {None, *known}


def test_variables_depend_on_earlier_ones(dashboard: Json) -> None:
    """A variable's query uses only variables that stand before it; a choice of many can be All."""
    before: set[str] = set()
    for variable in dashboard["templating"]["list"]:
        assert {found[4] for found in VARIABLE.finditer(variable["query"]["query"])} <= before
        assert variable["definition"] == variable["query"]["query"]
        assert variable.get("allValue") == (".*" if variable["includeAll"] else None)
        assert variable["includeAll"] or not variable["multi"]
        before.add(variable["name"])
    assert "scenario" in before


def test_links_lead_to_each_other_dashboard(dashboard: Json) -> None:
    """Every dashboard links to the five others and keeps variables and time; what a link sets is a variable over there."""
    boards = committed()
    assert {target_of(link["url"]) for link in dashboard["links"]} == set(boards) - {dashboard["uid"]}
    assert all(link["includeVars"] and link["keepTime"] and link["title"] for link in dashboard["links"])
    urls = [link["url"] for link in dashboard["links"]]
    for panel in all_panels(dashboard["panels"]):
        overrides = panel.get("fieldConfig", {}).get("overrides", [])
        links = [one["value"] for override in overrides for one in override["properties"] if one["id"] == "links"]
        urls += [link["url"] for listed in links for link in listed]
    own = {variable["name"] for variable in dashboard["templating"]["list"]}
    for url in urls:
        there = {variable["name"] for variable in boards[target_of(url)]["templating"]["list"]}
        assert set(re.findall(r"var-(\w+)=", url)) <= there
        assert {name for name in re.findall(r"\$\{(\w+)\}", url) if not name.startswith("__")} <= own


def target_of(url: str) -> str:
    """The uid in a link."""
    found = re.fullmatch(r"/d/([a-z-]+)(\?.*)?", url)
    assert found is not None, url
    return found[1]


def test_links_use_columns_of_their_table() -> None:
    """`${__data.fields.x}` of a link names a column that the query or a transformation makes."""
    (panel,) = [panel for panel in committed()["loadtest-runs"]["panels"] if panel["id"] == 6]
    text = json.dumps(panel)
    made = {one["options"]["alias"] for one in panel["transformations"] if one["id"] == "calculateField"}
    columns = {"Time", *made, *re.findall(r'"(\w+)"', panel["targets"][0]["query"])}
    used = set(re.findall(r"__data\.fields\.(\w+)", text))
    assert used == {"run_id", "Time", "end"}
    assert used <= columns


def test_overrides_name_columns_that_are_there(dashboard: Json) -> None:
    """A setting for a column that no query makes would be a forgotten one, so would a pattern that matches no metric."""
    metrics = [metric.name for delivered in catalog.ALL for metric in delivered]
    for panel in all_panels(dashboard["panels"]):
        columns = {"Time"}
        for target in panel.get("targets", []):
            columns |= set(re.findall(r'"([^"]+)"', target["query"]))
        columns |= {one["options"].get("alias") for one in panel.get("transformations", [])}
        for override in panel.get("fieldConfig", {}).get("overrides", []):
            matcher = override["matcher"]
            if matcher["id"] == "byRegexp":
                assert any(re.match(matcher["options"].strip("/"), metric) for metric in metrics), (panel["title"], override)
            else:
                assert matcher == {"id": "byName", "options": matcher["options"]}
                assert matcher["options"] in columns, (panel["title"], override)


def test_annotations_show_each_event_once(dashboard: Json) -> None:
    """Where a run is chosen, its events are marked, each by one query; Grafana finds its columns by parts of their names."""
    has_run = any(variable["name"] == "run" for variable in dashboard["templating"]["list"])
    own = dashboard["annotations"]["list"][1:]
    kinds = [kind for one in own for kind in re.findall(r"\^\(([\w|]+)\)\$", one["target"]["query"])[-1].split("|")]
    wanted = ["abort", "fault", "halt", "objective_missed", "process_ended", "stage", "start", "stop", "worker_lost"]
    assert sorted(kinds) == (wanted if has_run else [])
    for one in own:
        target = one["target"]
        assert target["fromAnnotations"] is True and target["query"].count("$timeFilter") == 1
        columns = [f"loadtest_event.{name}" for name in re.findall(r'AS "(\w+)"', target["query"])]
        assert [column for column in columns if target["tagsColumn"] in column] == ["loadtest_event.kind"]
        assert [column for column in columns if target["textColumn"] in column] == ["loadtest_event.said"]


def test_trends_have_one_axis(dashboard: Json) -> None:
    """A trend joins its targets by the seconds that all of them have, and draws them over these."""
    for panel in all_panels(dashboard["panels"]):
        if panel["type"] == "trend":
            assert panel["options"]["xField"] == "elapsed_s"
            joins = [one["options"] for one in panel["transformations"] if one["id"] == "joinByField"]
            assert joins == [{"byField": "elapsed_s", "mode": "outer"}]
            names = [re.findall(r'AS "(\w+)"', target["query"]) for target in panel["targets"]]
            assert names == [["A"], ["B"]]
            assert all('"elapsed_s"' in target["query"] for target in panel["targets"])


def test_heatmaps_have_every_bucket_once() -> None:
    """The columns are the bounds of docs/metrics.md, in order, and none counts what is in another."""
    assert list(BOUNDS_MS) == bounds_ms()
    found = [panel for board in committed().values() for panel in all_panels(board["panels"]) if panel["type"] == "heatmap"]
    assert len(found) == 2
    for panel in found:
        text = panel["targets"][0]["query"]
        assert re.findall(r'AS "([^"]+)"', text) == [*(str(bound) for bound in bounds_ms()), "+Inf"]
        taken = re.findall(r'- sum\("le_(\d+)ms"\)', text)
        assert [int(bound) for bound in taken] == bounds_ms()
        assert panel["options"]["rowsFrame"] == {"layout": "le"}


def test_limits_are_those_of_phase5() -> None:
    """What the panels draw is what the scenario asks for."""
    plan = load_plan(ROOT / "scenarios" / "phase5.toml")
    asked = {name: objective.limit for name, objective in plan.parsed_objectives.items()}
    health = plan.scenario.health
    drawn = {
        "response_p95": limits.P95_MS / 1000,
        "response_p99": limits.P99_MS / 1000,
        "availability": limits.AVAILABILITY,
        "task_processing": limits.TASK_PROCESSING_MS / 1000,
        "cpu": limits.CPU,
        "memory": limits.MEMORY_BYTES,
        "db_connections": limits.DB_CONNECTIONS,
        "concurrent_tasks": limits.TASKS_IN_PROGRESS,
    }
    assert {name: asked[name] for name in drawn} == drawn
    assert (health.lateness_p99, health.offered) == (limits.LATENESS_MS / 1000, limits.OFFERED)
    assert (health.cpu, health.loop_lag_p99, health.memory) == (
        limits.WORKER_CPU,
        limits.LOOP_LAG_MS / 1000,
        limits.WORKER_MEMORY_BYTES,
    )


@pytest.mark.parametrize("folder", ["datasources", "datasources-token"])
def test_provisioned_datasource(folder: str) -> None:
    """The datasource that the dashboards name, asked by POST; its address and secrets come from the environment."""
    (path,) = (PROVISIONING / folder).glob("*.yaml")
    (datasource,) = yaml.safe_load(path.read_text())["datasources"]
    assert {"type": datasource["type"], "uid": datasource["uid"]} == DATASOURCE
    assert datasource["url"] == "$INFLUXDB_URL"
    assert datasource["jsonData"]["httpMode"] == "POST"
    assert datasource["database"] == datasource["jsonData"]["dbName"] == "loadtest"
    secrets = datasource["secureJsonData"].values()
    assert all(re.fullmatch(r"(Token )?\$INFLUXDB_(PASSWORD|TOKEN)", secret) for secret in secrets)


def test_provisioned_dashboards() -> None:
    """One provider of files, into the folder that `loadtest dashboards` uses too."""
    (path,) = (PROVISIONING / "dashboards").glob("*.yaml")
    (provider,) = yaml.safe_load(path.read_text())["providers"]
    assert (provider["type"], provider["folderUid"]) == ("file", "loadtest")
    assert provider["allowUiUpdates"] is False
