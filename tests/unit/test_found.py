"""What a capacity search says when it is over: sentences, exit code, file and page."""

import json
from html import unescape

import pytest

from loadtests.capacity.search import Answer, Bounds
from loadtests.report.breaking import Broken
from loadtests.report.curve import capacity_page
from loadtests.report.found import Found, Limit, Party, StepResult, rate_text
from loadtests.report.shortage import Shortage

BUSY = Shortage("machine", 0.98, "the machine: its cores were 98 % busy")
QUEUE = Shortage("celery_queue_depth(celery)", 1.5, "the workers of queue celery: it grew by 50 messages/s, to 2,000")
SLOW = Broken("fast", "response_time.p95 < 200 ms", "350 ms over the last 6 s", 9.2)


def step(number: int, rate: float, party: Party | None = None, plateau: bool = False, *short: Shortage) -> StepResult:
    """A step that passed, or failed for want of something of this party's."""
    failed = party is not None
    return StepResult(
        number=number,
        rate=rate,
        users=int(rate),
        plateau=plateau,
        duration_s=45.0 if plateau else 15.0,
        verdict="invalid" if party == "generator" else "fail" if failed else "pass",
        passed=not failed,
        party=party,
        achieved=rate - 0.5,
        latency_ms={"p50": 10.0, "p95": 350.0 if failed else 80.0, "p99": 600.0 if failed else 190.0},
        broke=SLOW if party in ("target", "machine") else None,
        doubts=["lateness: 300 ms (asked: lateness.p99 <= 100 ms)"] if party == "generator" else [],
        shortages=short,
        folder=f"steps/{number}",
    )


def found(*steps: StepResult, answer: Answer | None = None, stack: str = "none") -> Found:
    """A search for the capacity of a scenario called shop."""
    bounds = Bounds(500, 10, 20_000, 0.05, tries=2)
    limits = [Limit("fast", "p95", 200.0)]
    return Found("shop", bounds, {"API_INSTANCES": "2"}, limits, list(steps), answer, provenance={"stack": stack, "cpus": 2})


CLIMB = (step(1, 500), step(2, 1000), step(3, 2000, "target", False, BUSY), step(4, 2000, "target", False, BUSY))
CONFIRMED = Answer("confirmed", 1000, 2000)


def test_a_confirmed_answer_names_what_broke_and_what_was_short() -> None:
    """In sentences, with exit code 0."""
    one = found(*CLIMB, step(5, 1000, None, True), answer=CONFIRMED)
    assert one.exit_code == 0
    assert one.sentences() == [
        "CAPACITY: 1,000/s, confirmed over 45 s with 1,000 users; 2,000/s failed",
        "At 2,000/s broke first: fast: 350 ms over the last 6 s (asked: response_time.p95 < 200 ms)",
        "Short at 2,000/s: the machine: its cores were 98 % busy",
    ]


def test_a_shared_machine_that_is_used_up_is_told() -> None:
    """The target alone may take more."""
    one = found(*CLIMB, step(5, 1000, None, True), answer=CONFIRMED, stack="embedded")
    assert one.sentences()[-1].startswith("Generator and stack share this machine, and it was used up")


def test_a_rate_at_which_a_queue_grows_does_not_last() -> None:
    """Though it was confirmed."""
    one = found(*CLIMB, step(5, 1000, None, True, QUEUE), answer=CONFIRMED)
    assert one.sentences()[-1] == f"This rate does not last: {QUEUE.words} within 45 s"


def test_a_generator_that_was_short_first_is_no_capacity() -> None:
    """Exit code 3, and what to do; once the target failed at the same rate, it is the target's."""
    short = [step(3, 2000, "generator"), step(4, 2000, "generator")]
    one = found(*CLIMB[:2], *short, step(5, 1000, None, True), answer=CONFIRMED)
    assert one.exit_code == 3
    assert one.sentences()[-1].startswith("The generator was short before the target: lateness: 300 ms")
    mixed = found(*CLIMB[:3], short[1], step(5, 1000, None, True), answer=CONFIRMED)
    assert mixed.exit_code == 0


def test_none_passed() -> None:
    """Exit code 1."""
    one = found(step(1, 10, "target"), step(2, 10, "target"), answer=Answer("none passed", None, 10))
    assert one.exit_code == 1
    assert one.sentences()[0] == "CAPACITY: none passed; the lowest rate that was tried, 10/s, failed"


def test_an_answer_that_was_not_confirmed() -> None:
    """Exit code 1 as well: nobody should build on it."""
    one = found(*CLIMB, answer=Answer("unconfirmed", 1000, 2000))
    assert one.exit_code == 1
    assert one.sentences()[0] == "CAPACITY: 1,000/s, not confirmed; 2,000/s failed"


def test_the_upper_bound_passed() -> None:
    """The truth may be anywhere above."""
    one = found(step(1, 500), step(2, 500, None, True), answer=Answer("confirmed", 500, None, bounded=True))
    assert one.exit_code == 0
    assert one.sentences() == ["CAPACITY: 500/s, confirmed over 45 s with 500 users; the upper bound passed, so it may be more"]


@pytest.mark.parametrize(
    ("steps", "first"),
    [
        ((), "CAPACITY: unknown; nothing was tried"),
        (CLIMB[:2], "CAPACITY: 1,000/s, not confirmed; nothing higher failed"),
        (CLIMB[:3], "CAPACITY: 1,000/s, not confirmed; nothing higher failed"),
        (CLIMB, "CAPACITY: 1,000/s, not confirmed; 2,000/s failed"),
    ],
)
def test_a_search_that_was_ended_says_what_is_known(steps: tuple[StepResult, ...], first: str) -> None:
    """A rate that failed once may have stumbled."""
    assert found(*steps).sentences()[0] == first


def test_the_file_has_everything() -> None:
    """And is plain JSON, whatever state the search is in."""
    one = found(*CLIMB, step(5, 1000, None, True), answer=CONFIRMED)
    data = json.loads(json.dumps(one.to_json(), allow_nan=False))
    assert (data["version"], data["scenario"], data["settings"], data["stack"]) == (1, "shop", {"API_INSTANCES": "2"}, "none")
    answer = data["answer"]
    assert (answer["kind"], answer["rate"], answer["interval"], answer["confirmed_by"]) == ("confirmed", 1000, [1000, 2000], 5)
    assert answer["first_to_break"]["name"] == "fast" and answer["shortages"][0]["name"] == "machine"
    assert data["steps"][2]["first_to_break"]["at_s"] == 9.2 and data["steps"][2]["folder"] == "steps/3"
    assert data["steps"][0]["latency_ms"] == {"p50": 10.0, "p95": 80.0, "p99": 190.0}
    assert json.loads(json.dumps(found().to_json(), allow_nan=False))["answer"]["kind"] == "unfinished"


def test_the_page_shows_the_curve_with_its_limit() -> None:
    """Both charts, a dot for every try, limits and the answer as marks, a row for every step."""
    text = capacity_page(found(*CLIMB, step(5, 1000, None, True), answer=CONFIRMED))
    assert text.count("<svg") == 2 and "<script" not in text
    assert text.count("<circle") == 2 * 5
    assert "p95 limit, 200 ms" in text and "capacity 1,000/s" in text
    assert text.count("<tr>") >= 5 + 3
    assert "At 2,000/s broke first: fast" in unescape(text)


def test_the_page_of_steps_without_answers() -> None:
    """A target that never answers has no curve; what there is is shown."""
    silent = StepResult(**{**vars(step(1, 500, "target")), "latency_ms": None, "achieved": 0.0})
    text = capacity_page(found(silent))
    assert "Nothing was answered in any step." in text


@pytest.mark.parametrize(("rate", "text"), [(1345.0, "1,345/s"), (12.5, "12.5/s"), (7.0, "7/s"), (0.25, "0.25/s")])
def test_rates_for_people(rate: float, text: str) -> None:
    """Whole ones whole."""
    assert rate_text(rate) == text
