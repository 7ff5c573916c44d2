"""The manifests in k8s/: secrets, settings and commands, true to the stack."""

import re
import tomllib
from itertools import pairwise

from tests.unit.manifests import DEPLOYMENTS, README, ROOT, WORKLOADS, config, container, documents, own_environment

SECRET_KEYS = {"DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "JWT_SECRET"}


def secret_keys(name: str) -> set[str]:
    """What a container is given of the secret."""
    return {variable["valueFrom"]["secretKeyRef"]["key"] for variable in container(name)["env"] if "valueFrom" in variable}


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
