"""Workers that did not report their end, and the most that they can have done without telling."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loadtests.pacing.shard import shard
from loadtests.pacing.stream import ClosedLoad, turns_of
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

    def __bool__(self) -> bool:
        return bool(self.stories)


def find_losses(plan: Plan, totals: Totals, events: Sequence[dict[str, Any]]) -> Losses:
    """What is known of the workers that began and did not report their end."""
    starts = [event for event in events if event["event"] == "start"]
    names = {int(worker): str(name) for event in starts for worker, name in event["workers"].items()}
    ended = {event["report"]["worker"] for event in events if event["event"] == "worker_final"}
    lost = {event["worker"]: event for event in events if event["event"] == "worker_lost"}
    fates = {event["name"]: event["fate"] for event in events if event["event"] == "process_ended"}
    missing = sorted(names.keys() - ended)
    return Losses(
        stories=tuple(_story(names[worker], lost.get(worker), fates.get(names[worker])) for worker in missing),
        in_flight=sum(totals.last[worker][1].in_flight for worker in missing if worker in totals.last),
        unreported=_unreported(plan, totals, missing, len(names), events) if missing else 0,
    )


def _story(name: str, lost: Mapping[str, Any] | None, fate: str | None) -> str:
    if lost is None:
        return f"{name} never reported its end"
    when = "" if lost["at_s"] is None else f" {lost['at_s']:.1f} s into the load"
    return f"{name} {lost['how']}{when}" + (f" ({fate})" if fate else "")


def _unreported(plan: Plan, totals: Totals, missing: Sequence[int], workers: int, events: Sequence[dict[str, Any]]) -> int:
    """Turns that lost workers can have begun after their last reports.

    Open load: those that the plan has for their users until the loss, less those that they reported (users of a slow target are
    behind the plan, and may have caught up). Closed load: as many as the shortest think time permits since the last report, or,
    without a think time, the fastest answer of the run.
    """
    lost_at = {event["worker"]: event["at_s"] for event in events if event["event"] == "worker_lost"}
    until_s = {worker: lost_at.get(worker) or plan.scenario.load.total_s for worker in missing}
    load, users = plan.load, plan.scenario.load.users
    if isinstance(load, ClosedLoad):
        silent_s = {one: until_s[one] - (totals.last[one][0] + 1 if one in totals.last else 0) for one in missing}
        fastest_us = min((series.service_time.min_us or 1 for series in totals.series.values()), default=1)
        turn_s = load.think_min_s or fastest_us / 1e6
        return sum(len(shard(users, one, workers)) * max(0, math.ceil(silent_s[one] / turn_s)) for one in missing)
    planned = 0
    for worker in missing:
        for user in shard(users, worker, workers):
            turns = turns_of(load, plan.mix, plan.scenario.seed, user)
            planned += sum(turn.due_s <= until_s[worker] for turn in turns)
    finals = (event["report"] for event in events if event["event"] == "worker_final")
    reported = totals.counts.scheduled - sum(final["counts"]["scheduled"] for final in finals)
    return max(0, planned - int(reported))
