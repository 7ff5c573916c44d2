"""What the charts of `report.html` mark: limits, events, stages."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from loadtests.report.marks import LONGEST_LABEL, events_of, gauge_limits, gauge_statistic, health_lines, limits_of, stages_of
from loadtests.store.records import append_lines
from tests.unit.rich_run import rich_run, rich_text
from tests.unit.runs import EPOCH, TEXT, SyntheticRun, complete
from tests.unit.texts import changed


def test_limits_of_the_whole_mix(tmp_path: Path) -> None:
    """Percentiles of response time in ms and the rate; an objective on one request alone has no line."""
    run = complete(SyntheticRun.create(tmp_path, rich_text("")))
    found = limits_of(run.evidence(), run.verdict())
    assert [(limit["value"], limit["q"], limit["text"]) for limit in found["response_time"]] == [
        (200.0, 0.95, "p95 < 200 ms"),
        (20.0, 0.99, "p99 < 20 ms"),
    ]
    assert [limit["status"] for limit in found["response_time"]] == ["pass", "fail"]
    (rate,) = found["rate"]
    assert (rate["value"], rate["text"], rate["from_s"], rate["to_s"]) == (10.8, "rate >= 10.8/s", 2, 10)


def test_gauge_limits_need_metric_and_selector(tmp_path: Path) -> None:
    """The limit of `cpu(api)` is not one of another service's CPU."""
    run = complete(SyntheticRun.create(tmp_path, rich_text("")))
    evidence, verdict = run.evidence(), run.verdict()
    assert [limit["value"] for limit in gauge_limits(evidence, verdict, "cpu", "api")] == [0.7]
    assert gauge_limits(evidence, verdict, "cpu", "worker") == gauge_limits(evidence, verdict, "cpu", None) == []
    assert [gauge_statistic(evidence, "cpu", service) for service in ("api", "worker")] == ["mean", "max"]


def test_health_lines_are_the_scenarios(tmp_path: Path) -> None:
    """Lines of the generator's charts are in the unit of their columns; a check that was not made has none."""
    lines = health_lines(complete(SyntheticRun.create(tmp_path)).verdict())
    assert [lines[name][0]["value"] for name in ("lateness", "loop_lag", "cpu")] == [50.0, 1000.0, 0.95]
    assert lines["lateness"][0] | {"value": 0} == {
        "value": 0,
        "status": "pass",
        "observed": "p99 100 us",
        "asked": "<= 50 ms",
    }
    assert health_lines(SyntheticRun.create(tmp_path).verdict())["cpu"] == []


def test_events_have_their_second_and_a_short_label(tmp_path: Path) -> None:
    """Start, loss and halt are marked, in as many words as fit a chart; other events are not."""
    found = events_of(rich_run(tmp_path, "").evidence())
    assert [event["at_s"] for event in found] == [0.0, 6.5, 9.9]
    assert [event["label"][:14] for event in found] == ["start", "worker-2 lost", "halt: </script"]
    assert all(len(event["label"]) <= LONGEST_LABEL for event in found)


def test_event_without_a_second_is_placed_by_its_time(tmp_path: Path) -> None:
    """The command notes the end of a process by the clock; the load's start says which second that was."""
    run = SyntheticRun.create(tmp_path)
    ended = {"event": "process_ended", "at_s": None, "name": "worker-2", "fate": "was killed"}
    times = [datetime.fromtimestamp(EPOCH + second, UTC).isoformat() for second in (-3.0, 4.25)]
    append_lines(run.folder.file("events.jsonl"), [{**ended, "time": time} for time in times])
    assert events_of(run.evidence()) == []
    run.start()
    found = events_of(run.evidence())
    assert found == [{"at_s": 4.25, "label": "worker-2 was killed"}, {"at_s": 0.0, "label": "start"}]


def test_stages_of_a_ramp(tmp_path: Path) -> None:
    """A ramp, the steady part and, when something was recorded after the end, the drain."""
    evidence = complete(SyntheticRun.create(tmp_path)).evidence()
    found = [(one["from_s"], one["to_s"], one["label"], one["shaded"]) for one in stages_of(evidence, 12)]
    assert found == [(0.0, 2.0, "ramp-up", True), (2.0, 10.0, "", False), (10.0, 12.0, "drain", True)]


def test_stages_end_where_the_load_was_halted(tmp_path: Path) -> None:
    """After a halt comes the drain, whatever the plan had in mind."""
    run = SyntheticRun.create(tmp_path)
    run.folder.event("halt", 1.5, reason="Ctrl-C")
    complete(run)
    found = [(one["from_s"], one["to_s"], one["label"]) for one in stages_of(run.evidence(), 10)]
    assert found == [(0.0, 1.5, "ramp-up"), (1.5, 10.0, "drain")]


@pytest.mark.parametrize(
    ("stage", "label"),
    [
        ('{ duration = "10s", to = 2.0 }', "to 24/s"),
        ('{ duration = "10s", at = 0.5 }', "6/s"),
        ('{ duration = "10s", at = 1.0, wave = { amplitude = 0.5, period = "5s" } }', "12/s ± 6"),
        ('{ duration = "0s", to = 1.0 }, { duration = "10s", to = 1.0 }', "12/s"),
    ],
)
def test_stages_say_their_rate(tmp_path: Path, stage: str, label: str) -> None:
    """Each stage is labelled with the rate that it leads to, or keeps, or swings around; a jump has no width to label."""
    text = changed('duration = "10s"\nramp_up = "2s"\n', f"stages = [{stage}]\n", TEXT)
    evidence = SyntheticRun.create(tmp_path, text).evidence()
    assert [(one["from_s"], one["to_s"], one["label"]) for one in stages_of(evidence, 10)] == [(0.0, 10.0, label)]
