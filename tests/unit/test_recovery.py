"""What planted faults did: which seconds belong to each, when the target had recovered, and what the run's files say of it."""

from pathlib import Path
from typing import Any

import pytest

from loadtests.report.markdown import markdown_report
from loadtests.report.marks import events_of
from loadtests.report.recovery import Course, Effect, Second, courses, effects, recoveries
from loadtests.report.rows import fault_lines
from loadtests.report.summary import summarise
from loadtests.scenario.system import Fault
from tests.unit.runs import TEXT, Sample, SyntheticRun, complete, planned_samples
from tests.unit.texts import changed

LOAD_S = 30.0
USERS = 20


def fault(service: str = "postgres", **keys: Any) -> Fault:
    """A restart, or what the keys say."""
    return Fault.model_validate({"at": "10s", "service": service, "kind": "restart", **keys})


def course(begin_s: float | None, end_s: float | None, service: str = "postgres", **keys: Any) -> Course:
    """A fault that began and ended then."""
    return Course(1, fault(service, **keys), begin_s, end_s)


def run_of(bad: str, seconds: int = 30) -> list[Second]:
    """A run: `x` a second with failures, `s` a slow one, `-` one without answers, `.` a good one; good to its end."""
    made = {".": (5, {}, 0.1), "x": (5, {"status_503": 2}, 0.1), "s": (5, {}, 1.5), "-": (0, {}, 0.0)}
    return [Second(number, *made[kind]) for number, kind in enumerate(bad.ljust(seconds, "."))]


def one(bad: str, begin_s: float, end_s: float | None, **keys: Any) -> float | None:
    """The recovery time of the only fault of a run."""
    (effect,) = effects([course(begin_s, end_s, **keys)], run_of(bad), LOAD_S, USERS)
    return effect.recovery_s


@pytest.mark.parametrize(
    ("bad", "begin_s", "end_s", "recovery_s"),
    [
        ("", 10.0, 11.0, 0.0),
        ("..........xx", 10.0, 11.0, 2.0),
        ("..........xx", 10.5, 11.0, 1.5),
        ("..........ss", 10.0, 11.0, 2.0),
        ("..........x.x..x", 10.0, 11.0, 6.0),
        ("..........x...x", 10.0, 10.2, 1.0),
        ("..........x...x", 10.0, 14.5, 5.0),
        ("..........x", 10.0, 20.0, 1.0),
        (".x........", 10.0, 11.0, 0.0),
        ("..........---s", 10.0, 13.0, 4.0),
        ("..........x--.-.-.x", 10.0, 11.0, 1.0),
        ("..........xxxxxxxxxxxxxxxxx", 10.0, 11.0, 17.0),
        ("..........xxxxxxxxxxxxxxxxxx", 10.0, 11.0, None),
        ("..........", 10.0, None, None),
        ("..........", 28.0, 28.0, None),
        ("..........--------------------", 10.0, 11.0, None),
    ],
)
def test_recovery_is_the_end_of_the_last_bad_second(
    bad: str, begin_s: float, end_s: float | None, recovery_s: float | None
) -> None:
    """Before the first three good seconds after the fault; seconds without answers say nothing; without three, no time."""
    assert one(bad, begin_s, end_s) == recovery_s


def waited(bad: str, ends: int, longest_s: float, load_s: float = LOAD_S, begin_s: float = 10.0) -> Effect:
    """What a fault of one second did, when a request that failed in second `ends` had waited so long."""
    seconds = run_of(bad)
    seconds[ends] = Second(ends, 5, {"timeout": 3}, longest_s, longest_s, connections=2)
    (effect,) = effects([course(begin_s, begin_s + 1)], seconds, load_s, USERS)
    return effect


@pytest.mark.parametrize(
    ("bad", "ends", "longest_s", "recovery_s"),
    [
        ("", 20, 0.9, 0.0),
        ("", 20, 5.0, 0.0),
        ("", 20, 6.5, 0.0),
        ("", 20, 7.0, 11.0),
        ("", 20, 10.0, 11.0),
        ("..........x.-.", 20, 9.0, 11.0),
        ("..........x", 14, 3.0, 5.0),
        ("..........x", 14, 2.0, 5.0),
        ("..........x", 16, 2.0, 1.0),
        ("", 28, 18.0, None),
    ],
)
def test_who_waits_is_let_down_in_all_the_seconds_of_the_wait(
    bad: str, ends: int, longest_s: float, recovery_s: float | None
) -> None:
    """Requests that hang because of a fault and are given up much later leave no three good seconds before that."""
    effect = waited(bad, ends, longest_s)
    assert effect.recovery_s == recovery_s
    assert effect.failures.get("timeout", 0) == (3 if recovery_s is None or 10 + recovery_s > ends else 0)


def test_what_is_given_up_in_the_drain_was_waited_for_in_the_load() -> None:
    """The fault is not recovered from, and its failures are told, though they come after the load."""
    effect = waited("", 29, 15.0, load_s=26.0, begin_s=14.0)
    assert (effect.recovery_s, effect.not_recovered) == (None, "the load ended before")
    assert effect.failures == {"timeout": 3}


def test_no_recovery_from_a_fault_that_did_not_go_as_planned() -> None:
    """A proxy that was gone harmed nobody; that nobody noticed is no result."""
    (effect,) = effects([Course(1, fault(), 10.0, 10.1, "proxy-api was killed")], run_of(""), LOAD_S, USERS)
    assert (effect.recovery_s, effect.not_recovered) == (None, "it did not go as planned")


@pytest.mark.parametrize(
    ("planted", "why"),
    [
        ([course(None, None)], "it never began"),
        ([course(10.0, None)], "it was not over before the load ended"),
        ([course(10.0, 30.5)], "it was not over before the load ended"),
        ([course(28.0, 28.1)], "the load ended before"),
        ([course(10.0, 10.1), course(12.0, 12.1)], "the next fault began before"),
        ([course(10.0, 14.1), course(12.0, 12.1), course(16.2, 16.3)], "the next fault began before"),
    ],
)
def test_why_there_is_no_recovery(planted: list[Course], why: str) -> None:
    """It is said."""
    first = effects(planted, run_of(""), LOAD_S, USERS)[0]
    assert (first.recovery_s, first.not_recovered) == (None, why)


def test_connections_are_counted_as_failures_are() -> None:
    """Those that were opened from the fault's begin until the recovery, but for the first of users who had none yet."""
    seconds = [Second(number, 5, connections=3) for number in range(20)]
    counted = [effects([course(begin_s, begin_s + 2)], seconds, LOAD_S, USERS)[0].connections for begin_s in (5.5, 7.5)]
    assert counted == [3 * len(range(5, 11)) - (USERS - 15), 3 * len(range(7, 13))]


@pytest.mark.parametrize(
    ("told", "line"),
    [
        ({"recovery_s": 0.0}, "no request noticed it"),
        ({"recovery_s": 0.0, "connections": 21}, "no request noticed it; connections opened anew: 21"),
        ({"recovery_s": 1.5, "failure_kinds": {"eof": 2}}, "recovered after 1.5 s; failed: eof 2"),
        ({"not_recovered": "the load ended before"}, "not recovered: the load ended before; failed: nothing"),
        (
            {"not_recovered": "it did not go as planned", "trouble": "gone"},
            "not recovered: it did not go as planned; failed: nothing; gone",
        ),
    ],
)
def test_a_line_for_people(told: dict[str, Any], line: str) -> None:
    """What was seen of a fault, in words."""
    given = {**Effect(course(8.0, 9.0), {}, None).to_json(), **told}
    assert fault_lines({"faults": [given]}) == [f"Fault 1, restart postgres at 8.0 s: {line}"]


def test_how_slow_is_bad_is_the_fault_s_own() -> None:
    """`recovered` is the limit of the p99."""
    assert one("..........ss", 10.0, 11.0, recovered="2s") == 0.0


def test_a_fault_s_seconds_end_where_the_next_begins() -> None:
    """What the next one does is not held against it, and three good seconds must lie before it."""
    first, second = course(5.2, 6.0), course(12.4, 13.0, "redis")
    assert [effect.recovery_s for effect in effects([first, second], run_of(".....xx.....xx"), LOAD_S, USERS)] == [1.8, 1.6]
    close = course(9.4, 10.0, "redis")
    assert [effect.recovery_s for effect in effects([first, close], run_of(".....xx..x"), LOAD_S, USERS)] == [None, 0.6]


def test_faults_at_once_share_their_seconds() -> None:
    """Nobody can tell which of them hurt: those that begin in one second, and one that begins before the other is over."""
    together = [course(5.1, 5.2), course(5.3, 5.4, "redis")]
    assert [effect.recovery_s for effect in effects(together, run_of(".....xx"), LOAD_S, USERS)] == [1.9, 1.7]
    within = [course(5.0, 12.0), course(8.0, 9.0, "redis")]
    assert [effect.recovery_s for effect in effects(within, run_of("........xx"), LOAD_S, USERS)] == [5.0, 2.0]


def test_failures_are_counted_until_the_recovery() -> None:
    """By kind, from the fault's begin; what failed before it or later is not its own."""
    (effect,) = effects([course(5.0, 5.0)], run_of(".x...xx....x"), LOAD_S, USERS)
    assert effect.failures == {"status_503": 4}


def test_a_fault_that_never_began_was_not_recovered_from() -> None:
    """The load was halted before it: nothing is known."""
    (effect,) = effects([course(None, None)], run_of(""), LOAD_S, USERS)
    assert (effect.recovery_s, effect.failures) == (None, {})


def test_times_are_those_of_the_service_and_of_the_instance() -> None:
    """An objective may ask for either."""
    found = [Effect(course(1.0, 1.0, "api", instance=2), {}, 3.0), Effect(course(5.0, 5.0, "api"), {}, None)]
    assert recoveries(found) == {"api": [3.0, None], "api-2": [3.0]}


def test_courses_are_told_by_the_events() -> None:
    """Each fault of the plan finds its events by its number; one without any never began."""
    begin = {"fault": 2, "phase": "begin", "at_s": 9.1}
    end = {"fault": 2, "phase": "end", "at_s": 9.9, "trouble": "redis: gone"}
    first, second = courses([fault(), fault("redis")], [begin, end])
    assert (first.begin_s, first.end_s, first.trouble) == (None, None, None)
    assert (second.number, second.name, second.begin_s, second.end_s, second.trouble) == (2, "redis", 9.1, 9.9, "redis: gone")


FAULTY = changed(
    'quick = "task_processing.p95 < 5s"\n',
    'quick = "task_processing.p95 < 5s"\nback = "recovery(postgres).time < 2s"\n\n'
    '[[faults]]\nat = "4s"\nservice = "postgres"\nkind = "kill"\n',
    TEXT,
)


def faulty_run(tmp_path: Path) -> SyntheticRun:
    """Everything that was due in the second after the fault fails."""
    run = SyntheticRun.create(tmp_path, FAULTY)
    samples = [
        Sample(**{**vars(one), "failure": "status_503" if 4 <= one.due_s < 4.9 else None}) for one in planned_samples(run.plan)
    ]
    complete(run, samples)
    for phase, at_s in (("begin", 4.0), ("end", 4.3)):
        run.folder.event("fault", at_s, phase=phase, fault=1, kind="kill", service="postgres")
    return run


def test_a_run_s_files_tell_it_all(tmp_path: Path) -> None:
    """The verdict has the recovery time; summary and report have the fault with its failures; the charts mark both ends."""
    run = faulty_run(tmp_path)
    evidence, verdict = run.evidence(), run.verdict()
    (back,) = [result for result in verdict.objectives if result.name == "back"]
    assert (back.observed, back.status, back.source) == (1.0, "pass", "client and events, windows.jsonl and events.jsonl")
    summary = summarise(evidence)
    (told,) = summary["faults"]
    assert told | {"failures": 0, "failure_kinds": {}, "connections": 0} == {
        "fault": 1,
        "kind": "kill",
        "service": "postgres",
        "instance": None,
        "begin_s": 4.0,
        "end_s": 4.3,
        "trouble": None,
        "failures": 0,
        "failure_kinds": {},
        "connections": 0,
        "recovery_s": 1.0,
        "not_recovered": None,
    }
    assert told["failure_kinds"] == {"status_503": summary["failures"]} and summary["failures"] > 0
    line = f"- Fault 1, kill postgres at 4.0 s: recovered after 1 s; failed: status_503 {summary['failures']}"
    assert line in markdown_report(evidence, verdict, summary).replace("\\", "").splitlines()
    marks = [(mark["at_s"], mark["label"]) for mark in events_of(evidence)]
    assert marks[1:] == [(4.0, "postgres kill"), (4.3, "postgres kill over")]


def test_without_its_events_a_fault_has_no_recovery(tmp_path: Path) -> None:
    """What was not done cannot be recovered from: the objective is missed."""
    run = complete(SyntheticRun.create(tmp_path, FAULTY))
    (back,) = [result for result in run.verdict().objectives if result.name == "back"]
    assert (back.observed, back.status) == (None, "fail")
    assert "kill postgres: never began" in markdown_report(run.evidence(), run.verdict(), summarise(run.evidence()))
