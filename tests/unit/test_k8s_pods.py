"""The manifests in k8s/: what bounds and confines pods, when they are ready, and how they end."""

import pytest

from tests.unit.manifests import WORKLOADS, container, own_environment, template, workload


def mebibytes(quantity: str) -> int:
    """A quantity of memory, of which the manifests use two units."""
    number, unit = quantity[:-2], quantity[-2:]
    return int(number) * {"Mi": 1, "Gi": 1024}[unit]


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


def test_a_pod_of_the_api_ends_without_losing_a_request() -> None:
    """It serves on while proxies learn that it goes, then has the 40 s that the slowest request can take."""
    pause = container("backend")["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert 0 < pause <= template("backend")["spec"]["terminationGracePeriodSeconds"] - 40
    assert workload("backend")["spec"]["minReadySeconds"] > pause
