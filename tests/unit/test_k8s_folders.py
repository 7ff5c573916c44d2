"""The documents beside the stack's own: valid, confined, each in its place, and all put together in k8s-test/."""

import json
import re
from pathlib import Path

import kubernetes_validate  # type: ignore[import-untyped] # it has annotations, but no py.typed
import pytest
import yaml

from loadtests import __version__
from tests.unit.kustomizations import FOLDERS, built, containers, kustomization, pod
from tests.unit.manifests import FOLDER, ROOT, Document

WORKLOADS = {
    f"{folder}/{document['metadata']['name']}": document
    for folder in FOLDERS
    for document in built(folder)
    if pod(document) is not None and (folder != "k8s-test" or document["metadata"]["name"] == "seed")
}


@pytest.mark.parametrize("version", ["1.30", "1.37"])
@pytest.mark.parametrize("folder", FOLDERS)
def test_every_document_is_valid(folder: str, version: str) -> None:
    """Kubernetes' own schema knows every field of every document, and every type is right."""
    assert built(folder)
    for document in built(folder):
        assert kubernetes_validate.validate(document, version, strict=True) == version


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_file_is_forgotten(folder: str) -> None:
    """Every manifest of a folder stands in its kustomization."""
    files = {file.name for file in (ROOT / folder).glob("*.yaml")} - {"kustomization.yaml"}
    assert files == {name for name in kustomization(folder)["resources"] if name.endswith(".yaml")}


def test_no_folder_is_forgotten() -> None:
    """Every kustomization under k8s/ is one of those tested: here, the stack's, or that of the nights."""
    found = {str(file.parent.relative_to(ROOT)) for file in FOLDER.rglob("kustomization.yaml")}
    assert found == {*FOLDERS, "k8s", "k8s/nightly"} - {"k8s-test"}


def test_no_document_meets_another() -> None:
    """All together: no two of one kind, namespace and name, which kustomize would refuse."""
    keys = [(each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]) for each in built("k8s-test")]
    assert len(set(keys)) == len(keys)
    assert {space for kind, space, _ in keys if kind != "Namespace"} == {"agenthq", "loadtest", "loadtest-metrics"}
    assert {name for kind, _, name in keys if kind == "Namespace"} == {"agenthq", "loadtest", "loadtest-metrics"}


def test_images_are_pinned_versions() -> None:
    """Every container has a tag that is a version; what this project builds has the project's."""
    for container in containers(built("k8s-test")):
        name, _, tag = container["image"].partition(":")
        assert re.fullmatch(r"\d+\.\d+(\.\d+)?(-bookworm)?", tag), container["image"]
        if name in ("loadtest", "agenthq-backend"):
            assert tag == __version__


@pytest.mark.parametrize("document", WORKLOADS.values(), ids=WORKLOADS)
def test_every_pod_is_confined(document: Document) -> None:
    """No root, no capability, no token of the cluster, bounded, and only volumes to write to."""
    spec = pod(document)
    assert spec is not None
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in spec["containers"]:
        confined = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
        assert container["securityContext"] == confined
        assert set(container["resources"]) == {"requests", "limits"}
        claims = {claim["metadata"]["name"] for claim in document["spec"].get("volumeClaimTemplates", ())}
        volumes = {volume["name"] for volume in spec.get("volumes", ())} | claims
        assert {mount["name"] for mount in container["volumeMounts"]} == volumes
    for volume in spec.get("volumes", ()):
        assert "sizeLimit" in volume.get("emptyDir", {"sizeLimit": None})


@pytest.mark.parametrize("folder", ["k8s/dependencies", "k8s/metrics"])
def test_services_lead_to_pods(folder: str) -> None:
    """Every Service selects the pods of the workload of its name, at a port that they have."""
    pods = {each["metadata"]["name"]: each for each in built(folder) if pod(each) is not None}
    for service in (each for each in built(folder) if each["kind"] == "Service"):
        spec, workload = service["spec"], pods[service["metadata"]["name"]]
        assert spec["selector"] == workload["spec"]["selector"]["matchLabels"]
        assert spec["selector"].items() <= workload["spec"]["template"]["metadata"]["labels"].items()
        ports = {port["name"] for each in containers([workload]) for port in each["ports"]}
        assert {port["targetPort"] for port in spec["ports"]} == ports


def test_grafana_has_every_dashboard() -> None:
    """Each of dashboards/json is mounted where the provisioning looks, and no ConfigMap is too large to be applied."""
    maps = {each["metadata"]["name"]: each for each in built("k8s/metrics") if each["kind"] == "ConfigMap"}
    (grafana,) = (each for each in built("k8s/metrics") if each["kind"] == "Deployment")
    spec = pod(grafana)
    assert spec is not None
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in spec["containers"][0]["volumeMounts"]}
    where = yaml.safe_load(maps["grafana-provisioning-dashboards"]["data"]["loadtest.yaml"])["providers"][0]["options"]["path"]
    mounted = [source["configMap"]["name"] for source in mounts[where]["projected"]["sources"]]
    files = sorted(name for each in mounted for name in maps[each]["data"])
    assert files == sorted(file.name for file in (ROOT / "dashboards" / "json").glob("*.json"))
    for kind in ("dashboards", "datasources"):
        assert mounts[f"/etc/grafana/provisioning/{kind}"]["configMap"]["name"] in maps
    assert all(len(json.dumps(each)) < 262_144 for each in maps.values())


def test_seeding_is_that_of_the_stack() -> None:
    """The seeding Job calls modules that exist, and makes at least the users that the load asks for."""
    documents = {(each["kind"], each["metadata"]["name"]): each for each in built("k8s-test")}
    (container,) = containers([documents["Job", "seed"]])
    script = container["command"][-1]
    assert (ROOT / "backend" / "app" / "seed.py").exists()
    assert '"--users"' in (ROOT / "backend" / "app" / "seed.py").read_text()
    assert "app.seed --users" in script
    seeded = {variable["name"]: variable.get("value") for variable in container["env"]}["SEED_USERS"]
    assert int(seeded) >= int(documents["ConfigMap", "loadtest-config"]["data"]["LOADTEST_USERS"])


def test_a_test_cluster_fires_nothing_by_itself() -> None:
    """The overlay holds the load's Jobs, and nothing else of it is another than in k8s/load, whose applying lets them go."""
    patch, _ = kustomization("k8s-test")["patches"]
    assert yaml.safe_load(patch["patch"]) == [{"op": "replace", "path": "/spec/suspend", "value": True}]
    held = [each for each in built("k8s-test") if re.fullmatch(patch["target"]["name"], each["metadata"]["name"])]
    jobs = {each["metadata"]["name"] for each in held if each["kind"] == patch["target"]["kind"]}
    assert jobs == {each["metadata"]["name"] for each in built("k8s/load") if each["kind"] == "Job"}
    assert all(each["spec"]["suspend"] is False for each in built("k8s/load") if each["kind"] == "Job")


def test_the_migration_outlasts_the_start_of_its_database() -> None:
    """Applied together, PostgreSQL needs minutes: the migration is tried for most of the time that docs/kubernetes.md waits."""
    _, patch = kustomization("k8s-test")["patches"]
    (operation,) = yaml.safe_load(patch["patch"])
    assert (patch["target"], operation["op"], operation["path"]) == (
        {"kind": "Job", "name": "migrate"},
        "replace",
        "/spec/backoffLimit",
    )
    (migrate,) = (each for each in built("k8s") if each["metadata"]["name"] == "migrate")
    assert "backoffLimit" in migrate["spec"]
    tried_s = sum(min(10 * 2**attempt, 360) for attempt in range(operation["value"]))
    (waited,) = re.findall(r"timeout=(\d+)m job/migrate", (ROOT / "docs" / "kubernetes.md").read_text())
    assert 300 <= tried_s < 60 * int(waited)


def test_the_workplace_of_the_page_exists() -> None:
    """Each folder and file of k8s that docs/kubernetes.md names is there."""
    named = set(re.findall(r"\bk8s(?:-test)?(?:/[\w.-]+)*", (ROOT / "docs" / "kubernetes.md").read_text()))
    assert {"k8s/load", "k8s/metrics", "k8s/dependencies", "k8s-test"} <= named
    assert [name for name in sorted(named) if not Path(ROOT, name.rstrip(".")).exists()] == []
