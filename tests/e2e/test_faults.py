"""A run that harms its own stack on purpose is no broken run: it is judged, with what people saw of the harm."""

from pathlib import Path

from loadtests.store.records import read_lines
from tests.e2e.command import run

RESTARTED = str(Path(__file__).with_name("restarted.toml"))


def test_postgres_restarted_under_load(out: Path) -> None:
    """PASS with the recovery time; failures by kind; the planned death is no trouble; every accepted task came to its end."""
    command = run(RESTARTED, "--seed", "7", out=out)
    finished = command.finish(timeout_s=180)
    assert finished.code == 0, finished.output + finished.errors
    (back,) = [one for one in finished.json("verdict.json")["objectives"] if one["name"] == "back"]
    (fault,) = finished.json("summary.json")["faults"]
    assert 0 < back["observed"] == fault["recovery_s"] < 8
    assert fault["begin_s"] >= 4.0 and fault["end_s"] >= fault["begin_s"] + 0.5
    assert sum(fault["failure_kinds"].values()) == fault["failures"] > 0
    kinds = [event["event"] for event in read_lines(finished.folder / "events.jsonl")]
    assert kinds.count("fault") == 2 and "process_ended" not in kinds
    ledger = finished.json("ledger.json")
    assert ledger["balanced"], ledger["imbalances"]
    assert ledger["tasks"]["completed"] == ledger["tasks"]["accepted"] > 0
    assert "restart postgres: over" in finished.output and "Fault 1, restart postgres at" in finished.output
    for kind in fault["failure_kinds"]:
        assert kind in (finished.folder / "report.html").read_text()
    assert command.left_behind(within_s=2.0) == []
