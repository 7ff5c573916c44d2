"""Runs that went on without a worker: what is judged of them, and against what."""

from dataclasses import replace
from pathlib import Path

import pytest

from loadtests.report.summary import summarise
from loadtests.store.folder import ABORTED
from tests.unit.runs import TEXT, Sample, SyntheticRun, planned_samples
from tests.unit.texts import changed

LOST_S, TAKEN_S = 5, 7
STAGES = 'stages = [{at = 1.0, duration = "5s"}, {at = 4.0, duration = "5s"}]'
STAGED = changed('duration = "10s"\nramp_up = "2s"', STAGES, TEXT)


def _run(folder: Path, text: str = TEXT, until_s: float = 99.0) -> tuple[SyntheticRun, list[Sample]]:
    """Worker 2 of two is lost at 5 s, and the first has its users from 7 s on; and the samples of the plan until then."""
    run = SyntheticRun.create(folder, text)
    planned = [replace(one, response_us=1, service_us=1) for one in planned_samples(run.plan) if one.due_s < until_s]
    run.start()
    kept = [one for one in planned if one.user % 2 == 0 or one.due_s < LOST_S]
    taken = [replace(one, user=0) for one in planned if one.user % 2 and one.due_s >= TAKEN_S]
    run.play([*kept, *taken], silent_from={1: LOST_S})
    run.folder.event("worker_lost", float(LOST_S), worker=1, name="worker-2", how="stopped answering")
    run.folder.event("users_taken_over", 5.1, worker=1, name="worker-2", users=3, from_s=float(TAKEN_S), heirs=[0])
    run.final(0)
    run.stop()
    return run, planned


@pytest.mark.parametrize("text", [TEXT, STAGED], ids=["steady", "stages"])
def test_rates_are_held_against_their_own_seconds(tmp_path: Path, text: str) -> None:
    """What was answered in the seconds in which all users were there is all that was due in them, whatever the load did."""
    run, planned = _run(tmp_path, text)
    evidence, summary = run.evidence(), summarise(run.evidence())
    assert [second for second in range(*evidence.steady_s) if second not in evidence.rated] == [5, 6]
    due = sum(int(one.due_s) in evidence.rated for one in planned)
    assert summary["due_rate"] == pytest.approx(due / len(evidence.rated), abs=1e-3)
    assert summary["achieved"] == pytest.approx(1, abs=1e-3)


def test_a_hole_counts_in_a_load_that_was_aborted(tmp_path: Path) -> None:
    """It ended early, which is a result; what nobody sent until then is missing from what was offered all the same."""
    run, planned = _run(tmp_path, until_s=8.0)
    run.folder.event("abort", 8.0, name="fast", objective="x", observed=1.0, observed_text="1 s", window_s=3)
    run.folder.event("halt", 8.0, reason=ABORTED)
    facts = run.evidence().health_facts()
    assert run.evidence().ledger.missed == sum(one.user % 2 == 1 and LOST_S < one.due_s < TAKEN_S for one in planned) == 12
    assert (facts.planned, facts.sent) == (len(planned), len(planned) - 12)
