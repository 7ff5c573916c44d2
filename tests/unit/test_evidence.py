"""Evidence: what the folder's files say, in the shape in which it is judged."""

from collections import Counter
from pathlib import Path

import pytest

from loadtests.errors import RunError
from loadtests.pacing.stream import OpenLoad, planned_stream
from loadtests.store.records import append_lines
from tests.unit.runs import EPOCH, TEXT, Sample, SyntheticRun, add_counts, complete, planned_samples
from tests.unit.texts import changed

PROBED = TEXT + '[probes]\nprocesses = ["api"]\n[probes.postgres]\ndb = "SELECT 1"\n'


def test_totals_are_those_of_the_samples(tmp_path: Path) -> None:
    """Nothing is lost or counted twice between recording and reading."""
    run = complete(SyntheticRun.create(tmp_path, workers=3))
    evidence = run.evidence()
    names = Counter(sample.name for sample in run.samples)
    assert {name: series.requests for name, series in evidence.totals.series.items()} == dict(names)
    assert evidence.total.requests == evidence.totals.counts.scheduled == len(run.samples)
    assert evidence.totals.lateness.count == len(run.samples)
    assert evidence.ledger.imbalances() == []


def test_workers_do_not_change_the_result(tmp_path: Path) -> None:
    """The same samples, recorded by one worker or by five, give the same totals and the same stream."""
    found = []
    for workers in (1, 5):
        (tmp_path / str(workers)).mkdir()
        evidence = complete(SyntheticRun.create(tmp_path / str(workers), workers=workers)).evidence()
        found.append((evidence.total.to_json(), evidence.steady_ok, evidence.stream, evidence.ledger.imbalances()))
    assert found[0] == found[1]


def test_stream_is_the_planned_one(tmp_path: Path) -> None:
    """The digests of the workers' final reports add up to that of the plan, computed without running anything."""
    evidence = complete(SyntheticRun.create(tmp_path, workers=3)).evidence()
    plan = evidence.plan
    assert isinstance(plan.load, OpenLoad)
    turns, digest = planned_stream(plan.load, plan.mix, plan.scenario.seed, range(plan.scenario.load.users))
    assert evidence.stream == plan.stream_hash(digest)
    assert turns == len(planned_samples(plan))


def test_stream_of_an_unfinished_run_is_unknown(tmp_path: Path) -> None:
    """Without final reports nobody knows what was carried out."""
    run = SyntheticRun.create(tmp_path)
    run.start()
    run.play(planned_samples(run.plan))
    assert run.evidence().stream is None


def test_authentication_is_apart(tmp_path: Path) -> None:
    """Logins have a series of their own: they are in neither total nor rate, and in the ledger by their own name."""
    run = SyntheticRun.create(tmp_path)
    logins = [Sample(user, 3.0 + user / 10, "auth_refresh", 400_000, 400_000, planned=False) for user in range(6)]
    evidence = complete(run, planned_samples(run.plan) + logins).evidence()
    assert evidence.totals.series["auth_refresh"].requests == 6
    assert evidence.total.requests == len(run.samples) - 6
    assert evidence.total.response_time.max_us < 400_000
    assert evidence.steady_ok["auth_refresh"] == 6
    assert evidence.steady_ok[None] == evidence.steady_ok["list_tasks"] + evidence.steady_ok["create_task"]
    assert evidence.ledger.imbalances() == []
    assert evidence.ledger.to_json()["requests"]["authentication"] == 6


def test_steady_part_begins_after_the_ramp(tmp_path: Path) -> None:
    """With a ramp of two of ten seconds, answers of the seconds 2 to 9 count; failures and the drain do not."""
    run = SyntheticRun.create(tmp_path)
    drained = [Sample(0, 9.9, "list_tasks", 500_000, 500_000), Sample(1, 9.8, "create_task", 1_500_000, 1_500_000)]
    evidence = complete(run, planned_samples(run.plan, fail_every=5) + drained).evidence()
    assert evidence.steady_s == (2, 10)
    good = [sample for sample in run.samples if 2 <= sample.second < 10 and sample.failure is None]
    assert evidence.steady_ok[None] == len(good)
    assert evidence.steady_ok["create_task"] == sum(sample.name == "create_task" for sample in good)
    assert {sample.second for sample in run.samples} == set(range(12))


@pytest.mark.parametrize(
    ("ramp", "duration", "halt_s", "steady"),
    [
        ("2s", "10s", None, (2, 10)),
        ("2500ms", "10s", None, (3, 10)),
        ("2s", "9500ms", None, (2, 9)),
        ("2s", "10s", 6.7, (2, 6)),
        ("2s", "10s", 1.5, (0, 2)),
        ("0s", "10s", None, (0, 10)),
        ("0s", "500ms", None, (0, 1)),
    ],
)
def test_steady_seconds_are_whole(
    tmp_path: Path, ramp: str, duration: str, halt_s: float | None, steady: tuple[int, int]
) -> None:
    """Only seconds wholly within the steady part count; a run that never got there is measured from its start."""
    text = changed('duration = "10s"\nramp_up = "2s"', f'duration = "{duration}"\nramp_up = "{ramp}"', TEXT)
    run = SyntheticRun.create(tmp_path, text)
    if halt_s is not None:
        run.folder.event("halt", halt_s, reason="test")
    assert run.evidence().steady_s == steady


def test_gauges_are_those_of_the_load(tmp_path: Path) -> None:
    """Samples before the start and after the end of the load are no part of it; both ends are."""
    run = complete(SyntheticRun.create(tmp_path, PROBED))
    append_lines(
        run.folder.file("probes.jsonl"),
        (
            {"time": EPOCH + at_s, "samples": [["db", None, float(at_s)], ["cpu", "api", at_s / 100]], "gaps": {}}
            for at_s in (-1, 0, 4, 10, 11)
        ),
    )
    gauges = run.evidence().gauges()
    assert gauges["db", None] == [0.0, 4.0, 10.0]
    assert gauges["cpu", "api"] == [0.0, 0.04, 0.1]
    assert set(gauges["users", None]) == {6.0}


def test_gauges_end_where_the_load_was_halted(tmp_path: Path) -> None:
    """After a halt nothing is measured any more."""
    run = complete(SyntheticRun.create(tmp_path, PROBED))
    run.folder.event("halt", 3.0, reason="test")
    append_lines(run.folder.file("probes.jsonl"), ({"time": EPOCH + s, "samples": [["db", None, s]]} for s in range(10)))
    assert run.evidence().gauges()["db", None] == [0, 1, 2, 3]


def test_finished_and_lost_run_side_by_side(tmp_path: Path) -> None:
    """With a lost worker the ledger counts what it had in flight and bounds what it did not tell."""
    run = SyntheticRun.create(tmp_path)
    run.start()
    samples = planned_samples(run.plan)
    waiting = next(sample for sample in samples if sample.user == 1 and sample.second == 3)
    run.recorders[1].sent(True)
    add_counts(run, 1, scheduled=1, started=1)
    run.play([sample for sample in samples if sample is not waiting], silent_from={1: 5})
    run.folder.event("worker_lost", 7.0, worker=1, name="worker-2", how="stopped answering")
    run.final(0)
    run.stop()
    ledger = run.evidence().ledger
    assert ledger.lost_in_flight == 1
    assert ledger.imbalances() == []
    expected = sum(sample.user % 2 == 1 and 5 <= sample.due_s <= 7 for sample in samples)
    assert ledger.unreported is not None
    assert ledger.unreported >= expected > 0


def test_folder_without_a_manifest_cannot_be_read(tmp_path: Path) -> None:
    """There is nothing to judge without the plan."""
    run = SyntheticRun.create(tmp_path)
    run.folder.file("manifest.json").unlink()
    with pytest.raises(RunError, match=r"manifest\.json: missing"):
        run.evidence()
