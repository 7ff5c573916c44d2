"""Faults planted in the stack: each run finds its own, by the objective that belongs to it and by no other."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from loadtests.orchestrate.definition import find_program
from loadtests.store.accepted import read_accepted
from loadtests.store.folder import RunFolder
from tests.conftest import missing
from tests.e2e.command import ROOT, Finished, run

# 700 tasks: of so many one in a hundred is certainly dropped, and p95 is known to a tenth of a second.
USERS, DURATION = 400, "8s"
DROP_RATIO = 0.01
# Phase 5's scenario and, of the work alone, a limit half-way between p95 of a mean of 0.4 s (1.2 s) and of twice that.
CHANGES = {
    "[objectives]\n": '[objectives]\ntask_run = "task_run.p95 < 1.8s"\n',
    # The one request of the check may be one that fails on purpose.
    'check = "/api/v1/auth/me"\n': "",
    # Of tasks one in a hundred is dropped, of requests one in two hundred fails: chance would decide whether these are met.
    '"task_success >= 99%"': '"task_success >= 95%"',
    '"rate >= 99% of 10000/s"': '"rate >= 97% of 10000/s"',
    # How fast the API is on a machine that others use is not the question here.
    '"response_time.p95 < 200ms"': '"response_time.p95 < 2s"',
    '"response_time.p99 < 500ms"': '"response_time.p99 < 5s"',
}


@dataclass(frozen=True)
class Planted:
    """A fault, and the only objective that it misses."""

    name: str
    missed: str
    switches: dict[str, str] = field(default_factory=dict)
    deadline_s: int = 10
    """No task takes longer than ten means, and a dropped one is not waited for any longer than that."""


DROPPED = Planted("tasks are dropped", "tasks_unfinished", {"FAULT_DROP_RATIO": str(DROP_RATIO)}, deadline_s=5)
FAULTS = (
    Planted("connections leak", "db_connections", {"FAULT_LEAK_PER_S": "25"}),
    Planted("a worker at half speed", "task_run", {"FAULT_SLOW_WORKER": "2"}),
    Planted("no cache", "cache", {"CACHE": "off"}),
    Planted(
        "one of two instances fails requests",
        "availability",
        {"API_INSTANCES": "2", "FAULT_ERROR_RATIO": "0.01", "FAULT_ERROR_INSTANCE": "2"},
    ),
)


@pytest.mark.parametrize("planted", FAULTS, ids=lambda planted: planted.name)
def test_a_planted_fault_is_found(planted: Planted, tmp_path: Path) -> None:
    """FAIL, for the objective that the fault belongs to and for no other."""
    _assert_missed(_under_load(planted, tmp_path), planted.missed)


def test_dropped_tasks_are_named(tmp_path: Path) -> None:
    """FAIL for tasks without an end alone, and the ledger names exactly those that the stack has dropped."""
    finished = _under_load(DROPPED, tmp_path)
    accepted = {record["id"] for record in read_accepted(RunFolder(finished.folder))}
    dropped = {task for task in accepted if _is_dropped(task)}
    assert dropped, "no task was dropped: nothing was tested"
    assert set(finished.json("ledger.json")["tasks"]["names"]["unfinished"]) == dropped
    _assert_missed(finished, DROPPED.missed)


def _under_load(planted: Planted, folder: Path) -> Finished:
    if planted.switches.get("API_INSTANCES", "1") != "1" and find_program("nginx") is None:
        missing("one of two instances that fails requests", "apt-get install nginx-light")
    scenario = folder / "planted.toml"
    scenario.write_text(_scenario(planted.deadline_s))
    arguments = (str(scenario), "--users", str(USERS), "--duration", DURATION)
    return run(*arguments, out=folder / "results", env=planted.switches).finish()


def _scenario(deadline_s: int) -> str:
    text = (ROOT / "scenarios" / "phase5.toml").read_text()
    for old, new in {**CHANGES, 'deadline = "30s"': f'deadline = "{deadline_s}s"'}.items():
        assert text.count(old) == 1, f"scenarios/phase5.toml has changed: {old!r}"
        text = text.replace(old, new)
    return text


def _assert_missed(finished: Finished, objective: str) -> None:
    verdict = finished.json("verdict.json")
    missed = {one["name"]: one["observed"] for one in verdict["objectives"] if one["status"] != "pass"}
    assert missed.keys() == {objective}, finished.output
    assert missed[objective] is not None, "missed for want of data, not for the fault"
    assert (verdict["verdict"], finished.code) == ("fail", 1), finished.output


def _is_dropped(task: str) -> bool:
    """As backend/app/core/chance.py decides it, written anew."""
    first = hashlib.sha256(f"drop:0:{task}".encode()).digest()[:8]
    return (int.from_bytes(first, "big") >> 11) / 2**53 < DROP_RATIO
