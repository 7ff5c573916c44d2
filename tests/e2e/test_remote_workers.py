"""Workers that join a run from elsewhere, by the real commands, over loopback; `tests/hosts` gives them machines."""

import shutil
import signal
from pathlib import Path

import pytest

from tests.e2e.command import ROOT, Command, Finished, free_port, run
from tests.targets import scripted_target

SCENARIO = """
name = "remote"
journeys = ["own.py"]

[load]
users = 6
duration = "8s"
drain = "2s"

[[mix]]
journey = "fine"

[objectives]
failures = "failure_ratio <= 0%"
"""
JOURNEYS = """
from loadtests.traffic.journeys import Person, journey


@journey(requests=["fine"])
def fine(person: Person) -> None:
    person.client.get("/ok", name="fine")
"""


@pytest.fixture
def port() -> int:
    """Where this test's master listens."""
    return free_port()


def _scenario(folder: Path) -> str:
    (folder / "own.py").write_text(JOURNEYS)
    (folder / "remote.toml").write_text(SCENARIO)
    return str(folder / "remote.toml")


def _run(scenario: str, host: str, port: int, out: Path, wait: str = "30", remote: str = "1") -> Command:
    where = ("--workers", "0", "--remote-workers", remote, "--master-port", str(port), "--wait", wait)
    return run(scenario, "--host", host, *where, "--plain", out=out)


def _worker(name: str, port: int, out: Path, root: Path = ROOT) -> Command:
    """`loadtest worker` of the tree at `root`."""
    env = {"LOADTEST_WORKER_NAME": name, "PYTHONPATH": str(root)}
    return Command(out, ("worker", "--master", f"127.0.0.1:{port}", "--wait", "30"), env, cwd=root).start()


def _other_build(folder: Path) -> Path:
    shutil.copytree(ROOT / "loadtests", folder / "loadtests", ignore=shutil.ignore_patterns("__pycache__"))
    text = (folder / "loadtests" / "__init__.py").read_text()
    (folder / "loadtests" / "__init__.py").write_text(text.replace('__version__ = "', '__version__ = "9.'))
    return folder


def _events(finished: Finished, kind: str) -> list[str]:
    return [event["name"] for event in finished.events(kind)]


def test_one_of_another_build_one_in_time_one_too_late(port: int, out: Path, tmp_path: Path) -> None:
    """The first is refused and does not count, the second does the work, the third is told to go, and the run passes."""
    with scripted_target() as host:
        command = _run(_scenario(tmp_path), host, port, out)
        other = _worker("other", port, out, _other_build(tmp_path / "other")).finish()
        worker = _worker("remote-1", port, out)
        command.wait_for_window(0)
        late = _worker("late", port, out).finish()
        finished = command.finish()
    assert finished.code == 0, finished.output + finished.errors
    assert other.code == late.code == 2, other.errors + late.errors
    refused = f"loadtest: refused by the master at 127.0.0.1:{port}: "
    assert f"{refused}harness 9." in other.errors and "there: install the same version on both" in other.errors
    assert late.errors.strip() == f"{refused}the load has begun already"
    assert worker.finish().code == 0
    assert "worker remote-1 joined (1 of 1)" in finished.output
    assert "worker other refused: harness " in finished.output and "worker late refused: the load has" in finished.output
    assert (_events(finished, "worker_refused"), _events(finished, "worker_joined")) == (["other", "late"], ["remote-1"])
    assert finished.json("summary.json")["requests"] == 6 * 8
    manifest = finished.json("manifest.json")
    assert (manifest["workers"], manifest["remote_workers"]) == (1, 1)
    assert command.left_behind(within_s=2.0) == []


def test_nobody_came(port: int, out: Path, tmp_path: Path) -> None:
    """When the time is over: exit code 3, one line that says how many came."""
    with scripted_target() as host:
        finished = _run(_scenario(tmp_path), host, port, out, wait="1").finish()
    assert finished.code == 3
    assert finished.errors.strip() == "loadtest: 0 of 1 workers joined within 1 s"


@pytest.mark.parametrize("there", ["nothing", "another"])
def test_a_file_that_is_not_on_the_workers_machine(port: int, out: Path, tmp_path: Path, there: str) -> None:
    """No load; both sides name the file and the worker that lacks it, or has another one."""
    with scripted_target() as host:
        command = _run(_scenario(tmp_path), host, port, out)
        command.wait_for_process("--master")
        own = tmp_path / "own.py"
        own.unlink() if there == "nothing" else own.write_text(JOURNEYS + "# edited")
        worker = _worker("remote-1", port, out).finish()
        finished = command.finish()
    missing, other = "the plan needs this file, and it is not on this machine", "another file than that of the plan"
    line = f"remote-1: {own}: {missing if there == 'nothing' else other}"
    assert finished.code == 4 and line in finished.errors, finished.errors
    assert worker.code == 2 and f"loadtest: {line}" in worker.errors, worker.errors


def test_a_worker_that_does_not_end(port: int, out: Path) -> None:
    """One that is suspended does not hear of the first signal; the second ends it."""
    command = _worker("box", port, out)
    for process in command.wait_for_process("--worker"):
        process.suspend()
    command.process.send_signal(signal.SIGINT)
    command.process.send_signal(signal.SIGTERM)
    assert command.finish(timeout_s=10).code == 130
    assert command.left_behind(within_s=2.0) == []


def test_no_master_answers(out: Path) -> None:
    """Exit code 3 and one line, when the time is over."""
    finished = Command(out, ("worker", "--master", "127.0.0.1:9", "--wait", "1")).start().finish()
    assert finished.code == 3
    assert finished.errors.strip() == "loadtest: no master answered at 127.0.0.1:9 within 1 s"


def test_a_worker_that_leaves(port: int, out: Path, tmp_path: Path) -> None:
    """Before the load it makes room for another; during the load it is lost, and the others take its users over."""
    scenario = Path(_scenario(tmp_path))
    scenario.write_text(scenario.read_text() + '[health]\nlost_worker = "compensate"\noffered = "40%"\n')
    with scripted_target() as host:
        command = _run(str(scenario), host, port, out, wait="60", remote="2")
        early = _worker("early", port, out)
        command.wait_for_event("worker_joined")
        early.process.send_signal(signal.SIGINT)
        assert early.finish().code == 130
        command.wait_for_event("worker_left")
        stays, leaves = (_worker(name, port, out) for name in ("stays", "leaves"))
        command.wait_for_window(1)
        leaves.process.send_signal(signal.SIGINT)
        assert leaves.finish().code == 130
        finished = command.finish()
    assert finished.code == 0, finished.output + finished.errors
    assert stays.finish().code == 0
    assert "worker early left: its place is free again" in finished.output
    (lost,), (moved,) = finished.events("worker_lost"), finished.events("users_taken_over")
    assert (lost["name"], lost["how"], moved["users"], len(moved["heirs"])) == ("leaves", "stopped answering", 3, 1)
    assert [final["report"]["users"] for final in finished.events("worker_final")] == [6]
    ledger = finished.json("ledger.json")
    assert ledger["balanced"] and ledger["missed"] > 0


def test_a_place_that_became_free_and_one_that_did_not(port: int, out: Path, tmp_path: Path) -> None:
    """A worker that died while others were awaited is dropped by name, and its successor comes instead.

    Of three that come for two places one is sent away. Those that stay have names of their own.
    """
    with scripted_target() as host:
        command = _run(_scenario(tmp_path), host, port, out, wait="60", remote="2")
        first = _worker("box", port, out)
        command.wait_for_event("worker_joined")
        for process in first.processes("--worker"):
            process.kill()
        assert first.finish().code == 3
        command.wait_for_event("worker_left")
        workers = [_worker("box", port, out) for _ in range(3)]
        finished = command.finish()
    assert finished.code == 0, finished.output + finished.errors
    ended = [worker.finish() for worker in workers]
    assert sorted(one.code for one in ended) == [0, 0, 2]
    (refused,) = [one.errors for one in ended if one.code == 2]
    assert "this run has all its 2 workers" in refused or "the load has begun already" in refused
    assert "worker box says nothing any more: its place is free again" in finished.output
    assert sorted(finished.events("start")[0]["workers"].values()) == ["box", "box#2"]
