"""The gateway to Grafana against a stand-in, over real HTTP: what is made, what is made once, and each way to be refused."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from loadtests import cli
from loadtests.errors import InputError, LoadtestError, NotReadyError
from loadtests.orchestrate import dashboards
from loadtests.orchestrate.dashboards import annotate_run, provision
from loadtests.sinks import grafana as grafana_module
from loadtests.sinks.grafana import Annotation, Grafana, influx_datasource, web_address
from loadtests.sinks.grafana_fake import FakeGrafana, Mood
from loadtests.store.folder import RunFolder, create_folder

TOKEN = "glsa_top-secret"
ENVIRON = {"LOADTEST_GRAFANA_TOKEN": TOKEN}
DATASOURCE = influx_datasource("loadtest-influxdb", "http://influx:8086", "loadtest", {})
BOARD: dict[str, Any] = {"uid": "loadtest-live", "title": "Live", "id": None, "panels": []}
EPOCH = 1_800_000_000.25


@pytest.fixture
def fake() -> Iterator[FakeGrafana]:
    """A healthy Grafana with nothing in it."""
    with FakeGrafana(token=TOKEN) as running:
        yield running


@pytest.fixture
def gateway(fake: FakeGrafana) -> Grafana:
    """A gateway to it, with a good token."""
    return Grafana(fake.url, ENVIRON)


def writes(fake: FakeGrafana) -> list[str]:
    """What was asked of it beside questions."""
    return [f"{asked.method} {asked.path}" for asked in fake.asked if asked.method != "GET"]


def test_provisioning_makes_everything_once(fake: FakeGrafana) -> None:
    """Folder, datasource and six dashboards; a second time nothing is written."""
    lines = provision(fake.url + "/", ENVIRON, "http://influx:8086/")
    assert lines[0] == f"Grafana 12.4.0 at {fake.url}"
    assert lines[1:3] == ["folder      Load tests: made", "datasource  http://influx:8086 loadtest: made"]
    assert len(lines) == 9
    assert f"dashboard   Live run: made ({fake.url}/d/loadtest-live)" in lines
    assert fake.folders["loadtest"]["title"] == "Load tests"
    assert len(fake.dashboards) == 6
    assert {board["meta"]["folderUid"] for board in fake.dashboards.values()} == {"loadtest"}
    fake.asked.clear()
    again = provision(fake.url, ENVIRON, "http://influx:8086")
    assert writes(fake) == []
    assert all(": unchanged" in line for line in again[1:])


def test_datasource_is_what_the_dashboards_ask(fake: FakeGrafana) -> None:
    """Its uid, InfluxQL by POST, and the database in both of the places where versions of Grafana look."""
    provision(fake.url, ENVIRON, "http://influx:8086", "nightly")
    made = fake.datasources["loadtest-influxdb"]
    assert (made["type"], made["url"], made["access"], made["database"]) == (
        "influxdb",
        "http://influx:8086",
        "proxy",
        "nightly",
    )
    assert made["jsonData"] == {"dbName": "nightly", "httpMode": "POST", "timeInterval": "1s", "version": "InfluxQL"}
    assert made["secureJsonFields"] == {}


def test_changed_dashboard_is_overwritten(fake: FakeGrafana, gateway: Grafana) -> None:
    """Whatever was changed by hand goes; a dashboard in another folder comes back."""
    gateway.ensure_folder("loadtest", "Load tests")
    assert gateway.ensure_dashboard(BOARD, "loadtest") == "made"
    fake.dashboards["loadtest-live"]["dashboard"]["title"] = "Mine"
    assert gateway.ensure_dashboard(BOARD, "loadtest") == "updated"
    fake.dashboards["loadtest-live"]["meta"]["folderUid"] = "elsewhere"
    assert gateway.ensure_dashboard(BOARD, "loadtest") == "updated"
    assert gateway.ensure_dashboard(BOARD, "loadtest") == "unchanged"
    kept = fake.dashboards["loadtest-live"]["dashboard"]
    assert (kept["title"], kept["version"], kept["id"]) == ("Live", 3, 1)


def test_moved_datasource_is_updated_by_its_uid(fake: FakeGrafana, gateway: Grafana) -> None:
    """Another address is taken over, and no number of a datasource is used."""
    gateway.ensure_datasource(DATASOURCE)
    assert gateway.ensure_datasource({**DATASOURCE, "url": "http://other:8086"}) == "updated"
    assert writes(fake) == ["POST /datasources", "PUT /datasources/uid/loadtest-influxdb"]
    assert fake.datasources["loadtest-influxdb"]["url"] == "http://other:8086"


def test_secrets_of_influxdb_come_from_the_environment(fake: FakeGrafana) -> None:
    """A token becomes a header, a password stays one; they are sent each time, since Grafana never shows them."""
    token = {**ENVIRON, "LOADTEST_INFLUX_TOKEN": "influx-secret"}
    lines = provision(fake.url, token, "http://influx:8086")
    sent = next(asked.body for asked in fake.asked if asked.path == "/datasources")
    assert sent["jsonData"]["httpHeaderName1"] == "Authorization"
    assert sent["secureJsonData"] == {"httpHeaderValue1": "Token influx-secret"}
    assert "influx-secret" not in "".join(lines)
    password = {**ENVIRON, "LOADTEST_INFLUX_USER": "me", "LOADTEST_INFLUX_PASSWORD": "pw"}
    assert "datasource  http://influx:8086 loadtest: updated" in provision(fake.url, password, "http://influx:8086")
    sent = next(asked.body for asked in fake.asked if asked.method == "PUT")
    assert (sent["user"], sent["secureJsonData"]) == ("me", {"password": "pw"})


def test_without_an_influxdb_the_datasource_stays(fake: FakeGrafana, gateway: Grafana) -> None:
    """It is not touched, and said to be missing where it is."""
    missing = provision(fake.url, ENVIRON)[2]
    assert missing == "datasource  loadtest-influxdb: there is none; name your InfluxDB with --influx URL"
    gateway.ensure_datasource(DATASOURCE)
    assert provision(fake.url, ENVIRON)[2] == "datasource  loadtest-influxdb: unchanged"
    named = {**ENVIRON, "LOADTEST_INFLUX_URL": "http://named:8086", "LOADTEST_INFLUX_DATABASE": "runs"}
    assert provision(fake.url, named)[2] == "datasource  http://named:8086 runs: updated"


def test_what_files_provision_is_left_to_them(fake: FakeGrafana, gateway: Grafana) -> None:
    """Grafana would refuse to change it: it is not asked to."""
    gateway.ensure_folder("loadtest", "Load tests")
    gateway.ensure_datasource(DATASOURCE)
    gateway.ensure_dashboard(BOARD, "loadtest")
    fake.datasources["loadtest-influxdb"]["readOnly"] = True
    fake.dashboards["loadtest-live"]["meta"]["provisioned"] = True
    fake.asked.clear()
    assert gateway.ensure_datasource({**DATASOURCE, "url": "http://other:8086"}) == "left to its files"
    assert gateway.ensure_dashboard({**BOARD, "title": "New"}, "loadtest") == "left to its files"
    assert writes(fake) == []


def test_user_and_password(fake: FakeGrafana) -> None:
    """They do where there is no token; neither need be ASCII."""
    fake.user = ("jürgen", "pä:ss")
    environ = {"LOADTEST_GRAFANA_USER": "jürgen", "LOADTEST_GRAFANA_PASSWORD": "pä:ss"}
    assert Grafana(fake.url, environ).ensure_folder("f", "F") == "made"


def test_grafana_below_a_path(fake: FakeGrafana) -> None:
    """A Grafana behind a proxy may live under a path."""
    fake.prefix = "/tools/grafana"
    assert Grafana(fake.url + "/", ENVIRON).ensure_folder("f", "F") == "made"
    with pytest.raises(NotReadyError, match="GET /health failed"):
        Grafana(fake.url.removesuffix("/grafana"), ENVIRON).version()


# Annotations.


def mark(**changes: Any) -> Annotation:
    """A region on the live dashboard."""
    how: dict[str, Any] = {"text": "run", "time_ms": 1000, "tags": ("loadtest", "r&d 1"), "dashboard_uid": "loadtest-live"}
    return Annotation(**{**how, "end_ms": 2000, **changes})


@pytest.fixture
def board(gateway: Grafana) -> Grafana:
    """A Grafana with a dashboard to mark."""
    gateway.ensure_folder("loadtest", "Load tests")
    gateway.ensure_dashboard(BOARD, "loadtest")
    return gateway


def test_annotation_is_posted_once(fake: FakeGrafana, board: Grafana) -> None:
    """A region with its tags on its dashboard; the same one again is found by its tags and not posted."""
    assert board.annotate(mark()) is True
    assert board.annotate(mark()) is False
    (made,) = fake.annotations
    assert (made["dashboardUID"], made["time"], made["timeEnd"]) == ("loadtest-live", 1000, 2000)
    assert (made["text"], made["tags"]) == ("run", ["loadtest", "r&d 1"])


@pytest.mark.parametrize(
    "changes", [{"text": "other"}, {"time_ms": 1}, {"end_ms": 3}, {"end_ms": None}, {"tags": ("loadtest",)}]
)
def test_another_annotation_is_another(fake: FakeGrafana, board: Grafana, changes: dict[str, Any]) -> None:
    """Another text, time, end or other tags make another mark; a point is one, too."""
    board.annotate(mark())
    fake.annotations[0]["tags"] = ["loadtest", "r&d 1"]
    expected = changes != {"tags": ("loadtest",)}
    assert board.annotate(mark(**changes)) is expected
    assert board.annotate(mark(**changes)) is False


def run_folder(tmp_path: Path, *, stop: bool = True, verdict: bool = True) -> RunFolder:
    """A run of ten seconds that missed one of two objectives."""
    folder = create_folder(tmp_path, "smoke")
    folder.event("start", 0.0, epoch=EPOCH, users=1, workers={})
    if stop:
        folder.event("stop", 10.5)
    if verdict:
        objectives = [
            {"name": "fast", "objective": "response_time.p95 < 200ms", "observed_text": "310 ms", "status": "fail"},
            {"name": "sound", "objective": "failure_ratio < 1%", "observed_text": "0 %", "status": "pass"},
        ]
        folder.file("verdict.json").write_text(json.dumps({"verdict": "fail", "objectives": objectives, "health": []}))
    return folder


def test_run_is_marked_from_its_files(fake: FakeGrafana, board: Grafana, tmp_path: Path) -> None:
    """A region from start to stop with the verdict, and each missed objective at its end; twice adds nothing."""
    folder = run_folder(tmp_path)
    assert annotate_run(board, folder) == 2
    assert annotate_run(board, folder) == 0
    region, missed = fake.annotations
    assert (region["time"], region["timeEnd"]) == (1_800_000_000_250, 1_800_000_010_750)
    assert region["text"] == f"{folder.run_id}: fail"
    assert region["tags"] == ["loadtest", folder.run_id]
    assert missed["text"] == "missed fast: response_time.p95 < 200ms, observed 310 ms"
    assert missed["time"] == missed["timeEnd"] == region["timeEnd"]
    assert missed["tags"] == ["loadtest", folder.run_id, "objective_missed"]


def test_run_without_end_or_verdict(fake: FakeGrafana, board: Grafana, tmp_path: Path) -> None:
    """A run that was killed is a point at its start; one that never began is not marked."""
    assert annotate_run(board, run_folder(tmp_path, stop=False, verdict=False)) == 1
    (made,) = fake.annotations
    assert made["time"] == made["timeEnd"] == 1_800_000_000_250
    assert made["text"].endswith(": not judged")
    assert annotate_run(board, create_folder(tmp_path, "never")) == 0


def test_stop_without_a_second_has_its_time(board: Grafana, fake: FakeGrafana, tmp_path: Path) -> None:
    """Events without seconds are placed by the time they were written at; an end is never before the start."""
    folder = run_folder(tmp_path, stop=False, verdict=False)
    folder.event("stop", None)
    annotate_run(board, folder)
    assert fake.annotations[0]["timeEnd"] == fake.annotations[0]["time"]


# Refusals: one line each, for whoever can mend it.


def failing(gateway: Grafana) -> LoadtestError:
    """The error of a harmless wish."""
    with pytest.raises(LoadtestError) as caught:
        gateway.ensure_folder("loadtest", "Load tests")
    assert "\n" not in str(caught.value)
    assert TOKEN not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__cause__ is None
    return caught.value


def test_wrong_token_is_bad_input(fake: FakeGrafana) -> None:
    """401: which variables to set; the token that was tried is not shown."""
    error = failing(Grafana(fake.url, {"LOADTEST_GRAFANA_TOKEN": "wrong-token"}))
    assert isinstance(error, InputError)
    expected = "does not know who asks (401); set LOADTEST_GRAFANA_TOKEN, or LOADTEST_GRAFANA_USER and _PASSWORD"
    assert str(error) == f"Grafana {fake.url}: {expected} to what is valid there"


def test_token_without_rights_is_bad_input(fake: FakeGrafana, gateway: Grafana) -> None:
    """403: which role is needed."""
    fake.role = "Viewer"
    error = failing(gateway)
    assert isinstance(error, InputError)
    assert "/folders: not allowed (403); use a token with the role Admin" in str(error)


@pytest.mark.parametrize(
    ("mood", "words"),
    [
        ("page", "answers 200 with something that is no JSON; is it a Grafana?"),
        ("error page", "GET /folders/loadtest failed (502)"),
        ("redirect", "redirects elsewhere (301); give the address it leads to"),
        ("out of order", "GET /folders/loadtest failed (500) database is locked"),
    ],
)
def test_server_in_trouble_is_not_ready(fake: FakeGrafana, gateway: Grafana, mood: Mood, words: str) -> None:
    """A login page, a proxy's error page, a redirect and an error of its own: not ready, without a page in the line."""
    fake.mood = mood
    error = failing(gateway)
    assert isinstance(error, NotReadyError)
    assert str(error) == f"Grafana {fake.url}: {words}"


def test_error_page_to_a_post(fake: FakeGrafana, gateway: Grafana, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for what is written."""
    monkeypatch.setattr(gateway, "_found", lambda _: None)
    fake.mood = "error page"
    assert str(failing(gateway)) == f"Grafana {fake.url}: POST /folders failed (502)"


def test_silent_server_is_not_ready(fake: FakeGrafana, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that accepts and says nothing is given up."""
    monkeypatch.setattr(grafana_module, "TIMEOUT_S", 0.2)
    fake.mood = "silent"
    assert "did not answer in time" in str(failing(Grafana(fake.url, ENVIRON)))


def test_no_server_is_not_ready() -> None:
    """A port where nobody listens."""
    with FakeGrafana(token=TOKEN) as gone:
        url = gone.url
    error = failing(Grafana(url, ENVIRON))
    assert isinstance(error, NotReadyError)
    assert str(error) == f"Grafana {url}: does not answer; is the address right?"


def test_empty_answers_are_answers(fake: FakeGrafana, gateway: Grafana) -> None:
    """204 without a body, to whatever is written, is success."""
    fake.mood = "empty"
    assert gateway.ensure_folder("loadtest", "Load tests") == "made"
    assert gateway.ensure_datasource(DATASOURCE) == "made"
    assert gateway.ensure_dashboard(BOARD, "loadtest") == "made"
    assert gateway.annotate(mark()) is True
    assert len(fake.folders) == len(fake.datasources) == len(fake.dashboards) == len(fake.annotations) == 1


def test_database_that_is_not_ready(fake: FakeGrafana, gateway: Grafana) -> None:
    """A Grafana whose own database is in trouble is not ready."""
    fake.database = "failing"
    with pytest.raises(NotReadyError, match=r"GET /health failed \(503\)"):
        gateway.version()


def test_refusals_with_a_reason_are_bad_input(fake: FakeGrafana, gateway: Grafana) -> None:
    """A conflict or a bad request is passed on in Grafana's words."""
    fake.datasources["other"] = {**DATASOURCE, "uid": "other", "readOnly": False, "version": 1}
    with pytest.raises(
        InputError, match=r"POST /datasources was refused \(409\): data source with the same name already exists"
    ):
        gateway.ensure_datasource(DATASOURCE)
    with pytest.raises(InputError, match=r"POST /dashboards/db was refused \(400\): folder not found"):
        gateway.ensure_dashboard(BOARD, "nowhere")
    with pytest.raises(InputError, match=r"POST /annotations was refused \(400\): Dashboard not found"):
        gateway.annotate(mark())


def test_stand_in_knows_versions(fake: FakeGrafana, board: Grafana) -> None:
    """Without `overwrite` an old version of a dashboard is refused with 412, as Grafana does."""
    assert board.version() == "12.4.0"
    old: Any = {"dashboard": {**BOARD, "version": 7}, "folderUid": "loadtest"}
    answer = requests.post(f"{fake.url}/api/dashboards/db", json=old, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=5)
    assert (answer.status_code, answer.json()["status"]) == (412, "version-mismatch")
    unknown = requests.get(f"{fake.url}/api/dashboards/uid/x", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=5)
    assert (unknown.status_code, unknown.json()) == (404, {"message": "Dashboard not found"})


# What is wrong before anybody is asked.


@pytest.mark.parametrize(
    "environ",
    [{}, {"LOADTEST_GRAFANA_TOKEN": " "}, {"LOADTEST_GRAFANA_USER": "me"}, {"LOADTEST_GRAFANA_PASSWORD": "pw"}],
)
def test_no_credentials(environ: dict[str, str]) -> None:
    """Neither a token nor a user with a password: which variables to set."""
    with pytest.raises(InputError, match="Grafana: set LOADTEST_GRAFANA_TOKEN, or LOADTEST_GRAFANA_USER and "):
        Grafana("http://127.0.0.1:1", environ)


@pytest.mark.parametrize("token", ["two words", "line\nbreak", "nür"])
def test_strange_token_is_not_shown(token: str) -> None:
    """What no header can carry is refused, and not repeated."""
    with pytest.raises(InputError, match="LOADTEST_GRAFANA_TOKEN: holds characters that no token has") as caught:
        Grafana("http://127.0.0.1:1", {"LOADTEST_GRAFANA_TOKEN": token})
    assert token not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["grafana:3000", "ftp://h", "http://", "http://h:x", "http://h/?a=1", "http://h:0", "", "http://[x"]
)
def test_addresses_that_are_none(url: str) -> None:
    """No scheme, no host, no port, or more than an address."""
    with pytest.raises(InputError, match=r"--grafana: is no address such as http://127\.0\.0\.1:3000"):
        Grafana(url, ENVIRON)


def test_secrets_in_an_address_are_refused_and_not_shown() -> None:
    """They would stand in messages: they belong in the environment."""
    with pytest.raises(InputError, match="--influx: leave user and password out of the address") as caught:
        web_address("http://me:geheim@h:1", "--influx", "http://h:1")
    assert "geheim" not in str(caught.value)


# The command.


def test_command(fake: FakeGrafana, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`loadtest dashboards` says what it did; the token is nowhere in what it says."""
    monkeypatch.setenv("LOADTEST_GRAFANA_TOKEN", TOKEN)
    assert cli.main(["dashboards", "--grafana", fake.url, "--influx", "http://influx:8086", "--influx-database", "runs"]) == 0
    said = capsys.readouterr()
    assert said.out.count("made") == 8
    assert TOKEN not in said.out + said.err
    assert len(fake.dashboards) == 6


def test_command_with_a_wrong_token(
    fake: FakeGrafana, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line and the exit code of bad input."""
    monkeypatch.setenv("LOADTEST_GRAFANA_TOKEN", "wrong")
    assert cli.main(["dashboards", "--grafana", fake.url]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_without_a_checkout(fake: FakeGrafana, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where there are no dashboards, nothing is asked of Grafana."""
    monkeypatch.setattr(dashboards, "FOLDER", tmp_path)
    with pytest.raises(InputError, match="holds no dashboards"):
        provision(fake.url, ENVIRON)
    assert fake.asked == []


def test_annotate_command(
    fake: FakeGrafana, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`loadtest annotate` marks a run's folder, once; what is no folder of a run is one line and exit code 2."""
    monkeypatch.setenv("LOADTEST_GRAFANA_TOKEN", TOKEN)
    assert cli.main(["dashboards", "--grafana", fake.url]) == 0
    folder = run_folder(tmp_path)
    assert cli.main(["annotate", str(folder.path), "--grafana", fake.url]) == 2
    assert "no run's folder" in capsys.readouterr().err
    folder.file("manifest.json").write_text("{}")
    for made in (2, 0):
        assert cli.main(["annotate", str(folder.path), "--grafana", fake.url]) == 0
        assert capsys.readouterr().out.splitlines()[-1].startswith(f"{made} new annotation(s) for {folder.run_id}")
