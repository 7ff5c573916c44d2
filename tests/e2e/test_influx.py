"""Metrics of real runs in a real InfluxDB: nothing is lost, nothing doubles, and the run does not care."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtests.store.windows import read_windows
from tests.e2e.command import Command, Finished, loadtest, run
from tests.e2e.conftest import HOSTED, Target
from tests.influxd import Influxd, points_of

# By hand: INFLUX_OUTAGE_SECONDS=20 INFLUX_LOAD_SECONDS=45.
OUTAGE_S = float(os.environ.get("INFLUX_OUTAGE_SECONDS", "4"))
LOAD_S = int(os.environ.get("INFLUX_LOAD_SECONDS", "12"))
TOKEN = "planted-token-9d31"
NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
def influxd(tmp_path: Path) -> Iterator[Influxd]:
    """A running InfluxDB, empty."""
    (tmp_path / "influxd").mkdir()
    with Influxd(tmp_path / "influxd") as running:
        yield running


def start(target: Target, out: Path, url: str, *more: str, seconds: int = LOAD_S) -> Command:
    """A run against the shared target."""
    where = ("--users", "60", "--duration", f"{seconds}s", "--host", target.host, "--influx", url)
    return run(HOSTED, *where, *more, out=out, env={**target.env, "LOADTEST_INFLUX_TOKEN": TOKEN})


def upload(finished: Finished, url: str, *more: str) -> Finished:
    """`loadtest upload` of the run's folder."""
    return loadtest("upload", str(finished.folder), "--influx", url, *more, out=finished.out)


def test_an_outage_in_the_middle_costs_nothing(target: Target, out: Path, influxd: Influxd) -> None:
    """Killed and started again: afterwards it holds what the files say, each point once, and the load was not touched."""
    command = start(target, out, influxd.url)
    command.wait_for_window(2)
    influxd.stop()
    time.sleep(OUTAGE_S)
    influxd.start()
    finished = command.finish(LOAD_S + 90)
    assert finished.code == 0, finished.output + finished.errors
    windows = len(list(read_windows(finished.folder / "windows.jsonl")))
    assert f"metrics: {windows} windows" in finished.output
    expected = points_of(finished.folder)
    assert influxd.points() == expected
    lateness = finished.json("summary.json")["lateness_ms"]["p99"]
    print(f"\n{windows} windows, {len(expected)} points, outage {OUTAGE_S:g} s, lateness p99 {lateness:.2f} ms")


def test_absent_all_the_time_and_delivered_later(target: Target, out: Path, influxd: Influxd) -> None:
    """The verdict is the same, the end comes soon; `loadtest upload` delivers all, and a second time changes nothing."""
    finished = start(target, out, NOWHERE, seconds=6).finish()
    assert finished.code == 0, finished.output + finished.errors
    assert "are not delivered to http://127.0.0.1:1 (ConnectionRefusedError: Connection refused)" in finished.output
    assert finished.json("verdict.json")["verdict"] == "pass"
    assert upload(finished, influxd.url).code == 0
    expected = points_of(finished.folder)
    assert influxd.points() == expected
    for more in ((), ("--again",)):
        assert upload(finished, influxd.url, *more).code == 0
        assert influxd.points() == expected


def test_the_end_comes_soon_though_the_server_hangs(target: Target, out: Path, influxd: Influxd) -> None:
    """A frozen server holds nothing up: the command ends within ten seconds of the drain."""
    command = start(target, out, influxd.url, seconds=6)
    command.wait_for_window(1)
    influxd.freeze()
    try:
        finished = command.finish()
    finally:
        influxd.thaw()
    stop = max(path.stat().st_mtime for path in finished.folder.glob("verdict.json"))
    assert finished.code == 0
    assert time.time() - stop < 11
    assert "are not delivered" in finished.output


def test_a_run_whose_command_was_killed_is_delivered_as_far_as_it_went(target: Target, out: Path, influxd: Influxd) -> None:
    """Kill -9 of the master: invalid, with all windows but the last second's; they can be delivered and judged later."""
    command = start(target, out, influxd.url)
    command.wait_for_window(4)
    (master,) = [one for one in command.processes("--master") if "--expect-workers" in one.cmdline()]
    master.send_signal(signal.SIGKILL)
    finished = command.finish()
    assert finished.code == 3
    assert "did not report its end" in finished.output
    windows = list(read_windows(finished.folder / "windows.jsonl"))
    assert len(windows) >= 5
    assert loadtest("verdict", str(finished.folder), out=out).code == 3
    assert influxd.points() == points_of(finished.folder)


def test_the_token_is_nowhere(target: Target, out: Path) -> None:
    """Not in a file, a log, an error or the output, of the run and of the upload."""
    finished = start(target, out, NOWHERE, seconds=4).finish()
    later = loadtest(
        "upload", str(finished.folder), "--influx", NOWHERE, "--within", "1s", out=out, env={"LOADTEST_INFLUX_TOKEN": TOKEN}
    )
    assert later.code == 4 and "are not delivered" in later.errors
    said = [finished.output, finished.errors, later.output, later.errors]
    files = [path.read_bytes().decode(errors="replace") for path in finished.folder.rglob("*") if path.is_file()]
    assert not any(TOKEN in text for text in said + files)


@pytest.mark.parametrize(
    ("arguments", "env", "says"),
    [
        ((), {}, "no InfluxDB is named; give --influx URL, or set LOADTEST_INFLUX_URL"),
        (("--influx", "localhost:8086"), {}, "--influx: 'localhost:8086' is no address such as http://127.0.0.1:8086"),
        (("--influx", "http://u:p@h"), {}, "--influx: leave user and password out"),
        ((), {"LOADTEST_INFLUX_URL": "ftp://h"}, "LOADTEST_INFLUX_URL: 'ftp://h' is no address"),
        (("--influx", "http://h", "--within", "soon"), {}, "--within: 'soon' is not a duration"),
        (("--influx", "http://h"), {"LOADTEST_INFLUX_API": "3"}, "LOADTEST_INFLUX_API: 1 or 2 (got '3')"),
    ],
)
def test_bad_input(arguments: tuple[str, ...], env: dict[str, str], says: str, out: Path) -> None:
    """One line, exit code 2."""
    finished = loadtest("upload", "nowhere", *arguments, out=out, env=env)
    assert finished.code == 2
    (line,) = finished.errors.strip().splitlines()
    assert says in line
