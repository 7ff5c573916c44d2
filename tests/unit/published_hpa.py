"""Tables of Kubernetes' own tests of its autoscaler (pkg/controller/podautoscaler), by their names there."""

import math

from loadtests.capacity.hpa import DEFAULT_DOWN, DEFAULT_UP, Behavior, Controller, Policy, Rules, proposal

MINUTE = 60.0
Resource = tuple[str, int, list[int], int, int, int, int]
Limit = tuple[str, list[int], list[int], int, int, Rules | None, Rules | None, int, int, int]
Window = tuple[str, list[tuple[int, int]], int, int, float, float, int]

# replica_calculator_test.go: TestReplicaCalcResourceScale and TestReplicaCalcMissingMetrics; requests of one CPU, levels in
# thousandths, targets in per cent.
RESOURCES: list[Resource] = [
    # name, current, levels of ready pods, target, unready, missing, expected
    ("scale up", 3, [300, 500, 700], 30, 0, 0, 5),
    ("scale up: unready pod scales less", 3, [500, 700], 30, 1, 0, 4),
    ("no scale: unready pods ignored", 3, [400], 30, 2, 0, 3),
    ("scale up: failed pods ignored", 2, [500, 700], 30, 0, 0, 4),
    ("scale down", 5, [100, 300, 500, 250, 250], 50, 0, 0, 3),
    ("scale down: exclude unready pods", 5, [100, 300, 500], 50, 2, 0, 2),
    ("scale down: exclude unscheduled pods", 5, [100], 50, 4, 0, 1),
    ("some pods missing metrics scales down", 4, [400, 95], 100, 0, 2, 3),
    ("no change: metric equal to target", 2, [1000], 100, 0, 1, 2),
    ("no change: metric above target", 2, [1900], 100, 0, 1, 2),
    ("no change: metric below target", 2, [600], 100, 0, 1, 2),
    ("no change: unready pod metric missing", 3, [450], 50, 1, 1, 3),
    ("scale up: unready pod metric missing", 3, [2000], 50, 1, 1, 4),
    ("scale down: unready pod metric missing", 4, [100, 100], 50, 1, 1, 3),
    ("rolling update with maxSurge: extra pod missing metric", 2, [100, 100], 50, 0, 1, 2),
]


def spread(changes: list[int], period_s: float) -> list[tuple[float, int]]:
    """As generateEventsUniformDistribution: events in the middle of equal parts of the time before 0, in whole seconds."""
    part = period_s / max(1, len(changes))
    return [(-float(math.trunc(period_s - part * (index + 1) + part / 2)), change) for index, change in enumerate(changes)]


def rules(pods: int, pods_s: float, percent: int, percent_s: float, window_s: float) -> Rules:
    """As generateScalingRules."""
    policies = [Policy("Pods", pods, pods_s)] if pods else []
    return Rules((*policies, *([Policy("Percent", percent, percent_s)] if percent else [])), window_s)


OLD = [8, 12, 9, 11]
# horizontal_test.go, TestScalingWithRules: up, down, least, most, up rules, down rules, current, wanted, expected.
LIMITS: list[Limit] = [
    ("prenormalized desired replicas within range", [], [], 3, 8, None, None, 5, 7, 7),
    ("prenormalized desired replicas < minReplicas", [], [], 2, 8, None, None, 3, 1, 2),
    ("maxReplicas is the limit because maxReplicas < scaleUpLimit", [], [], 1, 10, None, None, 20, 1000, 10),
    ("desired replica count is more than the maximum replica count", [], [], 100, 150, None, None, 100, 1000, 150),
    ("scaleUpLimit < maxReplicas with user policies", [], [], 1, 2000, rules(0, 0, 1, 60, 0), None, 3, 1000, 4),
    ("scaleUp with default behavior", [], [], 1, 1000, None, None, 10, 50, 20),
    ("scaleUp with pods policy larger than percent policy", [], [], 1, 1000, rules(100, 60, 100, 60, 0), None, 10, 500, 110),
    ("scaleUp with percent policy larger than pods policy", [], [], 1, 1000, rules(2, 60, 100, 60, 0), None, 10, 500, 20),
    ("scaleUp, MaxReplicas, large pod policy", [], [], 1, 1000, rules(100, 60, 0, 0, 0), None, 10, 50, 50),
    ("scaleUp, MaxReplicas, large percent policy", [], [], 1, 1000, rules(10000, 60, 0, 0, 0), None, 10, 50, 50),
    ("scaleUp with pod policy limitation", [], [], 1, 1000, rules(30, 60, 0, 0, 0), None, 10, 50, 40),
    ("scaleUp with percent policy limitation", [], [], 1, 1000, rules(0, 0, 200, 60, 0), None, 10, 50, 30),
    ("scaleDown with percent policy larger than pod policy", [], [], 1, 1000, None, rules(20, 60, 1, 60, 300), 100, 2, 80),
    ("scaleDown with pod policy larger than percent policy", [], [], 1, 1000, None, rules(2, 60, 1, 60, 300), 100, 2, 98),
    ("scaleDown, MinReplicas, large pod policy", [], [], 1, 1000, None, rules(100, 60, 0, 0, 300), 10, 0, 1),
    ("scaleDown, MinReplicas, large percent policy", [], [], 5, 1000, None, rules(0, 0, 100, 60, 300), 10, 2, 5),
    ("scaleDown with pod policy limitation", [], [], 1, 1000, None, rules(5, 60, 0, 0, 300), 10, 2, 5),
    ("scaleDown with percent policy limitation", [], [], 1, 1000, None, rules(0, 0, 50, 60, 300), 10, 5, 5),
    ("scaleUp, large pod policy and events", [1, 5, 9], [], 1, 200, rules(300, 60, 0, 0, 0), None, 100, 500, 200),
    ("scaleUp, large percent policy and events", [1, 5, 9], [], 1, 200, rules(0, 0, 10000, 60, 0), None, 100, 500, 200),
    ("scaleUp, a lot of recent scale up events", [1, 5, 9], [], 1, 1000, rules(5, 120, 0, 0, 0), None, 100, 500, 100),
    (
        "scaleUp with pod policy and previous scale up events",
        [1, 5, 9],
        [],
        1,
        1000,
        rules(150, 120, 0, 0, 0),
        None,
        100,
        500,
        235,
    ),
    ("scaleUp, percent policy, previous events", [1, 5, 9], [], 1, 1000, rules(0, 0, 200, 120, 0), None, 100, 500, 255),
    ("scaleUp, percent policy, up and down events", [4], [2], 1, 1000, rules(0, 0, 300, 300, 0), None, 6, 24, 16),
    ("scaleDown with default policy and previous events", [], [1, 5, 9], 1, 1000, None, None, 10, 5, 5),
    (
        "scaleDown, MinReplicas=nil, large pod policy, events",
        [],
        [1, 5, 9],
        1,
        1000,
        None,
        rules(115, 120, 0, 0, 300),
        100,
        0,
        1,
    ),
    ("scaleDown, MinReplicas, large pod policy, events", [], [1, 5, 9], 5, 1000, None, rules(130, 120, 0, 0, 300), 100, 0, 5),
    ("scaleDown, MinReplicas, percent policy, events", [], [1, 5, 9], 5, 1000, None, rules(0, 0, 100, 120, 300), 100, 2, 5),
    ("scaleDown, pod policy limitation, events", [], [1, 5, 9], 1, 1000, None, rules(5, 120, 0, 0, 300), 100, 2, 100),
    ("scaleDown, percent policy limitation, events", [], [2, 4, 6], 1, 1000, None, rules(0, 0, 50, 120, 300), 100, 0, 56),
    ("scaleDown, percent policy, up and down events", [2], [4], 1, 1000, None, rules(0, 0, 50, 180, 0), 10, 1, 6),
    ("scaleDown prevented by previous events", [], [10, 10, 10], 1, 1000, None, rules(0, 0, 10, 120, 300), 100, 0, 100),
    ("previous events still allow scaleDown", [], [10, 10, 10], 1, 1000, None, rules(0, 0, 1000, 120, 300), 10, 5, 5),
    ("'outdated', one behavior for up", OLD, [], 1, 1000, rules(1000, 60, 0, 0, 0), None, 100, 200, 200),
    ("not 'outdated', two policies for up", OLD, [], 1, 1000, rules(1000, 120, 100, 60, 0), None, 100, 200, 200),
    ("'outdated', two policies for up", OLD, [], 1, 1000, rules(1000, 30, 100, 60, 0), None, 100, 200, 200),
    ("'outdated', one behavior for down", [], OLD, 1, 1000, None, rules(1000, 60, 0, 0, 300), 100, 5, 5),
    ("not 'outdated', two policies for down", [], OLD, 1, 1000, None, rules(1000, 120, 100, 60, 300), 100, 5, 5),
    ("'outdated', two policies for down", [], OLD, 1, 1000, None, rules(1000, 30, 100, 60, 300), 100, 5, 5),
]


# TestNormalizeDesiredReplicasWithBehavior: earlier proposals (minutes before now), current, wanted, windows in s, expected.
WINDOWS: list[Window] = [
    ("empty recommendations for scaling down", [], 100, 5, 0, 0, 5),
    ("simple scale down stabilization", [(2, 4), (1, 5)], 100, 3, 0, 180, 5),
    ("simple scale up stabilization", [(2, 4), (1, 5)], 1, 7, 300, 0, 4),
    ("no scale down stabilization", [(2, 1), (1, 2)], 100, 3, 300, 0, 3),
    ("no scale up stabilization", [(2, 4), (1, 5)], 1, 3, 0, 300, 3),
    ("no scale down stabilization, reuse", [(10, 10), (9, 9)], 100, 3, 0, 0, 3),
    ("no scale up stabilization, reuse", [(10, 10), (9, 9)], 1, 100, 0, 0, 100),
    ("scale down stabilization, obsolete", [(10, 10), (1, 4), (2, 5), (9, 9)], 100, 3, 0, 180, 5),
    ("scale up stabilization, obsolete", [(100, 10), (1, 6), (2, 5), (3, 9)], 1, 100, 300, 0, 5),
    ("do not scale up when prenormalized rec goes down", [(100, 2), (3, 3)], 2, 1, 300, 300, 2),
    ("do not scale down when prenormalized rec goes up", [(100, 2), (3, 1)], 2, 3, 300, 300, 2),
]


def proposed(row: Resource) -> int:
    """What is computed for a row of RESOURCES."""
    _, current, levels, target, unready, missing, _ = row
    return proposal(current, [level / 1000 for level in levels], target / 100, unready, missing)


def limited(row: Limit) -> int:
    """What is computed for a row of LIMITS."""
    _, ups, downs, least, most, up, down, current, wanted, _ = row
    controller = Controller(least, most, Behavior(up or DEFAULT_UP, down or DEFAULT_DOWN))
    controller.ups, controller.downs = spread(ups, 120), spread(downs, 120)
    return controller.limited(0, current, wanted)


def stabilized(row: Window) -> int:
    """What is computed for a row of WINDOWS."""
    _, earlier, current, wanted, up_s, down_s, _ = row
    controller = Controller(1, 1000, Behavior(Rules((), up_s), Rules((), down_s)))
    controller.proposals = [(-minutes * MINUTE, pods) for minutes, pods in earlier]
    return controller.stabilized(0, current, wanted)
