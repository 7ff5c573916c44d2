"""Of several objectives that were missed, the one that was missed first."""

from collections.abc import Iterable
from pathlib import Path

from loadtests.report.breaking import Broken, first_to_break
from loadtests.store.folder import ABORTED
from loadtests.store.records import append_lines
from tests.unit.rich_run import probe_line
from tests.unit.runs import TEXT, Sample, SyntheticRun, complete, planned_samples, slower
from tests.unit.texts import changed

PROBED = (
    changed("[health]", 'busy = "db_connections.max < 100"\n\n[health]', TEXT)
    + '\n[probes.postgres]\ndb_connections = "SELECT 1"\n'
)


def broken(run: SyntheticRun, samples: Iterable[Sample]) -> Broken | None:
    """What broke first in a whole run of these requests."""
    complete(run, list(samples))
    return first_to_break(run.evidence(), run.verdict())


def worse(run: SyntheticRun, slow_from_s: float, failing_from_s: float) -> list[Sample]:
    """The plan's requests, of which those due from these moments on are slow, or fail."""
    plain = planned_samples(run.plan)
    slow = [slow if one.due_s >= slow_from_s else one for one, slow in zip(plain, slower(plain, 10), strict=True)]
    return [Sample(**{**vars(one), "failure": "http_500"}) if one.due_s >= failing_from_s else one for one in slow]


def test_nothing_breaks_in_a_run_that_passes(tmp_path: Path) -> None:
    """None, rather than the nearest."""
    run = SyntheticRun.create(tmp_path)
    assert broken(run, planned_samples(run.plan)) is None


def test_the_earliest_breaks_first(tmp_path: Path) -> None:
    """Whichever of slowness and failures came first, though both are missed in the end and the other by more."""
    slow = SyntheticRun.create(tmp_path)
    found = broken(slow, worse(slow, slow_from_s=2.0, failing_from_s=7.0))
    assert found is not None and found.name == "fast" and found.at_s is not None and found.at_s <= 7
    assert found.objective == "response_time.p95 < 200 ms" and found.observed_text.endswith(" ms")
    failing = SyntheticRun.create(tmp_path)
    found = broken(failing, worse(failing, slow_from_s=8.0, failing_from_s=2.0))
    assert found is not None and found.name == "failures" and found.at_s is not None and found.at_s <= 7


def test_the_objective_that_ended_the_load_is_the_one(tmp_path: Path) -> None:
    """Whatever else was missed."""
    run = SyntheticRun.create(tmp_path)
    text = {"observed": 0.3, "observed_text": "300 ms", "window_s": 4}
    run.folder.event("abort", 6.2, name="fast", objective="response_time.p95 < 200 ms", **text)
    run.folder.event("halt", 6.3, reason=ABORTED)
    found = broken(run, worse(run, slow_from_s=20.0, failing_from_s=0.0))
    assert found == Broken("fast", "response_time.p95 < 200 ms", "300 ms over the last 4 s", 6.2)


def test_a_gauge_may_be_the_first(tmp_path: Path) -> None:
    """Samples of the probes are looked at second by second as well."""
    run = SyntheticRun.create(tmp_path, PROBED)
    lines = [probe_line(second + 0.5, ("db_connections", None, 20.0 + 30 * second)) for second in range(10)]
    append_lines(run.folder.file("probes.jsonl"), lines)
    found = broken(run, worse(run, slow_from_s=7.5, failing_from_s=20.0))
    assert found == Broken("busy", "db_connections.max < 100", "290", 5.0)


def test_what_only_the_end_tells(tmp_path: Path) -> None:
    """Tasks have no seconds: the objective that is missed by the largest share of its limit, and no moment."""
    run = SyntheticRun.create(tmp_path)
    complete(run, processing_s=60.0)
    assert first_to_break(run.evidence(), run.verdict()) == Broken("quick", "task_processing.p95 < 5 s", "60 s", None)
