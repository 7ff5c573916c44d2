"""The documents in k8s/: valid by the schemas in the package kubernetes-validate, which asks no cluster; and all there."""

import re
from pathlib import Path

import kubernetes_validate  # type: ignore[import-untyped] # it has annotations, but no py.typed
import pytest
import yaml

from tests.unit.manifests import DEPLOYMENTS, FILES, FOLDER, KUSTOMIZATION, WORKLOADS, container, documents, of_kind

# The oldest that has all fields in use (preStop.sleep), and the newest of the package.
VERSIONS = ["1.30", "1.37"]


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
