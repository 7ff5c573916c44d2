"""The manifests in k8s/: valid for Kubernetes as its schemas say it, and true to each other and to the stack.

Nothing here asks a cluster; the schemas come with the package kubernetes-validate.
"""

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped] # it has annotations, but no py.typed
import pytest
import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "k8s"
README = FOLDER / "README.md"
KUSTOMIZATION = FOLDER / "kustomization.yaml"
FILES = sorted(file for file in FOLDER.glob("*.yaml") if file != KUSTOMIZATION)
# The oldest that has all fields in use (preStop.sleep), and the newest of the package.
VERSIONS = ["1.30", "1.37"]
DEPLOYMENTS = {"backend": "api", "worker": "worker", "relay": "relay"}
WORKLOADS = [*DEPLOYMENTS, "migrate"]
SECRET_KEYS = {"DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "JWT_SECRET"}
BUDGET = 90
# PostgreSQL's default of 100, less the 3 that it keeps for its superuser.
CONNECTIONS = 97

Document = dict[str, Any]


@cache
def documents() -> tuple[Document, ...]:
    """All documents of all manifests."""
    return tuple(document for file in FILES for document in yaml.safe_load_all(file.read_text()))


def of_kind(kind: str) -> dict[str, Document]:
    """All documents of a kind, by name."""
    return {document["metadata"]["name"]: document for document in documents() if document["kind"] == kind}


def workload(name: str) -> Document:
    """A Deployment or Job."""
    return (of_kind("Deployment") | of_kind("Job"))[name]


def template(name: str) -> Document:
    """The pod template of a Deployment or Job."""
    found: Document = workload(name)["spec"]["template"]
    return found


def container(name: str) -> Document:
    """The container of a Deployment or Job, of which each has one."""
    (found,) = template(name)["spec"]["containers"]
    return dict(found)


def own_environment(name: str) -> Document:
    """The variables that the container sets itself, as name and value (None: from the secret)."""
    return {variable["name"]: variable.get("value") for variable in container(name)["env"]}


def secret_keys(name: str) -> set[str]:
    """What a container is given of the secret."""
    return {variable["valueFrom"]["secretKeyRef"]["key"] for variable in container(name)["env"] if "valueFrom" in variable}


def ports(name: str) -> dict[str, int]:
    """The container's ports by name."""
    return {port["name"]: port["containerPort"] for port in container(name)["ports"]}


def config() -> dict[str, str]:
    """The data of the ConfigMap."""
    data: dict[str, str] = of_kind("ConfigMap")["agenthq-config"]["data"]
    return data


def selected(labels: dict[str, str]) -> list[str]:
    """Workloads whose pods carry all these labels."""
    return [name for name in WORKLOADS if labels.items() <= template(name)["metadata"]["labels"].items()]


def mebibytes(quantity: str) -> int:
    """A quantity of memory, of which the manifests use two units."""
    number, unit = quantity[:-2], quantity[-2:]
    return int(number) * {"Mi": 1, "Gi": 1024}[unit]


def sources() -> Iterator[str]:
    """The text of each module of the stack under test."""
    return (file.read_text() for file in (ROOT / "backend" / "app").rglob("*.py"))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_document_is_valid(file: Path, version: str) -> None:
    """Kubernetes' own schema knows every field of every document, and every type is right."""
    found = list(yaml.safe_load_all(file.read_text()))
    assert found
    for document in found:
        assert kubernetes_validate.validate(document, version, strict=True) == version


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ("averageUtilization:", "averageUtilisation:", "'averageUtilisation' was unexpected"),
        ("maxReplicas: 20", "maxReplicas: twenty", "'twenty' is not of type 'integer'"),
        ("  maxReplicas: 20\n", "", "'maxReplicas' is a required property"),
        ("scaleDown:", "scaledown:", "'scaledown' was unexpected"),
    ],
)
def test_a_mistake_is_refused(before: str, after: str, complaint: str) -> None:
    """A misspelt field, at any depth, a wrong type and a missing field do not pass the validator."""
    text = (FOLDER / "hpa.yaml").read_text()
    assert text.count(before) == 1
    with pytest.raises(kubernetes_validate.ValidationError, match=re.escape(complaint)):
        kubernetes_validate.validate(yaml.safe_load(text.replace(before, after)), VERSIONS[-1], strict=True)


def test_an_unknown_kind_is_refused() -> None:
    """A document for which there is no schema is an error, not a pass."""
    document = yaml.safe_load((FOLDER / "hpa.yaml").read_text()) | {"apiVersion": "autoscaling/v2beta2"}
    with pytest.raises(kubernetes_validate.SchemaNotFoundError):
        kubernetes_validate.validate(document, VERSIONS[-1], strict=True)


def test_kustomization_has_every_file() -> None:
    """No manifest is forgotten or listed twice, and nothing else is done to them than we look at here."""
    kustomization = yaml.safe_load(KUSTOMIZATION.read_text())
    assert set(kustomization) == {"apiVersion", "kind", "namespace", "labels", "resources", "images"}
    assert sorted(kustomization["resources"]) == [file.name for file in FILES]
    assert list(of_kind("Namespace")) == [kustomization["namespace"]]


def test_the_image_is_pinned_in_one_place() -> None:
    """Manifests name images without a tag, and the kustomization gives each of them one that is a version."""
    pinned = {image["name"]: image["newTag"] for image in yaml.safe_load(KUSTOMIZATION.read_text())["images"]}
    assert {container(name)["image"] for name in WORKLOADS} == set(pinned)
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", str(tag)) for tag in pinned.values())


def test_names_are_unique() -> None:
    """No document replaces another, none names a namespace of its own, and each says what it belongs to."""
    assert len({(d["kind"], d["metadata"]["name"]) for d in documents()}) == len(documents())
    for document in documents():
        assert "namespace" not in document["metadata"]
        assert {"app.kubernetes.io/name", "app.kubernetes.io/component"} <= set(document["metadata"]["labels"])


def test_the_workloads_are_those_tested_here() -> None:
    """Whatever runs is in the lists of this file, so that no check leaves it out."""
    assert set(of_kind("Deployment")) == set(DEPLOYMENTS)
    assert set(of_kind("Deployment") | of_kind("Job")) == set(WORKLOADS)
    kinds = {document["kind"] for document in documents() if "template" in document.get("spec", {})}
    assert kinds == {"Deployment", "Job"}


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


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_container_is_bounded(name: str) -> None:
    """Requests and limits of CPU and memory are given, and no limit of memory reaches the promised 2 GiB."""
    resources = container(name)["resources"]
    assert set(resources) == {"requests", "limits"}
    assert all(set(amounts) == {"cpu", "memory"} for amounts in resources.values())
    assert mebibytes(resources["requests"]["memory"]) <= mebibytes(resources["limits"]["memory"]) < mebibytes("2Gi")


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_container_is_confined(name: str) -> None:
    """No root, no capability, no token of the cluster, and nothing that can be written but /tmp."""
    spec = template(name)["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container(name)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "initContainers" not in spec
    assert {volume["name"] for volume in spec["volumes"] if "emptyDir" in volume} == {"tmp"}
    assert container(name)["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]


def test_an_outage_of_the_database_restarts_no_api() -> None:
    """What can end the API's process asks the process alone; what takes it out of the Service asks what it needs."""
    api = container("backend")
    paths = {name: api[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert paths == {
        "startupProbe": {"path": "/livez", "port": "http"},
        "livenessProbe": {"path": "/livez", "port": "http"},
        "readinessProbe": {"path": "/healthz", "port": "http"},
    }
    # /healthz gives each of its two questions, asked side by side, 2 s.
    assert api["readinessProbe"]["timeoutSeconds"] > 2


@pytest.mark.parametrize("name", ["worker", "relay"])
def test_readiness_asks_for_the_ready_file(name: str) -> None:
    """The probe looks where the process is told to put the file, on the volume that can be written; no probe restarts it."""
    path = own_environment(name)["READY_FILE"]
    assert container(name)["readinessProbe"]["exec"]["command"] == ["test", "-f", path]
    assert path.startswith("/tmp/")
    assert not {"livenessProbe", "startupProbe"} & set(container(name))


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


def test_no_manifest_holds_a_secret() -> None:
    """Secrets are referenced by name only, and none of their values stands where settings stand."""
    assert "Secret" not in {document["kind"] for document in documents()}
    assert not SECRET_KEYS & set(config())
    for name in WORKLOADS:
        given = {key for key, value in own_environment(name).items() if value is None}
        assert secret_keys(name) == given == set(own_environment(name)) & SECRET_KEYS
        for variable in container(name)["env"]:
            if "valueFrom" in variable:
                reference = {"name": "agenthq-secrets", "key": variable["name"]}
                assert variable["valueFrom"] == {"secretKeyRef": reference}
        assert container(name)["envFrom"] == [{"configMapRef": {"name": "agenthq-config"}}]
    assert not any("://" in str(value) for name in WORKLOADS for value in own_environment(name).values())


def test_who_needs_no_secret_has_none() -> None:
    """Only the API can sign tokens, only those who use the queue can reach it, and a migration knows the database alone."""
    queue = {"DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL"}
    assert secret_keys("backend") == {"DATABASE_URL", "REDIS_URL", "JWT_SECRET"}
    assert secret_keys("worker") == secret_keys("relay") == queue
    assert secret_keys("migrate") == {"DATABASE_URL"}


def test_the_readme_makes_the_secret_that_is_asked_for() -> None:
    """The command in README.md gives each key that the manifests refer to, and no other."""
    assert set(re.findall(r"--from-literal=(\w+)=", README.read_text())) == SECRET_KEYS


def test_the_stack_knows_every_setting() -> None:
    """Each variable is one that the backend's settings read: a misspelt one would be ignored in silence."""
    settings = (ROOT / "backend" / "app" / "settings.py").read_text()
    names = set(config()).union(*(own_environment(name) for name in WORKLOADS))
    assert [name for name in sorted(names) if not re.search(rf"^    {name.lower()}: ", settings, re.MULTILINE)] == []


def test_commands_are_those_of_the_embedded_stack() -> None:
    """A flag that backend/stack.toml gives a process is given here too, unless it says where on one machine it runs."""
    stack = tomllib.loads((ROOT / "backend" / "stack.toml").read_text())
    commands = {service["name"]: service["command"] for service in stack["services"]}
    commands |= {step["name"]: step["command"] for step in stack["prepare"]}
    for name, known_as in {**DEPLOYMENTS, "migrate": "migrate"}.items():
        assert comparable(container(name)["command"]) == comparable(commands[known_as])


def comparable(command: list[str]) -> list[str]:
    """The command without the interpreter's path and without the values that depend on where it runs."""
    own = {"--host", "--port", "--workers", "--hostname"}
    program = command[command.index("-m") - 1 :]  # without `nice`, which is for a machine that all share
    return [word for before, word in pairwise(program) if before not in own and word != "--hostname"]


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


def test_a_pod_of_the_api_ends_without_losing_a_request() -> None:
    """It serves on while proxies learn that it goes, then has the 40 s that the slowest request can take."""
    pause = container("backend")["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert 0 < pause <= template("backend")["spec"]["terminationGracePeriodSeconds"] - 40
    assert workload("backend")["spec"]["minReadySeconds"] > pause
