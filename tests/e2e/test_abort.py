"""An objective that ends the load: the run stops, is drained and judged, and says which it was."""

import json
from pathlib import Path

from tests.e2e.command import ROOT, run

ASKED = '"response_time.p95 < 200ms"'
STOPPING = '{ objective = "response_time.p95 < 200ms", abort_on_fail = true, grace = "1s", window = "2s" }'


def test_a_slow_stack_is_not_loaded_to_the_end(out: Path, tmp_path: Path) -> None:
    """Exit code 1 long before the load's two minutes are over: FAIL and not INVALID, tasks followed, the books balanced."""
    text = (ROOT / "scenarios" / "phase5.toml").read_text()
    assert text.count(ASKED) == 1
    (tmp_path / "stopping.toml").write_text(text.replace(ASKED, STOPPING))
    flags = ("--users", "20", "--duration", "120s", "--workers", "2")
    command = run(str(tmp_path / "stopping.toml"), *flags, out=out, env={"FAULT_LIST_DELAY_MS": "400"})
    finished = command.finish(timeout_s=80)
    assert finished.code == 1, finished.output + finished.errors
    verdict, ledger = finished.json("verdict.json"), finished.json("ledger.json")
    assert verdict["verdict"] == "fail"
    assert [check["name"] for check in verdict["health"] if check["status"] == "fail"] == []
    (complete,) = [check for check in verdict["health"] if check["name"] == "complete"]
    assert complete["observed_text"].endswith("s into the load by response_p95")
    (missed,) = [result for result in verdict["objectives"] if result["name"] == "response_p95"]
    assert (missed["status"], missed["observed_text"].endswith("over the last 2 s")) == ("fail", True)
    assert missed["observed"] >= 0.4
    events = [json.loads(line) for line in (finished.folder / "events.jsonl").read_text().splitlines()]
    (abort,) = [event for event in events if event["event"] == "abort"]
    (halt,) = [event for event in events if event["event"] == "halt"]
    assert abort["name"] == "response_p95" and halt["reason"] == "aborted by an objective"
    assert [event for event in events if event["event"] == "followed"]
    assert ledger["balanced"], ledger["imbalances"]
    assert "s into the load by response_p95" in finished.output and "VERDICT: FAIL" in finished.output
    assert command.left_behind(within_s=2.0) == []
