"""The manifests in k8s/: autoscalers, and the database connections of as many instances as there can be."""

import re
from collections.abc import Iterator

import pytest
import yaml

from tests.unit.manifests import DEPLOYMENTS, README, ROOT, config, container, of_kind, workload

BUDGET = 90
# PostgreSQL's default of 100, less the 3 that it keeps for its superuser.
CONNECTIONS = 97


def sources() -> Iterator[str]:
    """The text of each module of the stack under test."""
    return (file.read_text() for file in (ROOT / "backend" / "app").rglob("*.py"))


@pytest.mark.parametrize(("name", "target"), [("backend-hpa", "backend"), ("worker-hpa", "worker")])
def test_autoscalers_have_their_deployment_to_themselves(name: str, target: str) -> None:
    """The target exists, leaves its replicas to the autoscaler, and has room between minimum and maximum."""
    spec = of_kind("HorizontalPodAutoscaler")[name]["spec"]
    assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": target}
    assert "replicas" not in workload(target)["spec"]
    assert 1 < spec["minReplicas"] < spec["maxReplicas"]


def test_the_api_scales_by_cpu_alone() -> None:
    """The metric can be computed, because CPU is requested, and with its tolerance it stays below the promised 70 %."""
    spec = of_kind("HorizontalPodAutoscaler")["backend-hpa"]["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (3, 20)
    (metric,) = spec["metrics"]
    assert metric["resource"]["name"] == "cpu"
    assert metric["resource"]["target"]["type"] == "Utilization"
    assert metric["resource"]["target"]["averageUtilization"] * 1.1 < 70
    assert container("backend")["resources"]["requests"]["cpu"] == "1"


def test_workers_scale_by_a_metric_that_exists() -> None:
    """The gauge is one of the stack's, and README.md has the adapter's rule for it."""
    spec = of_kind("HorizontalPodAutoscaler")["worker-hpa"]["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 10)
    (metric,) = spec["metrics"]
    gauge = metric["external"]["metric"]["name"]
    assert metric["external"]["target"]["type"] == "AverageValue"
    assert any(f'"{gauge}"' in source for source in sources())
    (rules,) = (yaml.safe_load(block) for block in yaml_blocks(README.read_text()) if "externalRules" in block)
    (rule,) = rules["externalRules"]
    assert gauge in rule["seriesQuery"]
    # Every relay reports the one queue: a sum would count it once for each of them.
    assert rule["metricsQuery"].startswith("max(")


def yaml_blocks(markdown: str) -> list[str]:
    """The YAML examples of a page."""
    return re.findall(r"```yaml\n(.*?)```", markdown, re.DOTALL)


def test_the_connections_fit() -> None:
    """The budget is reckoned with as many instances as there can be, and fits."""
    budget = {name: int(value) for name, value in config().items() if value.isdigit()}
    autoscalers = of_kind("HorizontalPodAutoscaler")
    assert budget["API_INSTANCES"] == autoscalers["backend-hpa"]["spec"]["maxReplicas"]
    assert budget["WORKER_INSTANCES"] == autoscalers["worker-hpa"]["spec"]["maxReplicas"]
    assert budget["RELAY_INSTANCES"] == workload("relay")["spec"]["replicas"]
    command = container("backend")["command"]
    assert budget["API_PROCESSES"] == int(command[command.index("--workers") + 1])
    assert connections(budget) == 82 <= BUDGET


def test_the_connections_fit_during_a_rollout() -> None:
    """One pod more of whatever surges, one of each that drains, and a migration: PostgreSQL's default holds them too."""
    budget = {name: int(value) for name, value in config().items() if value.isdigit()}
    surge = {name: workload(name)["spec"]["strategy"]["rollingUpdate"]["maxSurge"] for name in DEPLOYMENTS}
    assert workload("backend")["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    more = {
        "API_INSTANCES": budget["API_INSTANCES"] + surge["backend"] + 1,
        "WORKER_INSTANCES": budget["WORKER_INSTANCES"] + surge["worker"] + 1,
        "RELAY_INSTANCES": budget["RELAY_INSTANCES"] + surge["relay"] + 1,
    }
    assert connections(budget | more) + 1 == 92 <= CONNECTIONS


def connections(budget: dict[str, int]) -> int:
    """The sum that the backend's settings make; a relay has one connection."""
    api = budget["API_INSTANCES"] * budget["API_PROCESSES"] * budget["DB_POOL_SIZE"]
    return api + budget["WORKER_INSTANCES"] * budget["WORKER_POOL_SIZE"] + budget["RELAY_INSTANCES"]
