"""The kustomizations beside that of the stack, put together for tests as `kubectl kustomize` does, as far as they use it."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.unit.manifests import ROOT, Document

FOLDERS = ["k8s/load", "k8s/load/results", "k8s/dependencies", "k8s/metrics", "k8s-test"]
KNOWN = {
    "apiVersion",
    "kind",
    "namespace",
    "labels",
    "resources",
    "images",
    "patches",
    "configMapGenerator",
    "generatorOptions",
}
CLUSTER_WIDE = {"Namespace"}


def kustomization(folder: str) -> Document:
    """What stands in the folder's kustomization.yaml. A field that is not put together here is an error."""
    found: Document = yaml.safe_load((ROOT / folder / "kustomization.yaml").read_text())
    assert set(found) <= KNOWN
    return found


@cache
def built(folder: str) -> tuple[Document, ...]:
    """All documents with their namespace and the tags of their images; labels and patches are left out."""
    own = kustomization(folder)
    found = [document for name in own.get("resources", ()) for document in _resource((ROOT / folder / name).resolve())]
    found += [_generated(folder, one) for one in own.get("configMapGenerator", ())]
    for document in found:
        if "namespace" in own and document["kind"] not in CLUSTER_WIDE:
            document["metadata"]["namespace"] = own["namespace"]
    tags = {image["name"]: image["newTag"] for image in own.get("images", ())}
    for container in containers(found):
        if container["image"] in tags:
            container["image"] += f":{tags[container['image']]}"
    return tuple(found)


def one(folder: str, kind: str, name: str) -> Document:
    """The document of that kind and name."""
    (found,) = (each for each in built(folder) if (each["kind"], each["metadata"]["name"]) == (kind, name))
    return found


def pod(document: Document) -> Document | None:
    """The specification of its pods; None when it has none."""
    if document["kind"] == "Pod":
        return dict(document["spec"])
    template = document.get("spec", {}).get("template")
    return None if template is None else dict(template["spec"])


def containers(documents: list[Document] | tuple[Document, ...]) -> Iterator[Document]:
    """Every container of theirs."""
    for document in documents:
        spec = pod(document)
        if spec is not None:
            assert "initContainers" not in spec
            yield from spec["containers"]


def secrets(document: Document) -> set[tuple[str, str]]:
    """Name and key of each secret that a container is given."""
    references = [
        variable.get("valueFrom", {}).get("secretKeyRef") for each in containers([document]) for variable in each.get("env", ())
    ]
    return {(reference["name"], reference["key"]) for reference in references if reference}


def settings(document: Document) -> dict[str, Any]:
    """The variables of its container that have a value."""
    (container,) = containers([document])
    return {variable["name"]: variable["value"] for variable in container.get("env", ()) if "value" in variable}


def literals(text: str) -> dict[str, set[str]]:
    """The secrets that a page's commands make: keys by name."""
    joined = text.replace("\\\n", " ")
    made = re.findall(r"create secret generic (\S+)((?:\s+--from-literal=\S+)+)", joined)
    return {name: set(re.findall(r"--from-literal=(\w+)=", rest)) for name, rest in made}


def _resource(path: Path) -> list[Document]:
    if path.is_dir():
        return [yaml.safe_load(yaml.safe_dump(each)) for each in built(str(path.relative_to(ROOT)))]
    return list(yaml.safe_load_all(path.read_text()))


def _generated(folder: str, generator: Document) -> Document:
    data = {Path(name).name: (ROOT / folder / name).read_text() for name in generator["files"]}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": generator["name"], "labels": {}}, "data": data}
