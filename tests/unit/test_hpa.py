"""The tables of Kubernetes' own tests (pkg/controller/podautoscaler), by their names there."""

import math

import pytest
import yaml

from loadtests.capacity.hpa import (
    DEFAULT,
    DEFAULT_DOWN,
    DEFAULT_UP,
    GUIDE,
    Behavior,
    Controller,
    Policy,
    Rules,
    proposal,
    proposal_of_total,
)
from tests.unit.manifests import ROOT

MINUTE = 60.0

# replica_calculator_test.go: TestReplicaCalcResourceScale and TestReplicaCalcMissingMetrics; requests of one CPU, levels in
# thousandths, targets in per cent.
RESOURCES = [
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


@pytest.mark.parametrize(("name", "current", "levels", "target", "unready", "missing", "expected"), RESOURCES, ids=str)
def test_replica_calculator(
    name: str, current: int, levels: list[int], target: int, unready: int, missing: int, expected: int
) -> None:
    """Pods for a CPU utilisation, with unready and missing ones."""
    assert proposal(current, [level / 1000 for level in levels], target / 100, unready, missing) == expected, name


@pytest.mark.parametrize(
    ("current", "levels", "target", "tolerance", "expected"),
    [
        (3, [20, 10, 30], 15, 0.1, 4),  # scale up
        (5, [12, 12, 12, 12, 12], 20, 0.1, 3),  # scale down
        (3, [20, 21, 21], 20, 0.1, 3),  # within default tolerance
        (3, [20, 21, 21], 20, 0.01, 4),  # outside configurable 1% tolerance
    ],
)
def test_pod_metrics(current: int, levels: list[int], target: float, tolerance: float, expected: int) -> None:
    """TestReplicaCalcPodMetric: any number for each pod works as a utilisation does."""
    assert proposal(current, levels, target, tolerance=tolerance, step=0.001) == expected


@pytest.mark.parametrize(
    ("current", "total", "target", "tolerance", "expected"),
    [
        (3, 8600, 2150, 0.1, 4),  # scale up
        (5, 8600, 2867, 0.1, 3),  # scale down
        (3, 8600, 2900, 0.1, 3),  # within default tolerance
        (3, 8600, 2800, 0.01, 4),  # outside configurable 1% tolerance
        (0, 20000, 5000, 0.1, 4),  # statusReplicas zero does not overflow usage
        (0, 0, 5000, 0.1, 0),  # statusReplicas zero and metric zero does not underflow
    ],
)
def test_external_metrics(current: int, total: float, target: float, tolerance: float, expected: int) -> None:
    """TestReplicaCalcExternalPerPodMetric: a total with a target for each pod."""
    assert proposal_of_total(current, total, target, tolerance) == expected


def test_documented_examples() -> None:
    """The documentation's: 200m of 100m doubles, 50m halves, and a ratio within 0.1 of 1.0 changes nothing."""
    assert proposal(3, [2.0] * 3, 1.0) == 6
    assert proposal(4, [0.5] * 4, 1.0) == 2
    assert proposal(10, [1.09] * 10, 1.0) == proposal(10, [0.91] * 10, 1.0) == 10
    assert proposal(10, [1.11] * 10, 1.0) == 12


def test_whole_per_cent() -> None:
    """Utilisation is cut to whole per cent, then compared and rounded up as the controller's floats are.

    66 % of 60 % is 1.1, and the float of that is a little more than the tolerance away from 1.
    """
    assert proposal(10, [0.6599] * 10, 0.6) == 10
    assert proposal(10, [0.66] * 10, 0.6) == 11
    assert proposal(20, [0.42] * 20, 0.6) == 14


def test_nothing_measured() -> None:
    """The controller does not guess either."""
    with pytest.raises(ValueError, match="no pod has been measured"):
        proposal(3, [], 0.6, unready=3)


def spread(changes: list[int], period_s: float) -> list[tuple[float, int]]:
    """As generateEventsUniformDistribution: events in the middle of equal parts of the time before 0, in whole seconds."""
    part = period_s / len(changes)
    return [(-float(math.trunc(period_s - part * (index + 1) + part / 2)), change) for index, change in enumerate(changes)]


def rules(pods: int, pods_s: float, percent: int, percent_s: float, window_s: float) -> Rules:
    """As generateScalingRules."""
    policies = [Policy("Pods", pods, pods_s)] if pods else []
    return Rules((*policies, *([Policy("Percent", percent, percent_s)] if percent else [])), window_s)


OLD = [8, 12, 9, 11]
# horizontal_test.go, TestScalingWithRules: up, down, least, most, up rules, down rules, current, wanted, expected.
LIMITS = [
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


@pytest.mark.parametrize("row", LIMITS, ids=lambda row: row[0])
def test_scaling_with_rules(row: tuple[str, list[int], list[int], int, int, Rules | None, Rules | None, int, int, int]) -> None:
    """TestScalingWithRules: policies with what was scaled before, the least and the most."""
    _, ups, downs, least, most, up, down, current, wanted, expected = row
    controller = Controller(least, most, Behavior(up or DEFAULT_UP, down or DEFAULT_DOWN))
    controller.ups, controller.downs = spread(ups, 120) if ups else [], spread(downs, 120) if downs else []
    assert controller.limited(0, current, wanted) == expected


def test_the_least_change() -> None:
    """TestCalculateScaleUpLimitWithScalingRules and -DownLimitWithBehaviors: selectPolicy Min."""
    least = Rules((Policy("Pods", 2, 60), Policy("Percent", 50, 60)), 300, "Min")
    controller = Controller(1, 1000, Behavior(least, least))
    assert controller.limited(0, 1, 1000) == 2
    assert controller.limited(0, 5, 1) == 3


def test_a_direction_switched_off() -> None:
    """Policy Disabled: the documentation's way to forbid scaling down."""
    controller = Controller(1, 1000, Behavior(DEFAULT_UP, Rules(DEFAULT_DOWN.policies, 0, "Disabled")))
    assert controller.decide(0, 10, [2]) == 10
    assert controller.decide(15, 10, [12]) == 12


@pytest.mark.parametrize(
    ("current", "wanted", "least", "most", "expected"),
    [(5, 7, 3, 8, 7), (3, 1, 2, 8, 2), (1, 0, 0, 10, 0), (20, 1000, 1, 10, 10), (3, 1000, 1, 2000, 6), (1, 1000, 1, 2000, 4)],
)
def test_without_a_behavior(current: int, wanted: int, least: int, most: int, expected: int) -> None:
    """TestConvertDesiredReplicasWithRules: twice the pods or four, whichever is more."""
    assert Controller(least, most, None).limited(0, current, wanted) == expected


# TestNormalizeDesiredReplicasWithBehavior: earlier proposals (minutes before now), current, wanted, windows in s, expected.
WINDOWS = [
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


@pytest.mark.parametrize("row", WINDOWS, ids=lambda row: row[0])
def test_stabilization(row: tuple[str, list[tuple[int, int]], int, int, float, float, int]) -> None:
    """TestNormalizeDesiredReplicasWithBehavior: both windows hold the number of pods."""
    _, earlier, current, wanted, up_s, down_s, expected = row
    controller = Controller(1, 1000, Behavior(Rules((), up_s), Rules((), down_s)))
    controller.proposals = [(-minutes * MINUTE, pods) for minutes, pods in earlier]
    assert controller.stabilized(0, current, wanted) == expected


@pytest.mark.parametrize(
    ("earlier", "wanted", "expected"),
    [
        ([], 5, 5),
        ([(2, 4), (1, 5)], 3, 5),
        ([(2, 1), (1, 2)], 3, 3),
        ([(10, 10), (9, 9)], 3, 3),
        ([(10, 10), (1, 4), (2, 5), (9, 9)], 3, 5),
    ],
)
def test_stabilization_without_a_behavior(earlier: list[tuple[int, int]], wanted: int, expected: int) -> None:
    """TestNormalizeDesiredReplicas: the greatest proposal of five minutes, from where more pods run."""
    controller = Controller(1, 1000, None)
    controller.proposals = [(-minutes * MINUTE, pods) for minutes, pods in earlier]
    assert controller.stabilized(0, 100, wanted) == expected


def test_the_greatest_metric_counts() -> None:
    """Of several metrics the one that asks for the most pods decides."""
    assert Controller(1, 20, DEFAULT).decide(0, 3, [2, 5, 4]) == 5


def test_outside_of_its_range() -> None:
    """More pods than the most, or fewer than the least, are put right at once, whatever the policies say."""
    slow = Behavior(Rules((Policy("Pods", 1, 60),)), Rules((Policy("Pods", 1, 60),), 300))
    assert Controller(3, 20, slow).decide(0, 50, [50]) == 20
    assert Controller(10, 20, slow).decide(0, 1, [1]) == 10


def course(behavior: Behavior, current: int, wanted: int, until_s: int) -> list[tuple[int, int]]:
    """(time, pods) of each change while every metric asks for `wanted` pods."""
    controller = Controller(3, 20, behavior)
    changes = []
    for now_s in range(0, until_s + 1, 15):
        decided = controller.decide(now_s, current, [wanted])
        if decided != current:
            changes.append((now_s, decided))
        current = decided
    return changes


def test_the_guides_steps() -> None:
    """3, 8, 16, 20 at 0, 30 and 60 s at the most; down 20, 10, 5, 3 at 300, 360 and 420 s."""
    assert course(GUIDE, 3, 100, 600) == [(0, 8), (30, 16), (60, 20)]
    assert course(GUIDE, 20, 1, 600) == [(300, 10), (360, 5), (420, 3)]


def test_the_manifest_has_the_guides_behavior() -> None:
    """k8s/hpa.yaml says what GUIDE says."""
    spec = yaml.safe_load((ROOT / "k8s" / "hpa.yaml").read_text())["spec"]["behavior"]

    def read(one: dict[str, object]) -> Rules:
        policies = one["policies"]
        assert isinstance(policies, list)
        return Rules(
            tuple(Policy(policy["type"], policy["value"], policy["periodSeconds"]) for policy in policies),
            float(str(one["stabilizationWindowSeconds"])),
            "Max" if one["selectPolicy"] == "Max" else "Min",
        )

    assert Behavior(read(spec["scaleUp"]), read(spec["scaleDown"])) == GUIDE
