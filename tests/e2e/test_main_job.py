"""The main job: one command, one verdict, a complete folder, nothing left behind."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import psycopg

from loadtests.objectives import catalog
from loadtests.store.accepted import read_accepted
from loadtests.store.folder import RunFolder
from tests.e2e.command import ROOT, Finished, loadtest, run
from tests.e2e.conftest import HOSTED, Target

CONTRACT = ("manifest", "windows", "probes", "events", "ledger", "summary", "verdict", "report", "junit")


def _assert_balanced(finished: Finished) -> None:
    ledger = finished.json("ledger.json")
    assert ledger["balanced"], ledger["imbalances"]


def test_embedded_run_passes_and_leaves_nothing(out: Path) -> None:
    """`loadtest run` brings the stack up, ends with PASS and the folder's path, and leaves no process and no state."""
    command = run("phase5", "--users", "40", "--duration", "8s", out=out)
    finished = command.finish()
    assert finished.code == 0, finished.output + finished.errors
    assert finished.output.strip().splitlines()[-1] == f"VERDICT: PASS  {finished.folder}"
    assert command.left_behind(within_s=2.0) == []
    assert list(command.state.glob("*")) == []
    assert (out / "latest").resolve() == finished.folder
    names = {file.name.split(".")[0] for file in finished.folder.iterdir()}
    assert names >= {*CONTRACT, "hdr", "logs"}
    assert {file.name for file in (finished.folder / "hdr").iterdir()} == {
        f"{name}.{kind}.hlog" for name in ("list_tasks", "create_task") for kind in ("response", "service")
    }
    _assert_probed(finished.folder)


def _assert_probed(folder: Path) -> None:
    """Every metric of the probes that phase5 asks for is in the record, and hardly a round failed."""
    records = [json.loads(line) for line in (folder / "probes.jsonl").read_text().splitlines()]
    delivered = {metric for record in records for metric, _, _ in record["samples"]}
    expected = {metric.name for probe in catalog.ALL for metric in probe}
    assert delivered == expected | {"db_connections", "tasks_in_progress", "list_requests", "list_reads"}
    assert {name for record in records for name in record.get("counters", ())} == {"list_requests", "list_reads"}
    # A counter comes with its first step: until then the endpoint has no such series. One round may be late on a busy machine.
    late = [record for record in records if any("no such series" not in reason for reason in record["gaps"].values())]
    assert len(late) <= len(records) / 20, late


def test_run_accounts_for_every_request_and_task(target: Target, out: Path) -> None:
    """Planned = scheduled = sent = ok, and every accepted task is a completed row of the database."""
    finished = run(HOSTED, "--users", "30", "--duration", "6s", "--host", target.host, out=out, env=target.env).finish()
    assert finished.code == 0, finished.output + finished.errors
    _assert_balanced(finished)
    ledger, summary = finished.json("ledger.json"), finished.json("summary.json")
    planned = loadtest("plan", HOSTED, "--users", "30", "--duration", "6s", out=out).output
    assert f" {ledger['turns']['scheduled']} turns in all" in planned
    assert summary["stream"] in planned
    assert ledger["requests"]["ok"] == ledger["turns"]["sent"] == summary["requests"]
    assert summary["series"]["create_task"]["requests"] == ledger["tasks"]["accepted"] == ledger["tasks"]["completed"]
    ids = [task["id"] for task in read_accepted(RunFolder(finished.folder))]
    with psycopg.connect(target.env["LOADTEST_DSN"]) as connection:
        query = "SELECT count(*) FROM tasks WHERE id = ANY(%s::uuid[]) AND status = 'completed'"
        assert connection.execute(query, (ids,)).fetchone() == (len(set(ids)),)
    assert len(set(ids)) == ledger["tasks"]["accepted"]


def test_reports_are_whole(target: Target, out: Path) -> None:
    """Verdict, page and JUnit say the same; judging the folder again gives the same verdict; no secret is in any file."""
    finished = run("smoke", "--users", "10", "--duration", "5s", "--host", target.host, out=out, env=target.env).finish()
    assert finished.code == 0, finished.output + finished.errors
    verdict = finished.json("verdict.json")
    assert verdict["verdict"] == "pass"
    assert {"name", "objective", "observed", "status"} <= verdict["objectives"][0].keys() & verdict["health"][0].keys()
    cases = [case.get("name", "") for case in ET.parse(finished.folder / "junit.xml").iter("testcase")]
    assert len(cases) == len(verdict["objectives"]) + len(verdict["health"])
    page = (finished.folder / "report.html").read_text()
    assert '<span class="word pass">pass</span>' in page
    assert "http://" not in page.replace(target.host, "") and "https://" not in page, "the page must open offline"
    again = loadtest("verdict", str(finished.folder), out=out)
    assert (again.code, "VERDICT: PASS" in again.output, again.errors) == (0, True, "")
    for file in finished.folder.rglob("*"):
        if file.is_file():
            text = file.read_text(errors="replace")
            assert target.secret not in text and target.env["LOADTEST_DSN"] not in text, file


def test_same_seed_same_stream_with_one_and_three_workers(target: Target, out: Path) -> None:
    """(moment, user, journey, payload) depends on the seed alone: one and three workers carry out the same hash."""
    streams = []
    for workers in ("1", "3"):
        arguments = (HOSTED, "--users", "21", "--duration", "4s", "--seed", "5", "--workers", workers)
        finished = run(*arguments, "--host", target.host, out=out / workers, env=target.env).finish()
        _assert_balanced(finished)
        assert len(finished.json("ledger.json")["workers"]) == int(workers)
        streams.append(finished.json("summary.json")["stream"])
    assert streams[0] == streams[1] is not None


def test_closed_model_runs_with_think_time(target: Target, out: Path) -> None:
    """The guide's classic scenario: users think one to three seconds, so 30 users make about 15 requests a second."""
    arguments = ("classic", "--users", "30", "--duration", "9s", "--host", target.host)
    finished = run(*arguments, out=out, env=target.env).finish()
    assert finished.code == 0, finished.output + finished.errors
    _assert_balanced(finished)
    summary = finished.json("summary.json")
    assert 8 <= summary["requests"] / summary["duration_s"] <= 18
    assert summary["stream"] is None


def test_readme_examples_run(target: Target, out: Path, tmp_path: Path) -> None:
    """The scenario and the journey that the README shows work as they are."""
    blocks = (ROOT / "README.md").read_text().split("```")
    scenario = next(block for block in blocks if block.startswith("toml\n")).removeprefix("toml\n")
    journey = next(block for block in blocks if block.startswith("python\n")).removeprefix("python\n")
    (tmp_path / "my_scenario.toml").write_text(scenario)
    (tmp_path / "my_journeys.py").write_text(journey)
    file = str(tmp_path / "my_scenario.toml")
    finished = run(file, "--duration", "4s", "--host", target.host, out=out, env=target.env).finish()
    assert finished.code == 0, finished.output + finished.errors
    _assert_balanced(finished)
