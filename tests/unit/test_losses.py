"""Lost workers: what is known of them, and the bounds of what is not."""

import math
from pathlib import Path
from typing import Any

import pytest

from loadtests.measure.snapshot import Counts, Gauges
from loadtests.pacing.draws import user_draws
from loadtests.pacing.shard import shard
from loadtests.pacing.stream import OpenLoad, open_turns, turns_of
from loadtests.report.losses import find_losses
from loadtests.scenario.plan import Plan
from loadtests.store.windows import Totals
from tests.unit.texts import BASE, changed, plan_of

START = {"event": "start", "workers": {"0": "worker-1", "1": "worker-2"}}


def lost(worker: int, at_s: float | None, how: str = "stopped answering") -> dict[str, Any]:
    """The event of a lost worker."""
    return {"event": "worker_lost", "worker": worker, "name": f"worker-{worker + 1}", "at_s": at_s, "how": how}


def final(worker: int, turns: int = 0) -> dict[str, Any]:
    """The event of a worker's end after so many turns."""
    counts = Counts(scheduled=turns, started=turns, finished=turns).to_json()
    return {"event": "worker_final", "report": {"worker": worker, "counts": counts}}


def totals(last: dict[int, int], in_flight: int = 0, turns: int = 0) -> Totals:
    """Totals of so many turns; `last` is the second of each worker's last report."""
    counts = Counts(scheduled=turns, started=turns, finished=turns)
    return Totals(counts, last={worker: (second, Gauges(in_flight=in_flight)) for worker, second in last.items()})


def due_times(plan: Plan, worker: int, workers: int) -> list[float]:
    """Every moment that the plan has for one worker's users."""
    assert isinstance(plan.load, OpenLoad)
    users = shard(plan.scenario.load.users, worker, workers)
    return [turn.due_s for user in users for turn in open_turns(plan.load, plan.mix, user_draws(plan.scenario.seed, user))]


def test_nobody_is_lost_when_all_have_reported(tmp_path: Path) -> None:
    """Two workers began, two reported their end: there is nothing to tell, and the losses are false."""
    losses = find_losses(plan_of(tmp_path), totals({0: 9, 1: 9}), [START, final(0), final(1)])
    assert (losses.stories, losses.in_flight, losses.unreported) == ((), 0, 0)
    assert not losses


def test_nobody_is_lost_before_the_start(tmp_path: Path) -> None:
    """Without a start there were no workers to lose."""
    assert not find_losses(plan_of(tmp_path), Totals(), [{"event": "halt", "at_s": None, "reason": "x"}])


def test_lost_worker_has_a_story(tmp_path: Path) -> None:
    """How, when and with which fate, as far as known."""
    fate = {"event": "process_ended", "name": "worker-2", "fate": "killed by SIGKILL"}
    plan, known = plan_of(tmp_path), totals({0: 9, 1: 4})
    assert find_losses(plan, known, [START, final(0), lost(1, 7.25), fate]).stories == (
        "worker-2 stopped answering 7.2 s into the load (killed by SIGKILL)",
    )
    assert find_losses(plan, known, [START, final(0), lost(1, 7.0)]).stories == (
        "worker-2 stopped answering 7.0 s into the load",
    )
    assert find_losses(plan, known, [START, final(0)]).stories == ("worker-2 never reported its end",)
    assert len(find_losses(plan, known, [START]).stories) == 2


def test_in_flight_is_that_of_the_last_reports(tmp_path: Path) -> None:
    """Only lost workers' flights count, and a worker that never reported had none that anybody knows."""
    plan = plan_of(tmp_path)
    assert find_losses(plan, totals({0: 9, 1: 4}, in_flight=3), [START, final(0), lost(1, 7.0)]).in_flight == 3
    assert find_losses(plan, totals({0: 4, 1: 4}, in_flight=3), [START, lost(0, 7.0), lost(1, 7.0)]).in_flight == 6
    assert find_losses(plan, totals({0: 9}, in_flight=3), [START, final(0), lost(1, 7.0)]).in_flight == 0


def unreported_of(plan: Plan, last: dict[int, int], at_s: float | None) -> int:
    """What is unknown of the second worker of two whose users keep up with the plan until its last report."""
    told = [sum(due_s < last.get(worker, -1) + 1 for due_s in due_times(plan, worker, 2)) for worker in (0, 1)]
    events = [START, final(0, told[0])] + ([] if at_s is None else [lost(1, at_s)])
    return find_losses(plan, totals(last, turns=sum(told)), events).unreported


@pytest.mark.parametrize(
    ("last", "at_s", "begin_s", "end_s"),
    [({0: 9, 1: 4}, 8.0, 5.0, 8.0), ({0: 9}, 8.0, 0.0, 8.0), ({0: 9, 1: 0}, 1.0, 1.0, 1.0), ({0: 9, 1: 4}, None, 5.0, 10.0)],
    ids=["after five seconds", "never reported", "lost at once", "never said to be lost"],
)
def test_unreported_turns_are_those_of_the_plan(
    tmp_path: Path, last: dict[int, int], at_s: float | None, begin_s: float, end_s: float
) -> None:
    """On an open load that keeps up, it is the number of moments between the last report and the loss, counted one by one."""
    plan = plan_of(tmp_path)
    expected = sum(begin_s <= due_s <= end_s for due_s in due_times(plan, 1, 2))
    assert unreported_of(plan, last, at_s) == expected


def test_constant_pacing_by_hand(tmp_path: Path) -> None:
    """Five users at one turn a second have fifteen turns in the three seconds from 5 to 8."""
    assert unreported_of(plan_of(tmp_path), {0: 9, 1: 4}, 8.0) == 15


def test_closed_load_is_bounded_by_the_shortest_think_time(tmp_path: Path) -> None:
    """Users who think at least 2 s begin at the most two turns in four seconds, and three in five."""
    text = changed("users = 10", 'users = 10\nmodel = "closed"\nthink_time = ["2s", "3s"]')
    plan = plan_of(tmp_path, text)
    assert find_losses(plan, totals({0: 9, 1: 3}), [START, final(0), lost(1, 8.0)]).unreported == 5 * 2
    assert find_losses(plan, totals({0: 9, 1: 2}), [START, final(0), lost(1, 8.0)]).unreported == 5 * math.ceil(5 / 2)


@pytest.mark.parametrize("closed", [False, True], ids=["open", "closed"])
def test_unreported_is_never_negative(tmp_path: Path, closed: bool) -> None:
    """A report whose second lies beyond the moment of the loss leaves nothing unreported, and not less than nothing."""
    text = changed("users = 10", 'users = 10\nmodel = "closed"\nthink_time = ["100ms", "200ms"]') if closed else BASE
    losses = find_losses(plan_of(tmp_path, text), totals({0: 9, 1: 9}, turns=100), [START, final(0, 50), lost(1, 9.3)])
    assert losses.unreported == 0


def test_backlog_is_within_the_bound(tmp_path: Path) -> None:
    """Users of a slow target begin turns late: what they still owed at the last report may have been begun after it.

    Each of the five users takes 3 s for a turn, so that by the end of second 4 only two of its five turns have begun; the
    others are begun one after the other until the loss at 30 s. The bound must not be smaller than what really began.
    """
    plan = plan_of(tmp_path)
    assert isinstance(plan.load, OpenLoad)
    before = after = 0
    for user in shard(10, 1, 2):
        free_s = 0.0
        for turn in open_turns(plan.load, plan.mix, user_draws(plan.scenario.seed, user)):
            begun_s = max(turn.due_s, free_s)
            free_s = begun_s + 3.0
            before += begun_s < 5.0
            after += 5.0 <= begun_s <= 30.0
    told = len(due_times(plan, 0, 2))
    events = [START, final(0, told), lost(1, 30.0)]
    assert after > 30
    assert find_losses(plan, totals({0: 9, 1: 4}, turns=told + before), events).unreported >= after


def moved(worker: int, from_s: float | None, *heirs: int) -> dict[str, Any]:
    """The event of others who take a worker's users over."""
    return {
        "event": "users_taken_over",
        "worker": worker,
        "name": f"worker-{worker + 1}",
        "users": 5,
        "from_s": from_s,
        "heirs": heirs,
    }


def test_hole_of_a_loss_by_hand(tmp_path: Path) -> None:
    """Five users at one turn a second: told until 5 s, lost at 8 s, taken over from 10 s of 10 on or from 9 s on."""
    plan, told = plan_of(tmp_path), sum(due_s < 5.0 for due_s in due_times(plan_of(tmp_path), 1, 2))
    assert plan.scenario.load.total_s == 10.0
    for from_s, missed, words in ((9.0, 5, "its 5 users were taken over from 9.0 s on"), (None, 10, "the load ended before")):
        played = len(due_times(plan, 0, 2)) + sum(due_s >= (from_s or 99.0) for due_s in due_times(plan, 1, 2))
        heirs = (0,) if from_s else ()
        events = [START, final(0, played), lost(1, 8.0), moved(1, from_s, *heirs)]
        losses = find_losses(plan, totals({0: 9, 1: 4}, turns=played + told), events)
        assert (losses.stories, losses.unreported, losses.missed) == ((), 15, missed)
        assert words in losses.compensated[0] and losses.compensated[0].startswith("worker-2 stopped answering 8.0 s")
        hole = [second for second in range(10) if losses.in_hole(second)]
        assert hole == list(range(5, 9 if from_s else 10))
        assert losses


def test_heir_that_is_lost_too(tmp_path: Path) -> None:
    """It had ten users since 4 s: all that it did not report of them is unreported, and missed until the third has them."""
    plan = plan_of(tmp_path)
    start = {"event": "start", "workers": {"0": "worker-1", "1": "worker-2", "2": "worker-3"}}
    events = [start, final(2), lost(0, 2.0), moved(0, 4.0, 1), lost(1, 6.0), moved(1, 8.0, 2)]
    losses = find_losses(plan, totals({0: 1, 1: 5, 2: 9}, turns=0), events)
    users = [sorted(shard(10, worker, 3)) for worker in range(3)]
    due = [[turn.due_s for turn in turns_of(plan.load, plan.mix, plan.scenario.seed, user)] for user in range(10)]  # type: ignore[arg-type]

    def count(of: list[int], begin_s: float, end_s: float) -> int:
        return sum(begin_s <= due_s < end_s for user in of for due_s in due[user])

    assert losses.missed == count(users[0], 2.0, 4.0) + count(users[0] + users[1], 6.0, 8.0)
    assert losses.unreported == count(users[0], 0.0, 2.0) + count(users[1], 0.0, 6.0) + count(users[0], 4.0, 6.0)
    assert [losses.in_hole(second) for second in range(10)] == [second in (2, 3, 6, 7) for second in range(10)]


def test_a_worker_that_was_not_excused_beside_one_that_was(tmp_path: Path) -> None:
    """Each is told where it belongs."""
    start = {"event": "start", "workers": {"0": "worker-1", "1": "worker-2", "2": "worker-3"}}
    losses = find_losses(plan_of(tmp_path), totals({}), [start, final(0), lost(1, 2.0), moved(1, 4.0, 0, 2), lost(2, 6.0)])
    assert [story.split()[0] for story in losses.compensated + losses.stories] == ["worker-2", "worker-3"]


def test_hole_of_a_closed_load_is_time(tmp_path: Path) -> None:
    """Five of ten users were away from second 4 to 7 of 10: 15 % of all users' time, for which turns have to be imagined."""
    plan = plan_of(tmp_path, changed("users = 10", 'users = 10\nmodel = "closed"\nthink_time = ["2s", "3s"]'))
    losses = find_losses(plan, totals({0: 9, 1: 3}), [START, final(0), lost(1, 6.0), moved(1, 7.0, 0)])
    assert losses.away == pytest.approx(0.15) and losses.missed == 0
    assert find_losses(plan, totals({0: 9, 1: 3}), [START, final(0), lost(1, 6.0), moved(1, None)]).away == pytest.approx(0.3)


def test_a_halted_load_misses_nothing_after_its_halt(tmp_path: Path) -> None:
    """Lost at 3 s, to be taken over from 9 s on, halted at 5 s: ten turns were due and missed, not thirty."""
    plan = plan_of(tmp_path)
    halt = {"event": "halt", "at_s": 5.0, "reason": "x"}
    for move in (moved(1, 9.0, 0), moved(1, None)):
        losses = find_losses(plan, totals({0: 4, 1: 2}), [START, final(0), lost(1, 3.0), move, halt])
        assert losses.missed == sum(3.0 < due_s < 5.0 for due_s in due_times(plan, 1, 2)) == 10


def test_lost_as_the_load_began(tmp_path: Path) -> None:
    """The first moment is a moment: nothing can have been begun, and what was due until the take-over was missed."""
    plan = plan_of(tmp_path)
    losses = find_losses(plan, totals({0: 9}), [START, final(0), lost(1, 0.0), moved(1, 2.0, 0)])
    assert (losses.unreported, losses.missed) == (0, 10)


def test_a_lost_worker_without_users(tmp_path: Path) -> None:
    """Nobody was missing, so there is no hole."""
    plan = plan_of(tmp_path, changed("users = 10", "users = 1"))
    move = {**moved(1, None), "users": 0}
    losses = find_losses(plan, totals({0: 9}, turns=10), [START, final(0, 10), lost(1, 0.1), move])
    assert (losses.stories, losses.unreported, losses.missed, losses.holes) == ((), 0, 0, ())
    assert losses.compensated == ("worker-2 stopped answering 0.1 s into the load; it had no users",)


def test_an_heir_that_never_heard_of_it(tmp_path: Path) -> None:
    """Nobody played the users, so the loss is not made good."""
    never = {"event": "take_over_missed", "worker": 1, "name": "worker-2", "heir": "worker-1"}
    losses = find_losses(plan_of(tmp_path), totals({0: 9, 1: 3}), [START, final(0), lost(1, 6.0), moved(1, 8.0, 0), never])
    (story,) = losses.stories
    assert story.endswith("; worker-1 never heard that it was to take users over")
    assert not losses.compensated


def test_an_heir_lost_before_its_turn_is_away_once(tmp_path: Path) -> None:
    """A closed load of 10 s. Users of the first are away from 0 s to 8 s, through two losses; those of the second from 3 s."""
    plan = plan_of(tmp_path, changed("users = 10", 'users = 10\nmodel = "closed"\nthink_time = ["2s", "3s"]'))
    start = {"event": "start", "workers": {"0": "worker-1", "1": "worker-2", "2": "worker-3"}}
    events = [start, final(2), lost(0, 2.0), moved(0, 5.0, 1), lost(1, 4.0), moved(1, 8.0, 2)]
    first, second = (len(shard(10, worker, 3)) for worker in (0, 1))
    away = find_losses(plan, totals({1: 2, 2: 9}), events).away
    assert away == pytest.approx((first * 8 + second * 5) / (10 * 10))
    halted = find_losses(plan, totals({1: 2, 2: 9}), [*events, {"event": "halt", "at_s": 4.0, "reason": "x"}]).away
    assert halted == pytest.approx((first * 4 + second * 1) / (10 * 4))
