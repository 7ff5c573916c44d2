"""Every way in which a request fails has a name and is counted; real answers from a server with known faults."""

from pathlib import Path

import pytest

from tests.e2e.command import run
from tests.targets import scripted_target

JOURNEYS = """
from loadtests.traffic.journeys import Person, journey

{functions}

@journey(requests=["broken"])
def broken(person: Person) -> None:
    raise RuntimeError("a journey's own mistake")
"""
FUNCTION = """
@journey(requests=["{name}"])
def {name}(person: Person) -> None:
    reply = person.client.get("{path}", name="{name}")
    assert reply.ok == {ok}
"""
SCENARIO = """
name = "faults"
journeys = ["faults.py"]

[target]
timeout = "500ms"

[load]
users = {users}
duration = "4s"
drain = "{drain}"

{mix}

[objectives]
failures = "failure_ratio <= 0%"
"""
PATHS = {
    "fine": ("/ok", None),
    "unavailable": ("/status/503", "status_503"),
    "missing": ("/status/404", "status_404"),
    "sleepy": ("/sleep/2000", "read_timeout"),
    "reset": ("/reset", "reset"),
    "garbage": ("/garbage", "malformed"),
}


def _scenario(folder: Path, journeys: list[str], users: int, drain: str = "5s") -> str:
    functions = "".join(FUNCTION.format(name=name, path=path, ok=kind is None) for name, (path, kind) in PATHS.items())
    (folder / "faults.py").write_text(JOURNEYS.format(functions=functions))
    mix = "\n".join(f'[[mix]]\njourney = "{name}"' for name in journeys)
    (folder / "faults.toml").write_text(SCENARIO.format(users=users, drain=drain, mix=mix))
    return str(folder / "faults.toml")


def test_each_fault_has_its_kind(out: Path, tmp_path: Path) -> None:
    """Statuses, timeouts, resets and garbage are counted under their own kinds, and nothing else is a failure."""
    with scripted_target() as host:
        finished = run(_scenario(tmp_path, list(PATHS), users=24), "--host", host, out=out).finish()
    assert finished.code == 1, finished.output + finished.errors
    summary, ledger = finished.json("summary.json"), finished.json("ledger.json")
    for name, (_, kind) in PATHS.items():
        series = summary["series"][name]
        assert series["requests"] > 5, name
        assert series["failure_kinds"] == ({} if kind is None else {kind: series["requests"]}), name
    assert summary["series"]["sleepy"]["service_time_ms"]["p50"] == pytest.approx(500, rel=0.2)
    assert ledger["balanced"], ledger["imbalances"]
    assert ledger["requests"]["failed"] == summary["failures"] == summary["requests"] - summary["series"]["fine"]["requests"]


def test_unanswered_requests_are_abandoned_and_counted(out: Path, tmp_path: Path) -> None:
    """What is unanswered when the drain ends is a failure of its own kind, what was unsent is dropped: both are booked."""
    scenario = _scenario(tmp_path, ["sleepy"], users=4, drain="300ms")
    text = (tmp_path / "faults.toml").read_text().replace('timeout = "500ms"', 'timeout = "30s"').replace("/2000", "/9000")
    (tmp_path / "faults.toml").write_text(text)
    (tmp_path / "faults.py").write_text((tmp_path / "faults.py").read_text().replace("/sleep/2000", "/sleep/60000"))
    with scripted_target() as host:
        finished = run(scenario, "--host", host, out=out).finish()
    assert finished.code == 3, finished.output + finished.errors
    ledger, verdict = finished.json("ledger.json"), finished.json("verdict.json")
    assert ledger["balanced"], ledger["imbalances"]
    assert finished.json("summary.json")["series"]["sleepy"]["failure_kinds"] == {"abandoned": 4}
    assert ledger["turns"] == {"scheduled": 16, "sent": 4, "dropped": 12, "in_flight": 0}
    (offered,) = [check for check in verdict["health"] if check["status"] == "fail"]
    assert offered["name"] == "offered"
    assert "the target: 4 users were still waiting for it (12 turns)" in offered["observed_text"]
    assert "the generator" not in offered["observed_text"]


def test_journey_that_raises_makes_the_run_invalid(out: Path, tmp_path: Path) -> None:
    """A journey's own mistake is not the target's failure: it is counted, logged, and the run is invalid."""
    with scripted_target() as host:
        finished = run(_scenario(tmp_path, ["fine", "broken"], users=10), "--host", host, out=out).finish()
    assert finished.code == 3, finished.output + finished.errors
    failed = [check for check in finished.json("verdict.json")["health"] if check["status"] == "fail"]
    assert [check["name"] for check in failed] == ["journeys"]
    assert failed[0]["observed"] > 5
    assert "a journey's own mistake" in (finished.folder / "logs" / "worker-1.log").read_text()
    assert finished.json("ledger.json")["balanced"]
