"""Verdicts over whole folders: pass, fail and invalid, each from files alone."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from loadtests.errors import RunError
from loadtests.report.verdict import Verdict, judge
from loadtests.report.write import write_report
from loadtests.scenario.implicit import ALWAYS
from loadtests.store.records import read_json
from tests.unit.runs import TEXT, SyntheticRun, add_counts, complete, planned_samples, slower, task_id
from tests.unit.texts import changed


def run_of(tmp_path: Path, text: str = TEXT) -> SyntheticRun:
    """A folder that nothing happened in yet."""
    return SyntheticRun.create(tmp_path, text)


def failed_checks(verdict: Verdict) -> list[str]:
    """Names of the health checks that failed."""
    return [result.name for result in verdict.health if result.status == "fail"]


def missed(verdict: Verdict) -> list[str]:
    """Names of the objectives that were missed."""
    return [result.name for result in verdict.objectives if result.status == "fail"]


def test_healthy_run_passes(tmp_path: Path) -> None:
    """All objectives met and nothing wrong with the generator: pass, exit code 0."""
    verdict = complete(run_of(tmp_path)).verdict()
    assert (verdict.word, int(verdict.exit_code)) == ("pass", 0)
    assert failed_checks(verdict) == missed(verdict) == []
    written = ["fast", "throughput", "failures", "users", "done", "quick"]
    assert [result.name for result in verdict.objectives] == [*written, *ALWAYS]


def test_missed_objective_fails(tmp_path: Path) -> None:
    """Ten times as slow, the latency is missed and everything else as before: fail, exit code 1."""
    run = run_of(tmp_path)
    verdict = complete(run, slower(planned_samples(run.plan), 10)).verdict()
    assert (verdict.word, int(verdict.exit_code)) == ("fail", 1)
    assert missed(verdict) == ["fast"]
    assert failed_checks(verdict) == []


def test_failures_fail(tmp_path: Path) -> None:
    """A quarter of failed requests misses the ratio and, as only good answers count, the rate."""
    run = run_of(tmp_path)
    verdict = complete(run, planned_samples(run.plan, fail_every=4)).verdict()
    assert verdict.word == "fail"
    assert missed(verdict) == ["throughput", "failures"]


def test_slow_tasks_fail(tmp_path: Path) -> None:
    """Tasks are judged from the moment their request was due."""
    assert missed(complete(run_of(tmp_path), processing_s=6.0).verdict()) == ["quick"]


def test_tasks_that_never_end_fail(tmp_path: Path) -> None:
    """Unfinished tasks count against success, and with the time that they were waited for; and none may be."""
    run = run_of(tmp_path)
    complete(run)
    run.folder.file("tasks.jsonl").unlink()
    run.end_tasks(statuses={task_id(sample): "processing" for sample in run.accepted[:5]})
    verdict = run.verdict()
    assert verdict.word == "fail"
    assert missed(verdict) == ["done", "quick", "tasks_unfinished"]


def test_objective_without_data_fails(tmp_path: Path) -> None:
    """A request that was never made cannot have been fast enough."""
    text = changed('fast = "response_time.p95', 'fast = "response_time(auth_refresh).p95', TEXT)
    verdict = complete(run_of(tmp_path, text)).verdict()
    assert verdict.word == "fail"
    assert missed(verdict) == ["fast"]
    assert verdict.objectives[0].observed_text == "no data"


def test_tasks_that_nobody_followed_fail(tmp_path: Path) -> None:
    """Without a following there is no data about tasks."""
    run = run_of(tmp_path)
    run.start()
    run.play(planned_samples(run.plan))
    run.final(0)
    run.final(1)
    run.stop()
    assert missed(run.verdict()) == ["done", "quick", *ALWAYS]


def without_stop(run: SyntheticRun) -> None:
    """The master died before it wrote the end."""
    run.start()
    run.play(planned_samples(run.plan))
    run.final(0)
    run.final(1)


def halted(run: SyntheticRun) -> None:
    """Somebody pressed Ctrl-C."""
    run.start()
    run.folder.event("halt", 4.5, reason="Ctrl-C")
    run.play([sample for sample in planned_samples(run.plan) if sample.due_s < 4.5])
    run.final(0)
    run.final(1)
    run.stop()


def halted_before(run: SyntheticRun) -> None:
    """Stopped before the load."""
    run.folder.event("halt", None, reason="a worker died")
    run.stop()


def never_started(run: SyntheticRun) -> None:
    """The folder has a manifest and nothing else."""


def lost_worker(run: SyntheticRun) -> None:
    """The second worker fell silent in second 5."""
    run.start()
    run.play(planned_samples(run.plan), silent_from={1: 5})
    run.folder.event("worker_lost", 7.0, worker=1, name="worker-2", how="stopped answering")
    run.final(0)
    run.stop()


def missing_snapshot(run: SyntheticRun) -> None:
    """The first worker took two snapshots that never arrived."""
    run.start()
    run.play(planned_samples(run.plan))
    run.final(0, missing=2)
    run.final(1)
    run.stop()


def imbalance(run: SyntheticRun) -> None:
    """The first worker counted one answer that is in no window."""
    run.start()
    run.play(planned_samples(run.plan))
    run.final(0, ok=run.recorders[0].total_ok + 1)
    run.final(1)
    run.stop()


def late(run: SyntheticRun) -> None:
    """Two in a hundred turns began 60 ms late though their users were free."""
    samples = planned_samples(run.plan)
    complete(run, [replace(one, lateness_us=60_000 if index % 50 == 0 else 100) for index, one in enumerate(samples)])


def few_users(run: SyntheticRun) -> None:
    """One user never came to life."""
    run.start(users=5)
    run.play(planned_samples(run.plan))
    run.final(0)
    run.final(1)
    run.stop()


def raising_journey(run: SyntheticRun) -> None:
    """A journey of the engineer's own raised."""
    add_counts(run, 0, journey_errors=1)
    complete(run)


def dropped(run: SyntheticRun) -> None:
    """Ten of 108 turns were dropped at the end of the drain."""
    add_counts(run, 0, scheduled=10, dropped=10)
    complete(run, planned_samples(run.plan)[:-10])


def silent_users(run: SyntheticRun) -> None:
    """Users that vanished without a trace: their turns are in nobody's count, only in the plan."""
    complete(run, planned_samples(run.plan)[:-10])


@pytest.mark.parametrize(
    ("happens", "checks", "words"),
    [
        (without_stop, ["complete"], "the master did not report its end"),
        (halted, ["complete"], "stopped 4.5 s into the load: Ctrl-C"),
        (halted_before, ["complete", "users", "lateness", "offered"], "stopped before the load: a worker died"),
        (never_started, ["complete", "users", "lateness", "offered"], "the load never started"),
        (lost_worker, ["workers", "offered"], "worker-2 stopped answering 7.0 s into the load"),
        (missing_snapshot, ["snapshots"], "2"),
        (imbalance, ["ledger"], "ok: the windows hold"),
        (late, ["lateness"], "60"),
        (few_users, ["users"], "5"),
        (raising_journey, ["journeys"], "1"),
        (dropped, ["offered"], "98 of 108"),
        (silent_users, ["offered"], "98 of 108"),
    ],
)
def test_run_that_cannot_be_believed_is_invalid(
    tmp_path: Path, happens: Callable[[SyntheticRun], None], checks: list[str], words: str
) -> None:
    """Each trouble of the generator makes the run invalid, exit code 3, and is named by the check that found it."""
    run = run_of(tmp_path)
    happens(run)
    verdict = run.verdict()
    assert (verdict.word, int(verdict.exit_code)) == ("invalid", 3)
    assert failed_checks(verdict) == checks
    first = next(result for result in verdict.health if result.status == "fail")
    assert words in first.observed_text


def test_health_comes_before_objectives(tmp_path: Path) -> None:
    """A run that missed its objectives and cannot be believed is invalid, not failed."""
    run = run_of(tmp_path)
    run.start()
    run.play(slower(planned_samples(run.plan), 10))
    verdict = run.verdict()
    assert missed(verdict) != []
    assert verdict.word == "invalid"


def test_lateness_at_the_limit_is_believed(tmp_path: Path) -> None:
    """The limit itself is allowed."""
    run = run_of(tmp_path)
    samples = [replace(sample, lateness_us=50_000) for sample in planned_samples(run.plan)]
    assert complete(run, samples).verdict().word == "pass"


def test_notes_of_the_plan_reach_the_verdict(tmp_path: Path) -> None:
    """What a reader must know about the plan stands in the verdict."""
    text = changed(
        '"rate >= 90% of 12/s"', '{ objective = "rate >= 90% of 12/s", scale_with = "users", target = "twelve" }', TEXT
    )
    verdict = complete(SyntheticRun.create(tmp_path, text, users="3")).verdict()
    assert verdict.to_json()["notes"] == list(verdict.notes)
    assert "twelve" in verdict.notes[0]


def test_verdict_recomputed_is_the_same(tmp_path: Path) -> None:
    """The files alone decide: judged again, now or in a year, the verdict is the same to the last digit."""
    run = run_of(tmp_path)
    complete(run, planned_samples(run.plan, fail_every=7))
    first, _ = write_report(run.folder)
    written = read_json(run.folder.file("verdict.json"))
    assert written == first.to_json()
    again, _ = write_report(run.folder)
    assert read_json(run.folder.file("verdict.json")) == written == again.to_json() == judge(run.evidence()).to_json()


def test_report_writes_every_file_of_the_contract(tmp_path: Path) -> None:
    """The folder holds what the design promises, and no draft is left."""
    run = complete(run_of(tmp_path))
    write_report(run.folder)
    names = {path.name for path in run.folder.path.iterdir()}
    derived = {"ledger.json", "summary.json", "verdict.json", "report.html", "report.md", "junit.xml", "hdr", "logs"}
    assert derived | {"manifest.json", "windows.jsonl", "events.jsonl"} <= names
    assert not [name for name in names if name.startswith(".")]
    for name, version in (("ledger.json", 2), ("summary.json", 1), ("verdict.json", 2)):
        assert read_json(run.folder.file(name))["version"] == version


def test_verdict_file_has_the_promised_shape(tmp_path: Path) -> None:
    """`verdict`, and for each objective and health check name, objective, observed and status."""
    data = complete(run_of(tmp_path)).verdict().to_json()
    assert data["verdict"] == "pass"
    for line in data["objectives"] + data["health"]:
        assert {"name", "objective", "observed", "status"} <= line.keys()


@pytest.mark.parametrize("name", ["windows.jsonl", "events.jsonl", "tasks.jsonl"])
def test_damaged_file_is_an_error_with_its_place(tmp_path: Path, name: str) -> None:
    """A line that was damaged after it was written is never skipped silently."""
    run = complete(run_of(tmp_path))
    file = run.folder.file(name)
    lines = file.read_bytes().split(b"\n")
    lines[1] = lines[1][:-5]
    file.write_bytes(b"\n".join(lines))
    with pytest.raises(RunError, match=rf"{name}:2: damaged"):
        run.verdict()


def test_torn_last_window_is_no_crash(tmp_path: Path) -> None:
    """A master that died while writing leaves a run that is judged, and invalid."""
    run = run_of(tmp_path)
    without_stop(run)
    file = run.folder.file("windows.jsonl")
    file.write_bytes(file.read_bytes()[:-20])
    assert run.verdict().word == "invalid"


def test_percentiles_of_too_few_requests_share_a_note(tmp_path: Path) -> None:
    """A run of two minutes with an objective for each endpoint would have a note for each of them."""
    text = changed(
        'fast = "response_time.p95 < 200ms"', 'fast = "response_time.p95 < 200ms"\nrare = "service_time.p999 < 1h"', TEXT
    )
    notes = complete(run_of(tmp_path, text)).verdict().notes
    said = "fast, rare, quick: too few values to tell how high they may be, so another run may say otherwise"
    assert [note for note in notes if "too few" in note] == [said]


def test_a_shared_note_names_a_few(tmp_path: Path) -> None:
    """Of hundreds of objectives nobody reads the names."""
    many = "\n".join(f'o{number} = "response_time.p99 < {number + 1}h"' for number in range(20))
    notes = complete(run_of(tmp_path, changed("[objectives]", f"[objectives]\n{many}", TEXT))).verdict().notes
    (note,) = [note for note in notes if "too few" in note]
    assert " and 17 more: too few" in note and note.count(", ") == 5


def test_doubtful_results_are_noted(tmp_path: Path) -> None:
    """What another run may say otherwise is a note each; the word stays what the values say."""
    text = changed("failure_ratio < 10%", "failure_ratio < 7%", TEXT)
    run = run_of(tmp_path, text)
    verdict = complete(run, planned_samples(run.plan, fail_every=20)).verdict()
    (failures,) = [result for result in verdict.objectives if result.name == "failures"]
    assert (failures.status, failures.decided) == ("pass", False)
    note = "failures: the limit of 7 % lies within 3 to 12 %, so another run may say otherwise"
    assert note in verdict.notes
