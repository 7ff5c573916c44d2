"""Where nights are asked for: the workflow, the CronJob, the cron example."""

import re
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped] # it has annotations, but no py.typed
import pytest
import yaml

from loadtests.cli import parser

ROOT = Path(__file__).parents[2]
NIGHTLY = ROOT / "k8s" / "nightly"
WORKFLOW = ROOT / ".github" / "workflows" / "nightly.yml"
VARIABLES = re.compile(r"^([A-Z]+) ?\??=", re.MULTILINE)


def _documents() -> dict[str, Any]:
    """Those of the kustomization, by kind."""
    kustomization = yaml.safe_load((NIGHTLY / "kustomization.yaml").read_text())
    found = [yaml.safe_load((NIGHTLY / name).read_text()) for name in kustomization["resources"]]
    return {document["kind"]: document for document in found}


@pytest.mark.parametrize("version", ["1.30", "1.37"])
def test_documents_are_valid(version: str) -> None:
    """Kubernetes' own schema knows every field, and no file is forgotten."""
    for document in _documents().values():
        assert kubernetes_validate.validate(document, version, strict=True) == version
    files = {file.name for file in NIGHTLY.glob("*.yaml")} - {"kustomization.yaml"}
    assert files == set(yaml.safe_load((NIGHTLY / "kustomization.yaml").read_text())["resources"])


def test_the_cron_job_runs_the_same_command() -> None:
    """What the container is given is a command of this version, for the suite of `make nightly`."""
    (container,) = _documents()["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    python, module, name, *arguments = container["command"]
    assert (python, module, name) == ("python", "-m", "loadtests")
    options = parser().parse_args(arguments)
    assert (options.suite, str(options.out)) == ("nightly", "/results")
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert {"/results", "/state", "/tmp"} <= mounts
    assert container["resources"]["requests"] == container["resources"]["limits"]


def test_a_night_is_not_tried_twice() -> None:
    """A second try could hide a regression, and a second night beside the first would be one."""
    spec = _documents()["CronJob"]["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    assert spec["jobTemplate"]["spec"]["backoffLimit"] == 0


def test_the_workflow_calls_make_as_it_is() -> None:
    """Every target and every variable that the workflow gives to make is the Makefile's."""
    makefile = (ROOT / "Makefile").read_text()
    jobs = yaml.safe_load(WORKFLOW.read_text())["jobs"]
    runs = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    calls = [run for run in runs if run.startswith("make")]
    assert len(calls) == 3
    for call in calls:
        target = re.sub(r"^make( -C \S+)? ", "", call).split()[0]
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
        assert set(re.findall(r"([A-Z]+)=", call)) <= set(VARIABLES.findall(makefile))


def test_the_workflow_may_write_nothing() -> None:
    """Its token reads the repository, and pull requests do not run at the same time as a night."""
    workflow = yaml.safe_load(WORKFLOW.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["concurrency"] == {"group": "benchmark", "cancel-in-progress": False}
