"""A load that may go on without a worker: the others take its users over, and what was lost meanwhile is counted."""

import json
from pathlib import Path

from loadtests.pacing.stream import OpenLoad, planned_turns
from loadtests.report.evidence import Evidence
from loadtests.store.folder import RunFolder
from tests.e2e.command import Command, Finished, run
from tests.e2e.conftest import HOSTED, Target

USERS = 30


def _scenario(folder: Path, health: str) -> str:
    path = folder / "compensated.toml"
    path.write_text(Path(HOSTED).read_text() + f'\n[health]\nlost_worker = "compensate"\n{health}\n')
    return str(path)


def _start(target: Target, out: Path, scenario: str, workers: str, seconds: str) -> Command:
    arguments = (scenario, "--users", str(USERS), "--duration", f"{seconds}s", "--workers", workers, "--host", target.host)
    return run(*arguments, "--plain", out=out, env=target.env)


def _kill(command: Command, name: str) -> None:
    (victim,) = [one for one in command.processes("--worker") if one.environ()["LOADTEST_WORKER_NAME"] == name]
    victim.kill()


def _users(finished: Finished) -> list[int]:
    lines = (finished.folder / "windows.jsonl").read_text().splitlines()
    return [sum(worker["users"] for worker in json.loads(line)["workers"].values()) for line in lines]


def _failed(finished: Finished) -> set[str]:
    return {check["name"] for check in finished.json("verdict.json")["health"] if check["status"] == "fail"}


def test_two_of_three_workers_are_lost_one_after_the_other(target: Target, out: Path, tmp_path: Path) -> None:
    """The run passes: the last one plays all users, those of the second among them that the third had taken over before."""
    command = _start(target, out, _scenario(tmp_path, "offered = '50%'"), "3", "17")
    command.wait_for_window(2)
    _kill(command, "worker-2")
    command.wait_for_window(7)
    _kill(command, "worker-3")
    finished = command.finish()
    assert finished.code == 0, finished.output + finished.errors
    moves = finished.events("users_taken_over")
    assert [(move["name"], move["users"]) for move in moves] == [("worker-2", 10), ("worker-3", 15)]
    assert "worker-3 was lost: stopped answering" in finished.output and "its 15 users are taken over from" in finished.output
    assert USERS in _users(finished)[7:-1], "nobody took over"
    assert max(_users(finished)) == USERS
    ledger, evidence = finished.json("ledger.json"), Evidence.of(RunFolder(finished.folder))
    assert ledger["balanced"], ledger["imbalances"]
    scenario = evidence.plan.scenario
    assert isinstance(evidence.plan.load, OpenLoad)
    taken = planned_turns(evidence.plan.load, evidence.plan.mix, scenario.seed, USERS) - ledger["missed"]
    assert ledger["missed"] > 0
    assert taken - ledger["unreported"] <= ledger["turns"]["scheduled"] <= taken
    (note,) = [note for note in finished.json("verdict.json")["notes"] if "taken over" in note]
    assert "worker-2 stopped answering" in note and f"{ledger['missed']} were missed" in note
    assert command.left_behind(within_s=2.0) == []


def test_a_hole_that_is_too_large_for_the_scenario(target: Target, out: Path, tmp_path: Path) -> None:
    """Invalid by the share of turns that were sent, and by nothing else."""
    command = _start(target, out, _scenario(tmp_path, "offered = '99%'"), "2", "8")
    command.wait_for_window(2)
    _kill(command, "worker-2")
    finished = command.finish()
    assert finished.code == 3, finished.output + finished.errors
    assert _failed(finished) == {"offered"}


def test_nobody_is_left(target: Target, out: Path, tmp_path: Path) -> None:
    """The load ends at once, and nobody takes over: invalid."""
    command = _start(target, out, _scenario(tmp_path, "offered = '10%'"), "2", "60")
    command.wait_for_window(1)
    _kill(command, "worker-1")
    _kill(command, "worker-2")
    finished = command.finish(timeout_s=30)
    assert finished.code == 3, finished.output + finished.errors
    assert {"complete", "workers"} <= _failed(finished)
