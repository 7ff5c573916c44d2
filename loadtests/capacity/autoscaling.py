"""A load on a deployment that Kubernetes' autoscaler watches over: pods, and load above their capacity, second by second.

What is simple here and not in a cluster: load is shared evenly by the pods that are ready, at once; what is above their
capacity is counted and gone (no queue, no retry); a pod takes the same time to start each time, and there is always a node for
it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from loadtests.capacity.hpa import GUIDE, SYNC_S, TOLERANCE, Behavior, Controller, proposal

LEAST_TARGET = 0.01
"""A manifest has it in whole per cent."""


@dataclass(frozen=True)
class Deployment:
    """What is scaled, and how. Raises ValueError for what cannot be."""

    capacity: float
    """Requests/s that one pod answers at 100 % of the CPU that it requests; it answers no more."""
    target: float = 0.6
    """Utilisation that the autoscaler aims at, a ratio."""
    least: int = 3
    most: int = 20
    behavior: Behavior | None = GUIDE
    startup_s: float = 20.0
    """From the decision to a pod that is ready."""
    window_s: float = 15.0
    """Over which utilisation is measured; a pod counts as unready until it has been ready for so long."""
    tolerance: float = TOLERANCE

    def __post_init__(self) -> None:
        if not (math.isfinite(self.capacity) and self.capacity > 0):
            raise ValueError("the capacity of a pod is above 0")
        if not (math.isfinite(self.target) and self.target >= LEAST_TARGET):
            raise ValueError("the target utilisation is at least 1 %")
        if not 1 <= self.least <= self.most:
            raise ValueError("the least number of pods lies between 1 and the most")
        if not (self.startup_s >= 0 and self.window_s >= 1):
            raise ValueError("a pod's start takes no less than 0 s, and a metric's window no less than 1 s")


@dataclass(frozen=True)
class Second:
    """One second of the course, from `time_s` on."""

    time_s: int
    offered: float
    """Requests/s."""
    pods: int
    ready: int
    capacity: float
    """Requests/s of the pods that are ready."""

    @property
    def above(self) -> float:
        """Requests above the capacity."""
        return max(0.0, self.offered - self.capacity)

    @property
    def utilisation(self) -> float:
        """Of the ready pods: at most 1, however much more was offered."""
        return min(1.0, self.offered / self.capacity)


@dataclass(frozen=True)
class Course:
    """What became of a load."""

    deployment: Deployment
    seconds: Sequence[Second]

    @property
    def changes(self) -> list[tuple[int, int]]:
        """(time in s, pods from then on), the start first."""
        found: list[tuple[int, int]] = []
        for second in self.seconds:
            if not found or second.pods != found[-1][1]:
                found.append((second.time_s, second.pods))
        return found

    @property
    def most_pods(self) -> int:
        """At any time."""
        return max(second.pods for second in self.seconds)

    @property
    def peak(self) -> float:
        """The highest load, in requests/s."""
        return max(second.offered for second in self.seconds)

    @property
    def needed(self) -> int:
        """Pods that would carry the highest load at the target utilisation."""
        return math.ceil(self.peak / (self.deployment.capacity * self.deployment.target) * (1 - 1e-12))

    @property
    def loaded_s(self) -> int:
        """Seconds in which anything was offered."""
        return sum(second.offered > 0 for second in self.seconds)

    @property
    def short_s(self) -> int:
        """Seconds in which more was offered than the ready pods can answer."""
        return sum(second.above > 1e-9 * second.offered for second in self.seconds)

    @cached_property
    def offered(self) -> float:
        """Requests in all."""
        return math.fsum(second.offered for second in self.seconds)

    @cached_property
    def above(self) -> float:
        """Requests above the capacity of their second, in all."""
        return math.fsum(second.above for second in self.seconds)

    @property
    def pod_hours(self) -> float:
        """What the pods cost."""
        return sum(second.pods for second in self.seconds) / 3600


def simulate(deployment: Deployment, rate: Callable[[float], float], duration_s: float) -> Course:
    """The course of `duration_s` seconds with the load `rate(time_s)` in requests/s, taken at the middle of each second.

    It begins with the least number of pods, ready and idle. The autoscaler decides at 0 s and every 15 s from then on.
    """
    controller = Controller(deployment.least, deployment.most, deployment.behavior)
    ready_at = [-math.inf] * deployment.least
    seconds: list[Second] = []
    for time_s in range(math.ceil(duration_s)):
        if time_s % SYNC_S == 0:
            wanted = controller.decide(time_s, len(ready_at), [_proposed(deployment, ready_at, seconds, time_s)])
            # The youngest pods go first, as those that are not ready yet do.
            ready_at = ready_at[:wanted] + [time_s + deployment.startup_s] * (wanted - len(ready_at))
        ready = sum(at_s <= time_s for at_s in ready_at)
        seconds.append(Second(time_s, rate(time_s + 0.5), len(ready_at), ready, ready * deployment.capacity))
    return Course(deployment, seconds)


def _proposed(deployment: Deployment, ready_at: Sequence[float], seconds: Sequence[Second], time_s: int) -> int:
    """What CPU utilisation asks for; before the load everything was idle."""
    window = math.ceil(deployment.window_s)
    measured = sum(at_s + deployment.window_s <= time_s for at_s in ready_at)
    mean = math.fsum(second.utilisation for second in seconds[-window:]) / window
    unready = len(ready_at) - measured
    return proposal(len(ready_at), [mean] * measured, deployment.target, unready, tolerance=deployment.tolerance)
