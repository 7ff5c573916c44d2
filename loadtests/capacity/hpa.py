"""Kubernetes' HorizontalPodAutoscaler as its controller works it out: pure, with the time as an argument.

Source: kubernetes, pkg/controller/podautoscaler/replica_calculator.go and horizontal.go; the documentation's page "Horizontal
Pod Autoscaling" says the same in words. Replicas are pods, utilisation is the share of the CPU that a pod requests.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

TOLERANCE = 0.1
SYNC_S = 15.0
DOWN_STABILIZATION_S = 300.0
Kind = Literal["Pods", "Percent"]
Select = Literal["Max", "Min", "Disabled"]


@dataclass(frozen=True)
class Policy:
    """At most `value` pods, or per cent of the pods, in any `period_s`."""

    kind: Kind
    value: int
    period_s: float


@dataclass(frozen=True)
class Rules:
    """One direction: the policy that allows the most (Max), the least (Min) change, or none at all (Disabled).

    Over `stabilization_s` the least of all proposals counts on the way up, the greatest on the way down.
    """

    policies: tuple[Policy, ...]
    stabilization_s: float = 0.0
    select: Select = "Max"


@dataclass(frozen=True)
class Behavior:
    """`spec.behavior` of an autoscaler."""

    up: Rules
    down: Rules


DEFAULT_UP = Rules((Policy("Pods", 4, 15), Policy("Percent", 100, 15)))
DEFAULT_DOWN = Rules((Policy("Percent", 100, 15),), DOWN_STABILIZATION_S)
DEFAULT = Behavior(DEFAULT_UP, DEFAULT_DOWN)
"""What Kubernetes puts in place of what a `behavior` leaves out."""
GUIDE = Behavior(
    Rules((Policy("Percent", 100, 30), Policy("Pods", 5, 30))),
    Rules((Policy("Percent", 50, 60),), DOWN_STABILIZATION_S),
)
"""As in k8s/hpa.yaml."""


def proposal(
    current: int,
    utilisations: Sequence[float],
    target: float,
    unready: int = 0,
    missing: int = 0,
    tolerance: float = TOLERANCE,
    step: float = 0.01,
) -> int:
    """Pods that one metric asks for: ceil(pods x utilisation / target), or `current` within the tolerance.

    The mean utilisation is cut to a multiple of `step`: the controller reckons in whole per cent.

    `utilisations` are those of the pods that are ready and have been measured. On the way up `unready` and `missing` pods (not
    measured) count as idle, on the way down missing ones as fully used and unready ones not at all; if that turns the direction
    round, nothing changes. Raises ValueError without any measured pod.
    """
    if not utilisations:
        raise ValueError("no pod has been measured")
    used, count = math.fsum(utilisations), len(utilisations)
    ratio = _ratio(used / count, target, step)
    counted = unready if ratio > 1 else 0
    if not counted and not missing:
        return current if _near(ratio, tolerance) else math.ceil(ratio * count)
    if ratio < 1:
        used += missing * max(1.0, target)
    count += counted + missing
    again = _ratio(used / count, target, step)
    if _near(again, tolerance) or (ratio < 1) != (again < 1):
        return current
    wanted = math.ceil(again * count)
    turned = wanted > current if again < 1 else wanted < current
    return current if turned else wanted


def proposal_of_total(current: int, total: float, target: float, tolerance: float = TOLERANCE) -> int:
    """Pods that an external metric with a target for each pod asks for (AverageValue), such as the length of a queue."""
    if current and _near(total / (target * current), tolerance):
        return current
    return math.ceil(total / target)


def _near(ratio: float, tolerance: float) -> bool:
    """As the controller compares: without room for rounding errors."""
    return abs(1.0 - ratio) <= tolerance


def _ratio(mean: float, target: float, step: float) -> float:
    """Of two whole numbers, so that it is the very float that the controller compares and rounds up."""
    return math.floor(mean / step + 1e-9) / round(target / step, 6)


@dataclass
class Controller:
    """One autoscaler and its memory: what was proposed and how it scaled.

    Without a behaviour its older rules apply: up to twice the pods, or four, at a time; down without limit after five minutes.
    """

    least: int
    most: int
    behavior: Behavior | None
    proposals: list[tuple[float, int]] = field(default_factory=list)
    ups: list[tuple[float, int]] = field(default_factory=list)
    downs: list[tuple[float, int]] = field(default_factory=list)

    def decide(self, now_s: float, current: int, wanted: Iterable[int]) -> int:
        """The number of pods from `now_s` on, given what each metric proposes: the greatest of them counts."""
        if not self.proposals:
            self.proposals.append((now_s, current))
        if not self.least <= current <= self.most:
            decided = min(max(current, self.least), self.most)
        else:
            decided = self.limited(now_s, current, self.stabilized(now_s, current, max(wanted)))
        if decided != current:
            (self.ups if decided > current else self.downs).append((now_s, abs(decided - current)))
        return decided

    def stabilized(self, now_s: float, current: int, wanted: int) -> int:
        """`current`, moved no further than all proposals of the windows agree on; remembers this one.

        Without a behaviour it is the greatest proposal that is no older than five minutes, even one that was out of reach then.
        """
        if self.behavior is None:
            kept = [(at_s, pods) for at_s, pods in self.proposals if at_s >= now_s - DOWN_STABILIZATION_S]
            self.proposals = [*kept, (now_s, wanted)]
            return max(pods for _, pods in self.proposals)
        up_s, down_s = self.behavior.up.stabilization_s, self.behavior.down.stabilization_s
        lowest = min([wanted, *(pods for at_s, pods in self.proposals if at_s > now_s - up_s)])
        highest = max([wanted, *(pods for at_s, pods in self.proposals if at_s > now_s - down_s)])
        self.proposals = [(at_s, pods) for at_s, pods in self.proposals if at_s > now_s - max(up_s, down_s)]
        self.proposals.append((now_s, wanted))
        return min(max(current, lowest), highest)

    def limited(self, now_s: float, current: int, wanted: int) -> int:
        """`wanted` within the policies, the least and the most."""
        if wanted > current:
            return min(wanted, self.most, self._highest(now_s, current))
        if wanted < current:
            return max(wanted, self.least, self._lowest(now_s, current))
        return wanted

    def _highest(self, now_s: float, current: int) -> int:
        if self.behavior is None:
            return max(2 * current, 4)
        rules = self.behavior.up
        limits = [
            start + policy.value if policy.kind == "Pods" else math.ceil(start * (1 + policy.value / 100))
            for policy, start in self._starts(now_s, current, rules)
        ]
        return max(current, _selected(rules.select, current, min(limits), max(limits)))

    def _lowest(self, now_s: float, current: int) -> int:
        if self.behavior is None:
            return self.least
        rules = self.behavior.down
        limits = [
            start - policy.value if policy.kind == "Pods" else math.trunc(start * (1 - policy.value / 100))
            for policy, start in self._starts(now_s, current, rules)
        ]
        return min(current, _selected(rules.select, current, max(limits), min(limits)))

    def _starts(self, now_s: float, current: int, rules: Rules) -> Iterable[tuple[Policy, int]]:
        """Each policy and the pods that there were at the start of its period."""
        for policy in rules.policies:
            added = sum(pods for at_s, pods in self.ups if at_s > now_s - policy.period_s)
            deleted = sum(pods for at_s, pods in self.downs if at_s > now_s - policy.period_s)
            yield policy, current - added + deleted


def _selected(select: Select, none: int, least: int, most: int) -> int:
    return {"Disabled": none, "Min": least, "Max": most}[select]
