"""What became of the accepted tasks, from the record to the verdict."""

from pathlib import Path

import pytest

from loadtests.engine.http import failures
from loadtests.measure.snapshot import Accepted
from loadtests.objectives.evaluate import NO_END_US
from loadtests.report.summary import summarise
from loadtests.report.tasks import NOTHING_DONE, TaskEvidence, may_have_worked
from tests.unit.runs import EPOCH, TEXT, Sample, SyntheticRun, complete, planned_samples, task_id

OWN = TEXT.replace('query = "SELECT 1"', 'query = "SELECT 1"\nrows = "SELECT 1"')
"""A stack of one's own, whose rows are counted."""


def played(tmp_path: Path, text: str = OWN, samples: list[Sample] | None = None) -> SyntheticRun:
    """A healthy run whose tasks nobody has followed yet."""
    run = SyntheticRun.create(tmp_path, text, stack="embedded")
    run.start()
    run.play(planned_samples(run.plan) if samples is None else samples)
    run.final(0)
    run.final(1)
    run.stop()
    return run


def tasks_of(run: SyntheticRun) -> TaskEvidence:
    """The evidence, which is there."""
    tasks = run.evidence().tasks
    assert tasks is not None
    return tasks


def missed(run: SyntheticRun) -> dict[str, float | None]:
    """The objectives that were missed, with what was observed."""
    verdict = run.verdict()
    assert verdict.word == "fail"
    return {result.name: result.observed for result in verdict.objectives if result.status == "fail"}


def test_tasks_are_joined_with_their_ends(tmp_path: Path) -> None:
    """Each accepted task is completed, failed, unfinished or lost; its time runs from the moment its request was due."""
    run = played(tmp_path)
    count = len(run.accepted)
    statuses = {task_id(sample): status for sample, status in zip(run.accepted, ("failed", "processing", None), strict=False)}
    run.end_tasks(processing_s=2.0, statuses=statuses, rows=count, extra=0)
    tasks = tasks_of(run)
    book = tasks.ledger
    assert (book.accepted, book.completed, book.failed, book.unfinished, book.lost) == (count, count - 3, 1, 1, 1)
    assert (book.rows, book.foreign, book.unanswered) == (count, 0, 0)
    assert (tasks.facts.accepted, tasks.facts.completed) == (count, count - 3)
    # Two never ended, however short the following was.
    assert tasks.facts.processing.count == count
    assert tasks.facts.processing.max_us == NO_END_US
    assert tasks.facts.processing.sum_us == pytest.approx(2 * NO_END_US + 2.0e6 * (count - 2), abs=count)


@pytest.mark.parametrize(("unfinished", "status"), [(0, "pass"), (1, "pass"), (2, "fail")])
def test_tasks_without_an_end_are_slower_than_any_limit(tmp_path: Path, unfinished: int, status: str) -> None:
    """Of 21 tasks one may be left behind by a p95; with two it has no end, though nobody waited that long."""
    run = played(tmp_path)
    statuses = dict.fromkeys(map(task_id, run.accepted[:unfinished]), "processing")
    run.end_tasks(processing_s=2.0, statuses=statuses, extra=0)
    (quick,) = [result for result in run.verdict().objectives if result.name == "quick"]
    assert (quick.status, quick.observed_text == "no end") == (status, status == "fail")
    assert (summarise(run.evidence())["task_processing_ms"]["p95"] is None) == (status == "fail")


def test_waiting_and_working_are_told_apart(tmp_path: Path) -> None:
    """Wait: due to the begin of work. Run: from there to the end. Together they are the processing, of each task alike."""
    run = played(tmp_path)
    run.end_tasks(processing_s=2.0)
    facts = tasks_of(run).facts
    count = len(run.accepted)
    assert (facts.wait.count, facts.run.count) == (count, count)
    assert facts.run.min_us == pytest.approx(1e6, abs=2)
    assert facts.wait.sum_us + facts.run.sum_us == pytest.approx(facts.processing.sum_us, abs=2 * count)


def test_tasks_that_never_began_have_no_end_of_either(tmp_path: Path) -> None:
    """One that is lost waits and works for ever; one that is stuck has waited, and works for ever."""
    run = played(tmp_path)
    lost, stuck = run.accepted[0], run.accepted[1]
    run.end_tasks(processing_s=2.0, statuses={task_id(lost): None, task_id(stuck): "processing"})
    facts = tasks_of(run).facts
    assert (facts.wait.overflow, facts.run.overflow, facts.processing.overflow) == (1, 2, 2)


def test_target_that_does_not_tell_the_begin_gives_no_wait(tmp_path: Path) -> None:
    """Without begins there is no data, and their objectives fail."""
    run = played(
        tmp_path, OWN.replace("[objectives]\n", '[objectives]\nwait = "task_wait.p95 < 1h"\nrun = "task_run.p95 < 1h"\n')
    )
    run.end_tasks(tells_begin=False, extra=0)
    assert missed(run) == {"wait": None, "run": None}


def test_lost_task_is_the_targets_fault_and_named(tmp_path: Path) -> None:
    """The run is believed, the books balance, the objective that nobody wrote is missed, and the ledger names the task."""
    run = played(tmp_path)
    run.end_tasks(statuses={task_id(run.accepted[0]): None}, extra=0)
    assert missed(run) == {"tasks_lost": 1, "done": pytest.approx(1 - 1 / len(run.accepted))}
    assert run.evidence().ledger.imbalances() == []
    assert tasks_of(run).ledger.names["lost"] == [task_id(run.accepted[0])]


def test_unfinished_tasks_are_named(tmp_path: Path) -> None:
    """Those without an end at the deadline, and no others."""
    run = played(tmp_path)
    stuck = [task_id(sample) for sample in run.accepted[2:5]]
    run.end_tasks(statuses=dict.fromkeys(stuck, "processing"), extra=0)
    assert missed(run)["tasks_unfinished"] == 3
    assert sorted(tasks_of(run).ledger.names["unfinished"]) == sorted(stuck)
    assert tasks_of(run).ledger.lost == 0


def test_id_that_was_accepted_twice_is_one_task(tmp_path: Path) -> None:
    """It is counted once, named, and the workers' count still agrees with the files."""
    run = SyntheticRun.create(tmp_path, OWN, stack="embedded")
    run.start()
    samples = planned_samples(run.plan)
    twice = next(sample for sample in samples if sample.name == "create_task")
    run.recorders[0].accepted(Accepted(task_id(twice), twice.user, 9.0, 9.1, "create_task"))
    run.play(samples)
    run.final(0)
    run.final(1)
    run.stop()
    run.end_tasks(extra=0)
    book = tasks_of(run).ledger
    assert (book.accepted, book.duplicated, book.names["duplicated"]) == (len(run.accepted), 1, [task_id(twice)])
    assert run.evidence().ledger.imbalances() == []
    assert missed(run) == {"tasks_duplicated": 1}


@pytest.mark.parametrize(
    ("extra", "unanswered", "foreign"),
    [(0, 0, 0), (2, 2, 0), (3, 3, 0), (5, 3, 2), (None, None, None)],
    ids=["none", "as many as may be", "all that may be", "two too many", "nobody looked"],
)
def test_creates_without_an_answer_may_have_made_tasks(
    tmp_path: Path, extra: int | None, unanswered: int | None, foreign: int | None
) -> None:
    """Three creates timed out: up to three tasks that nobody accepted are theirs, more are foreign."""
    failing = [Sample(0, 3.0, "create_task", 1000, 1000, "timeout") for _ in range(3)]
    plan_run = SyntheticRun.create(tmp_path, OWN)
    run = played(tmp_path, samples=planned_samples(plan_run.plan)[:20] + failing)
    run.end_tasks(extra=extra, foreign=["x", "y", "z"])
    tasks = tasks_of(run)
    assert (tasks.ledger.unanswered, tasks.ledger.foreign) == (unanswered, foreign)
    assert tasks.facts.counts["tasks_foreign"] == foreign
    assert tasks.ledger.names["foreign"] == (["x", "y", "z"] if foreign else [])


def test_target_that_is_away_at_the_end_leaves_no_data(tmp_path: Path) -> None:
    """Nothing is lost then, only unknown: the objectives have no data, and fail."""
    run = played(tmp_path)
    run.end_tasks(statuses=dict.fromkeys(map(task_id, run.accepted)), trouble="connection refused")
    tasks = tasks_of(run)
    assert (tasks.ledger.unfinished, tasks.ledger.lost) == (len(run.accepted), 0)
    assert run.verdict().notes[-1] == "accepted tasks could not all be followed to their end: connection refused"
    texts = {result.name: result.observed_text for result in run.verdict().objectives}
    assert texts["tasks_lost"] == "no data (connection refused)"
    no_data = {name for name, observed in missed(run).items() if observed is None}
    assert no_data == {"tasks_lost", "tasks_unfinished", "tasks_foreign"}


def test_task_that_no_file_remembers_is_an_imbalance(tmp_path: Path) -> None:
    """A worker counted a task that is in none of the files: the generator's fault, so the run is invalid."""
    run = complete(SyntheticRun.create(tmp_path, OWN))
    file = next(iter(run.folder.accepted.iterdir()))
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:-1]))
    assert run.verdict().word == "invalid"
    assert any(line.startswith("accepted: the files hold") for line in run.evidence().ledger.imbalances())


def test_moments_are_counted_from_the_start_of_the_load(tmp_path: Path) -> None:
    """A record's moments are of the epoch, its due and accepted of the run."""
    run = complete(SyntheticRun.create(tmp_path), processing_s=3.0)
    assert run.evidence().start_epoch == EPOCH
    assert tasks_of(run).facts.processing.min_us == pytest.approx(3e6, abs=2)


def test_what_was_refused_or_never_sent_made_no_task() -> None:
    """Only the other kinds of failure excuse a task that nobody accepted."""
    kinds = ["status_400", "status_401", "status_422", "status_429", *NOTHING_DONE]
    assert not [kind for kind in kinds if may_have_worked(kind)]
    kinds = ["status_408", "status_500", "status_504", "reset", "closed", "read_timeout", "rejected", "other"]
    assert [kind for kind in kinds if may_have_worked(kind)] == kinds
    assert all(f"\n{kind} " in (failures.__doc__ or "") for kind in NOTHING_DONE)
