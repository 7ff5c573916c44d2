"""Objectives that end a load: when they are judged, over which seconds, and what the verdict makes of it."""

from pathlib import Path

import pytest

from loadtests.measure.window import Window
from loadtests.orchestrate.abort import Abort, AbortWatch
from loadtests.report.marks import events_of
from loadtests.store.folder import ABORTED
from loadtests.store.records import append_lines
from tests.unit.runs import EPOCH, TEXT, SyntheticRun, complete, planned_samples
from tests.unit.seconds import series, window
from tests.unit.texts import changed, problems_of

GRACE_S, WINDOW_S = 2, 3


def run_asking(tmp_path: Path, objective: str, probes: str = "") -> SyntheticRun:
    """A run whose only objective may end it."""
    before, _, rest = TEXT.partition("[objectives]\n")
    table = f'{{ objective = "{objective}", abort_on_fail = true, grace = "{GRACE_S}s", window = "{WINDOW_S}s" }}'
    text = f"{before}[objectives]\nstopping = {table}\n{rest[rest.index('[health]') :]}{probes}"
    run = SyntheticRun.create(tmp_path, changed('duration = "10s"', 'duration = "20s"', text))
    run.start()
    return run


def abort_of(run: SyntheticRun, *windows: Window) -> Abort | None:
    """What these windows lead to, the last of which was sealed half a second ago."""
    watch = AbortWatch(run.plan, run.folder, lambda: EPOCH + len(windows) + 0.5)
    found = [watch.add(one) for one in windows]
    assert not any(found[:-1]), "it was to be the last one that decides"
    return found[-1]


def listed(number: int, ms: float) -> Window:
    """A second with ten lists of so many milliseconds."""
    return window(number, {"list_tasks": series(10, ms)})


def test_a_slow_target_ends_the_load(tmp_path: Path) -> None:
    """It is judged as soon as a whole window lies behind the grace, and says what was observed of what was asked."""
    run = run_asking(tmp_path, "response_time.p95 < 200ms")
    abort = abort_of(run, *(listed(number, 400) for number in range(GRACE_S + WINDOW_S)))
    assert abort is not None
    assert str(abort) == (
        "aborted 5.5 s into the load by stopping: 400 ms over the last 3 s, asked: response_time.p95 < 200 ms; draining"
    )


def test_what_happens_within_the_grace_is_excused(tmp_path: Path) -> None:
    """A slow beginning aborts nothing, however slow it was."""
    run = run_asking(tmp_path, "response_time.p95 < 200ms")
    slow, fast = [listed(number, 4000) for number in range(GRACE_S)], [listed(number, 10) for number in range(GRACE_S, 12)]
    assert abort_of(run, *slow, *fast) is None


def test_only_the_last_seconds_count(tmp_path: Path) -> None:
    """After a long good time a window of bad seconds is enough."""
    run = run_asking(tmp_path, "response_time.p50 < 200ms")
    assert abort_of(run, *(listed(number, 10) for number in range(12)), listed(12, 400), listed(13, 400)) is not None


def test_nothing_is_aborted_at_the_end(tmp_path: Path) -> None:
    """The last second of the load, and the drain, leave nothing to end."""
    run = run_asking(tmp_path, "response_time.p95 < 200ms")
    assert abort_of(run, *(listed(number, 10) for number in range(19)), listed(19, 4000), listed(20, 4000)) is None


def test_windows_that_come_after_the_end_end_nothing(tmp_path: Path) -> None:
    """A master that was busy writes the load's last seconds late: when they are read there is no load any more."""
    run = run_asking(tmp_path, "response_time.p95 < 200ms")
    for now_s, ends in ((19.9, True), (20.0, False)):
        watch = AbortWatch(run.plan, run.folder, lambda now_s=now_s: EPOCH + now_s)  # type: ignore[misc]
        found = [watch.add(listed(number, 400)) for number in range(GRACE_S + WINDOW_S)]
        assert any(found) is ends


@pytest.mark.parametrize(
    ("objective", "shown"),
    [
        ("failure_ratio < 1%", "50 %"),
        ("availability >= 99%", "50 %"),
        ("failures <= 5", "12"),
        ("service_time(list_tasks).max < 1ms", "5 ms"),
        ("rate >= 9/s", "4.0/s"),
        ("rate(create_task) >= 1/s", "0.0/s"),
        ("users.min >= 20", "10"),
    ],
)
def test_what_windows_can_tell(tmp_path: Path, objective: str, shown: str) -> None:
    """Latencies, ratios, counts, rates and users, each over the window alone."""
    run = run_asking(tmp_path, objective)
    seconds = [window(number, {"list_tasks": series(4, 10, {"timeout": 4})}) for number in range(GRACE_S + WINDOW_S)]
    abort = abort_of(run, *seconds)
    assert abort is not None
    assert abort.result.observed_text == shown


def test_no_data_aborts_nothing(tmp_path: Path) -> None:
    """A request that did not come in these seconds is asked for at the end only."""
    run = run_asking(tmp_path, "response_time(create_task).p95 < 200ms")
    assert abort_of(run, *(listed(number, 400) for number in range(10))) is None


def test_a_probe_ends_the_load(tmp_path: Path) -> None:
    """A gauge of the window's seconds is judged as it is at the end; older and newer samples do not count."""
    run = run_asking(tmp_path, "db.max < 100", '[probes.postgres]\ndb = "SELECT 1"\n')
    file = run.folder.file("probes.jsonl")
    append_lines(file, [{"time": EPOCH + 1.5, "samples": [["db", None, 500.0]], "gaps": {}}])
    watch = AbortWatch(run.plan, run.folder, lambda: EPOCH + 6)
    assert [watch.add(listed(number, 10)) for number in range(5)] == [None] * 5
    append_lines(file, [{"time": EPOCH + 4.5, "samples": [["db", None, 150.0]], "gaps": {}}])
    abort = watch.add(listed(5, 10))
    assert abort is not None
    assert (abort.result.observed, abort.result.observed_text) == (150.0, "150")


def aborted_run(tmp_path: Path, reason: str = ABORTED) -> SyntheticRun:
    """A load that was fast as a whole, and ended by an objective that was missed for three seconds."""
    run = run_asking(tmp_path, "response_time.p95 < 200ms")
    watch = AbortWatch(run.plan, run.folder, lambda: EPOCH + 5.5)
    (abort,) = [found for number in range(5) if (found := watch.add(listed(number, 400)))]
    abort.write(run.folder)
    run.folder.event("halt", 5.6, reason=reason)
    run.play([sample for sample in planned_samples(run.plan) if sample.due_s <= 5.6])
    for worker in range(run.workers):
        run.final(worker)
    run.stop()
    return run


def test_an_aborted_run_fails_and_is_believed(tmp_path: Path) -> None:
    """FAIL and not INVALID: its objective is missed with the value that ended it, and says so, though the whole looks well."""
    run = aborted_run(tmp_path)
    verdict = run.verdict()
    assert (verdict.word, int(verdict.exit_code)) == ("fail", 1)
    (stopping,) = [result for result in verdict.objectives if result.name == "stopping"]
    assert (stopping.status, stopping.observed_text) == ("fail", "400 ms over the last 3 s")
    assert stopping.observed == pytest.approx(0.4, rel=1e-3)
    complete = verdict.health[0]
    assert (complete.name, complete.status) == ("complete", "pass")
    assert complete.observed_text == "aborted 5.5 s into the load by stopping"
    assert [result.name for result in verdict.health if result.status == "fail"] == []
    assert any(note.startswith("aborted 5.5 s into the load by stopping") for note in verdict.notes)
    assert [event["label"] for event in events_of(run.evidence())] == ["start", "aborted by stopping"]


def test_a_run_that_ended_for_another_reason_is_invalid(tmp_path: Path) -> None:
    """When a worker was lost first, an abort that came later makes nothing good."""
    verdict = aborted_run(tmp_path, "worker-2 was lost").verdict()
    assert verdict.word == "invalid"
    assert verdict.health[0].observed_text == "stopped 5.6 s into the load: worker-2 was lost"


def test_an_abort_that_came_too_late_does_not_count(tmp_path: Path) -> None:
    """The master ended before it was told to: there is no halt, and the run is judged as a whole."""
    run = run_asking(tmp_path, "response_time.p95 < 200ms")
    watch = AbortWatch(run.plan, run.folder, lambda: EPOCH + 19.9)
    (abort,) = [found for number in range(5) if (found := watch.add(listed(number, 400)))]
    abort.write(run.folder)
    verdict = complete(run).verdict()
    assert verdict.word == "pass"
    assert verdict.health[0].observed_text != "aborted 19.9 s into the load by stopping"


def test_a_rate_cannot_end_a_load_with_stages(tmp_path: Path) -> None:
    """It would be missed in the load's own ramp."""
    text = changed('duration = "10s"', 'stages = [{ duration = "10s", to = 1 }]')
    table = '{ objective = "rate(list_tasks) >= 1/s", abort_on_fail = true }'
    (problem,) = problems_of(tmp_path, changed('"response_time.p95 < 200ms"', table, text))
    assert problem.key == "objectives.fast"
    assert problem.message == "with load.stages or a recording no part of the load has the full rate; leave out abort_on_fail"


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        ("task_processing.p95 < 1s", "task_processing is known at the end of the run only"),
        ("task_success >= 99%", "task_success is known at the end of the run only"),
        ("tasks_lost <= 0", "tasks_lost is known at the end of the run only"),
        ("requests > 1000", "a lower limit of requests is missed until it is reached"),
    ],
)
def test_what_cannot_abort_is_a_problem(tmp_path: Path, objective: str, message: str) -> None:
    """One clear line for what is not known while the load runs."""
    text = changed('"response_time.p95 < 200ms"', f'{{ objective = "{objective}", abort_on_fail = true }}', TEXT)
    (problem,) = problems_of(tmp_path, text)
    assert problem.key == "objectives.fast"
    assert problem.message == f"{message}; leave out abort_on_fail"


@pytest.mark.parametrize(("from_s", "aborts"), [(99.0, False), (None, False), (3.0, True)])
def test_a_hole_is_no_low_rate(tmp_path: Path, from_s: float | None, aborts: bool) -> None:
    """While nobody has a lost worker's users no rate ends the load; once others have them, one does."""
    run = run_asking(tmp_path, "rate >= 50/s")
    run.folder.event("worker_lost", 2.5, worker=7, name="worker-8", how="stopped answering")
    run.folder.event("users_taken_over", 2.5, worker=7, name="worker-8", users=3, from_s=from_s, heirs=[0])
    windows = [listed(number, 10) for number in range(6)]
    assert (abort_of(run, *windows) is not None) == aborts


def test_a_worker_without_users_makes_no_hole(tmp_path: Path) -> None:
    """When it is lost, a low rate ends the load as if it had never been there."""
    run = run_asking(tmp_path, "rate >= 50/s")
    run.folder.event("worker_lost", 2.5, worker=7, name="worker-8", how="stopped answering")
    run.folder.event("users_taken_over", 2.5, worker=7, name="worker-8", users=0, from_s=None, heirs=[])
    assert abort_of(run, *(listed(number, 10) for number in range(5))) is not None
