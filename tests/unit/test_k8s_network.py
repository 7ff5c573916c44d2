"""The manifests in k8s/: who selects which pods, and who may reach them where."""

import pytest

from tests.unit.manifests import DEPLOYMENTS, of_kind, own_environment, ports, selected, template, workload


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_selectors_match_their_own_pods_only(name: str) -> None:
    """Deployment, disruption budget and spread of a name select its pods and nobody else's."""
    deployment = workload(name)["spec"]
    budget = of_kind("PodDisruptionBudget")[name]["spec"]
    spread = deployment["template"]["spec"]["topologySpreadConstraints"]
    for selector in [deployment["selector"], budget["selector"], *(each["labelSelector"] for each in spread)]:
        assert set(selector) == {"matchLabels"}
        assert selected(selector["matchLabels"]) == [name]


def test_every_deployment_may_be_disrupted_by_one() -> None:
    """Each has a budget that lets a node be drained, and no budget speaks of pods that do not exist."""
    assert set(of_kind("PodDisruptionBudget")) == set(DEPLOYMENTS)
    for budget in of_kind("PodDisruptionBudget").values():
        assert budget["spec"]["maxUnavailable"] == 1


def test_the_world_sees_the_api_alone() -> None:
    """The Ingress leads /api, and no other path, over TLS to a port that the Service and its pods have."""
    (service,) = of_kind("Service").values()
    (port,) = service["spec"]["ports"]
    assert selected(service["spec"]["selector"]) == ["backend"]
    assert port["targetPort"] in ports("backend")
    (ingress,) = of_kind("Ingress").values()
    (rule,) = ingress["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    assert (path["path"], path["pathType"]) == ("/api", "Prefix")
    assert path["backend"]["service"] == {"name": service["metadata"]["name"], "port": {"name": port["name"]}}
    assert [rule["host"]] == ingress["spec"]["tls"][0]["hosts"]
    assert "defaultBackend" not in ingress["spec"]


def test_connections_are_refused_unless_allowed() -> None:
    """Nobody may connect, but the ingress controller to the API, and Prometheus to the ports with metrics."""
    policies = {name: policy["spec"] for name, policy in of_kind("NetworkPolicy").items()}
    assert policies.pop("deny-ingress") == {"podSelector": {}, "policyTypes": ["Ingress"]}
    allowed = {}
    for name, policy in policies.items():
        (rule,) = policy["ingress"]
        assert all(set(source) == {"namespaceSelector"} for source in rule["from"])
        namespaces = [source["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] for source in rule["from"]]
        allowed[name] = (namespaces, [port["port"] for port in rule["ports"]])
    assert allowed == {"backend": (["ingress", "monitoring"], ["http"]), "metrics": (["monitoring"], ["metrics"])}
    assert selected(policies["backend"]["podSelector"]["matchLabels"]) == ["backend"]
    (expression,) = policies["metrics"]["podSelector"]["matchExpressions"]
    assert expression == {"key": "app.kubernetes.io/name", "operator": "In", "values": ["worker", "relay"]}
    assert all("metrics" in ports(name) for name in expression["values"])


def test_prometheus_is_told_where_the_metrics_are() -> None:
    """Annotation, port and setting of every Deployment agree."""
    for name, port in {"backend": 8000, "relay": 9101, "worker": 9102}.items():
        annotations = template(name)["metadata"]["annotations"]
        assert annotations == {
            "prometheus.io/scrape": "true",
            "prometheus.io/port": str(port),
            "prometheus.io/path": "/metrics",
        }
        assert list(ports(name).values()) == [port]
    assert own_environment("relay")["METRICS_PORT"] == "9101"
    assert own_environment("worker")["METRICS_PORT"] == "9102"
