"""The tables of Kubernetes' own tests (pkg/controller/podautoscaler), by their names there."""

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
from tests.unit.published_hpa import LIMITS, MINUTE, RESOURCES, WINDOWS, Limit, Resource, Window, limited, proposed, stabilized


@pytest.mark.parametrize("row", RESOURCES, ids=lambda row: row[0])
def test_replica_calculator(row: Resource) -> None:
    """TestReplicaCalcResourceScale, -MissingMetrics: pods for a CPU utilisation, with unready and missing ones."""
    assert proposed(row) == row[-1]


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


@pytest.mark.parametrize("row", LIMITS, ids=lambda row: row[0])
def test_scaling_with_rules(row: Limit) -> None:
    """TestScalingWithRules: policies with what was scaled before, the least and the most."""
    assert limited(row) == row[-1]


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


@pytest.mark.parametrize("row", WINDOWS, ids=lambda row: row[0])
def test_stabilization(row: Window) -> None:
    """TestNormalizeDesiredReplicasWithBehavior: both windows hold the number of pods."""
    assert stabilized(row) == row[-1]


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


def test_without_a_behavior_an_earlier_proposal_is_made_up_for() -> None:
    """horizontal.go, stabilizeRecommendation: the greatest of five minutes counts on the way up too, and at their very end."""
    controller = Controller(1, 100, None)
    assert controller.decide(0, 3, [20]) == 6, "no more than twice the pods at a time"
    assert controller.decide(15, 6, [7]) == 12
    assert controller.decide(30, 12, [7]) == 20
    assert controller.decide(300, 20, [7]) == 20
    assert controller.decide(315, 20, [7]) == 7


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
