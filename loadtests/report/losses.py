"""Workers that did not report their end, and the most that they can have done without telling."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loadtests.pacing.schedule import arrival_times
from loadtests.pacing.shard import shard
from loadtests.pacing.stream import ClosedLoad, user_rng
from loadtests.scenario.plan import Plan
from loadtests.store.windows import Totals


@dataclass(frozen=True)
class Losses:
    """Lost workers, in words, and the bounds of what is not known of them."""

    stories: tuple[str, ...]
    in_flight: int = 0
    """Requests in flight at their last reports."""
    unreported: int = 0
    """Turns that the plan has for them between their last reports and the moment when they were lost."""

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
        unreported=sum(_unreported(plan, totals, worker, len(names), lost) for worker in missing),
    )


def _story(name: str, lost: Mapping[str, Any] | None, fate: str | None) -> str:
    if lost is None:
        return f"{name} never reported its end"
    when = "" if lost["at_s"] is None else f" {lost['at_s']:.1f} s into the load"
    return f"{name} {lost['how']}{when}" + (f" ({fate})" if fate else "")


def _unreported(plan: Plan, totals: Totals, worker: int, workers: int, lost: Mapping[int, Mapping[str, Any]]) -> int:
    """Turns of one worker's users from its last report to its loss."""
    since_s = totals.last[worker][0] + 1 if worker in totals.last else 0
    until_s = lost[worker]["at_s"] if worker in lost else plan.scenario.load.total_s
    users = shard(plan.scenario.load.users, worker, workers)
    load = plan.load
    if isinstance(load, ClosedLoad):
        return len(users) * math.ceil((until_s - since_s) / load.think_min_s)
    turns = 0
    for user in users:
        times = arrival_times(load.profile, load.process, user_rng(plan.scenario.seed, user))
        turns += sum(since_s <= time_s <= until_s for time_s in times)
    return turns
