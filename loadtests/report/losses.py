"""Workers that did not report their end, and the most that they can have done without telling."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loadtests.pacing.stream import ClosedLoad, turns_of
from loadtests.pacing.takeover import Holdings
from loadtests.scenario.plan import Plan
from loadtests.store.windows import Totals


@dataclass(frozen=True)
class Losses:
    """Lost workers, in words, and the bounds of what is not known of them."""

    stories: tuple[str, ...]
    in_flight: int = 0
    """Requests in flight at their last reports."""
    unreported: int = 0
    """Most turns that they can have begun after their last reports."""
    compensated: tuple[str, ...] = ()
    """Of those whose users others took over, in words; `stories` is of the others."""
    missed: int = 0
    """Turns of an open load that nobody took: due after a loss, and before others took over."""
    holes: tuple[tuple[float, float], ...] = ()
    """From the last report of each compensated worker until others took over, in seconds of the load."""

    away: float = 0.0
    """Share of all users' time in which the users of compensated workers were not there."""

    def in_hole(self, second: int) -> bool:
        """Whether users were missing in a second of the load."""
        return any(begin_s < second + 1 and second < end_s for begin_s, end_s in self.holes)

    def __bool__(self) -> bool:
        return bool(self.stories or self.compensated)


def find_losses(plan: Plan, totals: Totals, events: Sequence[dict[str, Any]]) -> Losses:
    """What is known of the workers that began and did not report their end."""
    starts = [event for event in events if event["event"] == "start"]
    names = {int(worker): str(name) for event in starts for worker, name in event["workers"].items()}
    ended = {event["report"]["worker"] for event in events if event["event"] == "worker_final"}
    lost = {event["worker"]: event for event in events if event["event"] == "worker_lost"}
    fates = {event["name"]: event["fate"] for event in events if event["event"] == "process_ended"}
    missing = sorted(names.keys() - ended)
    moves = {event["worker"]: event for event in events if event["event"] == "users_taken_over"}
    stories = {one: _story(names[one], lost.get(one), fates.get(names[one])) for one in missing}
    if not missing:
        return Losses(())
    for event in events:
        if event["event"] == "take_over_missed" and event["worker"] in stories:
            stories[event["worker"]] += f"; {event['heir']} never heard that it was to take users over"
            moves.pop(event["worker"], None)
    moves = {worker: move for worker, move in moves.items() if worker in stories}
    end_s = min([plan.scenario.load.total_s, *(event["at_s"] or 0.0 for event in events if event["event"] == "halt")])
    tenures = _tenures(plan, missing, len(names), events)
    holes = {one: (_silent_since(totals, one), _taken_over_s(move)) for one, move in moves.items() if tenures[one].users}
    return Losses(
        stories=tuple(story for worker, story in stories.items() if worker not in moves),
        in_flight=sum(totals.last[worker][1].in_flight for worker in missing if worker in totals.last),
        unreported=_unreported(plan, totals, tenures, events),
        compensated=tuple(f"{stories[worker]}; {_move(move)}" for worker, move in moves.items()),
        missed=sum(_missed(plan, tenures[worker], min(end_s, _taken_over_s(move))) for worker, move in moves.items()),
        holes=tuple(holes.values()),
        away=_away(plan, tenures, holes, end_s),
    )


def _story(name: str, lost: Mapping[str, Any] | None, fate: str | None) -> str:
    if lost is None:
        return f"{name} never reported its end"
    when = "" if lost["at_s"] is None else f" {lost['at_s']:.1f} s into the load"
    return f"{name} {lost['how']}{when}" + (f" ({fate})" if fate else "")


def _move(move: Mapping[str, Any]) -> str:
    if not move["users"]:
        return "it had no users"
    if move["from_s"] is None:
        return "the load ended before its users could be taken over"
    return f"its {move['users']:,} users were taken over from {move['from_s']:.1f} s on"


def _taken_over_s(move: Mapping[str, Any]) -> float:
    return math.inf if move["from_s"] is None else float(move["from_s"])


def _silent_since(totals: Totals, worker: int) -> float:
    """The end of the last second that a worker reported."""
    return totals.last[worker][0] + 1.0 if worker in totals.last else 0.0


@dataclass(frozen=True)
class _Tenure:
    """What a lost worker had to do: its users, each with the second since which it had them, and until when."""

    users: Mapping[int, float]
    until_s: float


def _tenures(plan: Plan, missing: Sequence[int], workers: int, events: Sequence[dict[str, Any]]) -> dict[int, _Tenure]:
    holdings = Holdings(plan.scenario.load.users, workers)
    for event in events:
        if event["event"] == "users_taken_over" and event["heirs"]:
            holdings.hand_over(event["worker"], event["heirs"], event["from_s"])
    lost_at = {event["worker"]: event["at_s"] for event in events if event["event"] == "worker_lost"}
    until_s = {one: lost_at.get(one) for one in missing}
    total_s = plan.scenario.load.total_s
    return {one: _Tenure(holdings.of(one), total_s if at_s is None else at_s) for one, at_s in until_s.items()}


def _unreported(plan: Plan, totals: Totals, tenures: Mapping[int, _Tenure], events: Sequence[dict[str, Any]]) -> int:
    """Turns that lost workers can have begun after their last reports.

    Open load: those that the plan has for their users until the loss, less those that they reported (users of a slow target are
    behind the plan, and may have caught up). Closed load: as many as the shortest think time permits since the last report, or,
    without a think time, the fastest answer of the run.
    """
    load = plan.load
    if isinstance(load, ClosedLoad):
        fastest_us = min((series.service_time.min_us or 1 for series in totals.series.values()), default=1)
        turn_s = load.think_min_s or fastest_us / 1e6
        silent_s = {one: had.until_s - _silent_since(totals, one) for one, had in tenures.items()}
        return sum(len(had.users) * max(0, math.ceil(silent_s[one] / turn_s)) for one, had in tenures.items())
    planned = sum(
        sum(turn.due_s <= had.until_s for turn in turns_of(load, plan.mix, plan.scenario.seed, user, from_s))
        for had in tenures.values()
        for user, from_s in had.users.items()
    )
    finals = (event["report"] for event in events if event["event"] == "worker_final")
    reported = totals.counts.scheduled - sum(final["counts"]["scheduled"] for final in finals)
    return max(0, planned - int(reported))


def _missed(plan: Plan, had: _Tenure, from_s: float) -> int:
    load = plan.load
    if isinstance(load, ClosedLoad):  # whoever is not there does not think either
        return 0
    return sum(
        sum(had.until_s < turn.due_s < from_s for turn in turns_of(load, plan.mix, plan.scenario.seed, user, since_s))
        for user, since_s in had.users.items()
    )


def _away(plan: Plan, tenures: Mapping[int, _Tenure], holes: Mapping[int, tuple[float, float]], end_s: float) -> float:
    user_s = sum(
        max(0.0, min(until_s, end_s) - max(begin_s, since_s))
        for one, (begin_s, until_s) in holes.items()
        for since_s in tenures[one].users.values()
    )
    return min(1.0, user_s / (plan.scenario.load.users * end_s)) if end_s else 0.0
