"""docker-compose.yml and the Dockerfiles: valid, confined, without a secret, and in agreement with the stack elsewhere."""

import json
import re
import stat
import tomllib
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped] # it has annotations, but no py.typed
import pytest
import yaml

from loadtests.errors import InputError
from loadtests.orchestrate.compose import LOAD, METRICS, ONCE, STACK
from loadtests.orchestrate.secrets_file import NAMES, make_secrets, read_secrets
from tests.unit.manifests import config, container

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text()
VARIABLE = re.compile(r"(?<!\$)\$\{(?P<name>\w+)(?P<how>:-|:\?)(?P<rest>[^}]*)\}")
SECRET = "a-secret-of-this-test"


def _filled(text: str) -> Any:
    """The file with every variable at its default, and every required one given."""
    return _fill(yaml.safe_load(text))


def _fill(value: Any) -> Any:
    """As compose does it: in texts, once the file is read; a text that is wanted to be a number becomes one."""
    if isinstance(value, dict):
        return {
            key: {n: _text(v) for n, v in one.items()} if key == "environment" else _fill(one) for key, one in value.items()
        }
    if isinstance(value, list):
        return [_fill(one) if isinstance(one, dict) else _text(one) for one in value]
    filled = _text(value)
    return int(filled) if filled != value and isinstance(filled, str) and filled.isdecimal() else filled


def _text(value: Any) -> Any:
    given = lambda match: SECRET if match["how"] == ":?" else match["rest"]  # noqa: E731
    return VARIABLE.sub(given, value) if isinstance(value, str) else value


COMPOSE = _filled(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
STACK_TOML = tomllib.loads((ROOT / "backend" / "stack.toml").read_text())
each_service = pytest.mark.parametrize("name", SERVICES)


def _schema() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((ROOT / "tests" / "schemas" / "compose-spec.json").read_text())
    # The specification has gained these since.
    schema["properties"]["name"] = {"type": "string"}
    limits = schema["definitions"]["deployment"]["properties"]["resources"]["properties"]["limits"]["properties"]
    limits["pids"] = {"type": "integer"}
    return schema


def test_the_file_is_valid() -> None:
    """By the Compose specification's schema, and a misspelt key is not."""
    validator = jsonschema.Draft201909Validator(_schema())
    validator.validate(COMPOSE)
    with pytest.raises(jsonschema.ValidationError, match="helthcheck"):
        validator.validate(_filled(TEXT.replace("healthcheck:", "helthcheck:")))


def test_the_services_are_those_that_the_command_starts() -> None:
    """Every service is started by `loadtest`, and stands in the profile that it is started for."""
    by_profile = {"stack": STACK, "metrics": METRICS, "load": (LOAD,)}
    wanted = {name: [profile] for profile, groups in by_profile.items() for group in groups for name in group}
    assert {name: service["profiles"] for name, service in SERVICES.items()} == wanted


@each_service
def test_a_service_is_confined(name: str) -> None:
    """No root, no capability, no new privileges, nothing to write on but what is given, limits, rules for restarts."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service and "privileged" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert {"cpus", "memory", "pids"} <= set(service["deploy"]["resources"]["limits"])
    assert service["restart"] == ("no" if name in (*ONCE, *LOAD) else "unless-stopped")
    assert set(service["networks"]) <= set(COMPOSE["networks"])
    assert not str(service.get("user", "")).startswith(("0", "root"))


@each_service
def test_a_service_has_a_health_check(name: str) -> None:
    """All that stay have one that names a program; what ends by itself has none."""
    check = SERVICES[name]["healthcheck"]
    assert check == {"disable": True} if name in ONCE else check["test"][0] == "CMD" and {"interval", "timeout"} <= set(check)


def test_who_waits_for_whom() -> None:
    """A dependency is healthy, or done when it ends; workers alone wait for a master that has only begun."""
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            wanted = "service_completed_successfully" if other in ONCE else "service_healthy"
            assert how == {"condition": "service_started" if name == "locust-worker" else wanted}


def test_ports_are_on_loopback() -> None:
    """Only nginx and Grafana can be reached from this machine, and nothing from others."""
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(published) == {"nginx", "grafana"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)


def test_secrets_are_required_and_made() -> None:
    """What must be given is what `make env` writes, and no secret has a default."""
    required = {match["name"] for match in VARIABLE.finditer(TEXT) if match["how"] == ":?"}
    assert required == set(NAMES)
    assert all(match["how"] == ":?" for match in VARIABLE.finditer(TEXT) if re.search("PASSWORD|SECRET|TOKEN$", match["name"]))
    for service in SERVICES.values():
        for variable, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|DSN|DATABASE_URL|REDIS_URL|BROKER_URL", variable):
                assert SECRET in value


def test_secrets_are_in_no_command() -> None:
    """A command line may be read by anybody on the machine."""
    assert not [name for name, service in SERVICES.items() if SECRET in json.dumps(service.get("command", []))]


def test_who_needs_no_secret_has_none() -> None:
    """Only who signs tokens has the key: the API, and the load in its place."""
    holders = {name for name, service in SERVICES.items() if any("JWT_SECRET" in key for key in service.get("environment", {}))}
    assert holders == {"api", *LOAD}


@each_service
def test_images_are_pinned(name: str) -> None:
    """By a whole version; those of other people with their registry."""
    service = SERVICES[name]
    repository, _, tag = service["image"].rpartition(":")
    assert re.match(r"\d+\.\d+\.\d+|\d+\.\d+-", tag)
    assert "build" in service or repository.startswith("docker.io/")


@pytest.mark.parametrize("file", ["Dockerfile", "backend/Dockerfile"])
def test_bases_are_pinned_and_images_are_not_roots(file: str) -> None:
    """One base by its version, which compose gives too; packages by hash; the last user is a number, for Kubernetes."""
    text = (ROOT / file).read_text()
    (base,) = re.findall(r"^ARG BASE=(.+)$", text, re.MULTILINE)
    assert re.fullmatch(r"docker\.io/library/python:3\.11\.\d+-slim-bookworm", base)
    assert {service["build"]["args"]["BASE"] for service in SERVICES.values() if "build" in service} == {base}
    stages = set(re.findall(r" AS (\S+)$", text, re.MULTILINE)) | {"${BASE}"}
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) <= stages
    assert text.count("pip install") == text.count("--require-hashes")
    for stage in re.split(r"^FROM ", text, flags=re.MULTILINE)[1:]:
        users = re.findall(r"^USER (.+)$", stage, re.MULTILINE)
        assert not users or users[-1] == "10001:10001"
    assert {"loadtest", "backend"} & stages and "HEALTHCHECK" in text and "org.opencontainers.image.version" in text


def test_targets_exist() -> None:
    """Each image is a stage of its Dockerfile."""
    for service in (one for one in SERVICES.values() if "build" in one):
        build = service["build"]
        assert f" AS {build['target']}\n" in (ROOT / build["dockerfile"]).read_text()


def test_the_images_know_no_more_than_they_need() -> None:
    """The build's context is a list of what goes in: no .env, no results, no git, no tests."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in lines
    wanted = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert all((ROOT / path).exists() for path in wanted)
    assert not wanted & {".env", ".", "backend", "tests", ".git"}


def test_settings_are_those_of_the_embedded_stack() -> None:
    """Every setting of stack.toml can be chosen, with the default from there, where it means something in containers."""
    given = {match["name"]: match["rest"] for match in VARIABLE.finditer(TEXT) if match["how"] == ":-"}
    elsewhere = {"API_INSTANCES", "API_PROCESSES", "ACCESS_LOG"}  # half the cores; one process a container; its folder is gone
    for name, default in STACK_TOML["defaults"].items():
        if name not in elsewhere:
            assert given[name] == default, name
    for name in ("ENVIRONMENT", "TRUST_PROXY"):
        assert SERVICES["api"]["environment"][name] == STACK_TOML["fixed"][name]
    assert SERVICES["api"]["environment"]["API_PROCESSES"] == config()["API_PROCESSES"] == "1"


def test_connections_are_within_the_promise() -> None:
    """Fewer than 100 with the defaults, by the same numbers that say how many containers there are."""
    told = SERVICES["worker"]["environment"]
    names = ("API_INSTANCES", "API_PROCESSES", "DB_POOL_SIZE", "WORKER_INSTANCES", "WORKER_POOL_SIZE")
    apis, processes, pool, workers, worker_pool = (int(told[name]) for name in names)
    assert SERVICES["api"]["deploy"]["replicas"] == apis
    assert SERVICES["worker"]["deploy"]["replicas"] == workers
    assert apis * processes * pool + workers * worker_pool + 1 < 90
    assert all(SERVICES[name]["deploy"].get("mode") == "replicated" for name in ("api", "worker", "locust-worker"))


def test_commands_are_those_of_kubernetes() -> None:
    """The same image runs the same commands in both places."""
    assert SERVICES["worker"]["command"] == container("worker")["command"]
    assert SERVICES["relay"]["command"] == container("relay")["command"]
    text = (ROOT / "backend" / "Dockerfile").read_text().replace("\\\n", "")
    (api, *_) = re.findall(r"^CMD (\[.+\])$", text, re.MULTILINE)
    assert json.loads(api) == container("backend")["command"]


def test_the_master_waits_for_as_many_workers_as_there_are() -> None:
    """And the load goes through nginx."""
    command = SERVICES["locust-master"]["command"]
    assert command[command.index("--remote-workers") + 1] == str(SERVICES["locust-worker"]["deploy"]["replicas"])
    assert command[command.index("--host") + 1] == "http://nginx:8080"


def test_secrets_are_written_once(tmp_path: Path) -> None:
    """For their owner alone, different each time, long; a file that is there stays, and one that lacks a name is refused."""
    first, second = tmp_path / "a", tmp_path / "b"
    assert make_secrets(first) and make_secrets(second)
    assert stat.S_IMODE(first.stat().st_mode) == 0o600
    values = [*read_secrets(first).values(), *read_secrets(second).values()]
    assert set(read_secrets(first)) == set(NAMES) and len(set(values)) == 2 * len(NAMES)
    assert all(re.fullmatch(r"[\w-]{40,}", value) for value in values)
    before = first.read_text()
    assert not make_secrets(first) and first.read_text() == before
    first.write_text(before.replace("JWT_SECRET", "JWT"))
    with pytest.raises(InputError, match="lacks JWT_SECRET"):
        make_secrets(first)
    second.chmod(0o644)
    with pytest.raises(InputError, match=r"everybody on this machine may read it; run: chmod 600 "):
        make_secrets(second)


def test_secrets_are_ignored_by_git() -> None:
    """So that nobody commits them."""
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()
