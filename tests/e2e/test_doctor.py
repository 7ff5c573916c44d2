"""`loadtest doctor` on the machine that runs the tests."""

import json
import os
import resource
from pathlib import Path

from tests.e2e.command import loadtest


def test_rows_and_exit_code(tmp_path: Path) -> None:
    """Every row says what is needed; one that fails, here for its descriptors, is named with its remedy and gives 4."""

    def few_files() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1_000, 1_000))

    asked = ("doctor", "--users", "2000", "--workers", "1", "--out", str(tmp_path), "--json")
    limited = loadtest(*asked, out=tmp_path, before=few_files)
    assert limited.code == 4, limited.output + limited.errors
    report = json.loads(limited.output)
    assert (report["need"]["users"], report["need"]["rate"], report["need"]["stack"]) == (2000, 2000.0, "embedded")
    rows = {row["what"]: row for row in report["rows"]}
    assert rows["open files, a worker"]["status"] == "fail"
    assert "--nofile=2200:2200" in rows["open files, a worker"]["mend"]
    assert {row["status"] for row in report["rows"]} <= {"ok", "warn", "fail", "unknown"}
    for name in ("Locust", "PostgreSQL", "Redis"):
        assert rows[name]["status"] == "ok", rows[name]


def test_table_for_people(tmp_path: Path) -> None:
    """Its first line says what for, its last one how many rows of each kind; a bad number is bad input."""
    shown = loadtest("doctor", "smoke", "--users", "1", "--workers", "1", out=tmp_path)
    lines = shown.output.splitlines()
    assert lines[0].startswith("1 users, ")
    assert "1 worker(s) here, stack: embedded" in lines[0]
    assert " ok" in lines[-1]
    assert loadtest("doctor", "--workers", "-1", out=tmp_path).code == 2


def test_stack_and_address_are_those_of_a_run(tmp_path: Path) -> None:
    """What it picks is said beside the output; what `loadtest run` would refuse is bad input; no secret is shown."""
    asked = ("doctor", "smoke", "--users", "1", "--workers", "1")
    secret = {"LOADTEST_INFLUX_TOKEN": "planted-token"}
    shown = loadtest(*asked, "--json", "--influx", "http://127.0.0.1:1", out=tmp_path, env=secret)
    assert "stack: auto picks embedded, for LOADTEST_ENGINE=none" in shown.errors
    (influx,) = [row for row in json.loads(shown.output)["rows"] if row["what"] == "InfluxDB"]
    assert (influx["status"], "planted" in shown.output + shown.errors) == ("warn", False)
    for wrong, said in (
        (("--influx", "what?"), "--influx"),
        (("--influx", "http://me:planted@h:1"), "leave user and password out"),
        (("--stack", "none"), "--stack none: give --host"),
        (("--stack", "compose", "--host", "http://127.0.0.1:1"), "leave out one of the two"),
        (("--stack", "compose", "--workers", "0"), "--workers must be at least 1"),
    ):
        refused = loadtest(*asked, *wrong, out=tmp_path)
        assert (refused.code, said in refused.errors, "planted" in refused.errors) == (2, True, False), refused.errors


def test_engine_that_answers_is_picked(tmp_path: Path) -> None:
    """As a run would, unless all workers are elsewhere; its storage's disk is looked at."""
    engine = tmp_path / "docker"
    engine.write_text(f'#!/bin/sh\n[ "$1" = info ] && echo "{tmp_path}" || echo 28.2.2\n')
    engine.chmod(0o755)
    env = {"LOADTEST_ENGINE": "docker", "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    for workers, stack in (("1", "compose"), ("0", "embedded")):
        shown = loadtest("doctor", "smoke", "--users", "1", "--workers", workers, "--json", out=tmp_path, env=env)
        report = json.loads(shown.output)
        rows = {row["what"]: row["found"] for row in report["rows"]}
        assert report["need"]["stack"] == stack
        assert rows["container engine"] == "docker 28.2.2, compose 28.2.2 (LOADTEST_ENGINE=docker)"
        assert (str(tmp_path) in rows.get("disk, engine", "")) == (stack == "compose")
