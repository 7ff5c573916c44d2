"""The manifests in k8s/, read for tests: by kind, and what their workloads are given."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "k8s"
README = FOLDER / "README.md"
KUSTOMIZATION = FOLDER / "kustomization.yaml"
FILES = sorted(file for file in FOLDER.glob("*.yaml") if file != KUSTOMIZATION)
DEPLOYMENTS = {"backend": "api", "worker": "worker", "relay": "relay"}
WORKLOADS = [*DEPLOYMENTS, "migrate"]
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
