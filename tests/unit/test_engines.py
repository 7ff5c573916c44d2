"""Which container engine a run takes, and when it takes none; the engines are scripts that answer as the real ones do."""

import argparse
import io
from pathlib import Path

import pytest
from rich.console import Console

from loadtests.cli.containers import chosen
from loadtests.errors import InputError
from loadtests.orchestrate.compose_run import inside, stack_settings
from loadtests.orchestrate.definition import read_definition
from loadtests.orchestrate.engines import Engine, EngineError, EngineRefusal, find_engine
from loadtests.scenario.load import load_plan
from loadtests.scenario.plan import Plan
from loadtests.settings import Overrides

ROOT = Path(__file__).parents[2]
DEAD = "echo 'Cannot connect to the Docker daemon' >&2; exit 1"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the whole of PATH but for the shell."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("LOADTEST_ENGINE", raising=False)
    return folder


def program(folder: Path, name: str, body: str) -> None:
    """A script of that name."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def options(**given: object) -> argparse.Namespace:
    """Those of `loadtest run smoke`."""
    known = {
        "scenario": str(ROOT / "scenarios/smoke.toml"),
        "stack": "auto",
        "servers": "wheels",
        "api_port": None,
        "remote_workers": 0,
        "metrics_port": None,
    }
    return argparse.Namespace(**{**known, **given})


def smoke(host: str | None = None) -> Plan:
    """The plan of the smallest scenario."""
    return load_plan(ROOT / "scenarios/smoke.toml", Overrides(host=host))


def test_docker_comes_first(programs: Path) -> None:
    """When it answers and has compose; else Podman with the compose that there is."""
    program(programs, "podman", "echo 4.3.1")
    program(programs, "podman-compose", "echo 1.6.0")
    assert find_engine({}).compose == ("podman-compose",)
    program(programs, "docker", "echo 28.2.2")
    assert find_engine({}).compose == ("docker", "compose")
    assert find_engine({"LOADTEST_ENGINE": "podman"}).program == "podman"
    program(programs, "docker", DEAD)
    assert find_engine({}).program == "podman"
    (programs / "podman-compose").unlink()
    assert find_engine({}).compose == ("podman", "compose")


def test_no_engine_is_one_line(programs: Path) -> None:
    """It says of each what is wrong with it."""
    program(programs, "docker", DEAD)
    with pytest.raises(InputError) as error:
        find_engine({})
    assert str(error.value) == "no container engine answers: docker: Cannot connect to the Docker daemon; podman: not installed"
    program(programs, "docker", "[ $1 = version ] && echo 28.2.2")
    with pytest.raises(InputError, match=r"docker: has no compose \(docker compose\)"):
        find_engine({})
    with pytest.raises(InputError, match="must be one of docker, podman, none"):
        find_engine({"LOADTEST_ENGINE": "rkt"})


def test_a_refusal_is_told_from_silence(programs: Path) -> None:
    """Whom the engine does not answer must not be kept waiting for it."""
    program(programs, "docker", "echo 'No such container' >&2; exit 1")
    with pytest.raises(EngineRefusal, match=r"^docker kill: No such container$"):
        Engine("docker", ()).say("kill", "x")
    program(programs, "docker", "exec /bin/sleep 60")
    with pytest.raises(EngineError, match=r"^docker kill: no answer within 0.1 s$") as error:
        Engine("docker", ()).say("kill", "x", within_s=0.1)
    assert not isinstance(error.value, EngineRefusal)


def test_auto_says_what_it_picks_and_why(programs: Path) -> None:
    """Compose where an engine answers, else this machine; a host means neither, and says nothing."""
    told = io.StringIO()
    console = Console(file=told)
    assert chosen(options(), smoke(), console) is None
    program(programs, "docker", "echo 28.2.2")
    engine = chosen(options(), smoke(), console)
    assert engine is not None and engine.program == "docker"
    assert chosen(options(api_port=8001), smoke(), console) is None
    assert chosen(options(), smoke(host="http://127.0.0.1:1"), console) is None
    assert chosen(options(stack="embedded"), smoke(), console) is None
    first, second, third = told.getvalue().splitlines()
    assert first == "stack: auto picks embedded, for no container engine answers: docker: not installed; podman: not installed"
    assert second == "stack: auto picks compose, for docker answers"
    assert third.startswith("stack: auto picks embedded, for --api-port: ")


def test_what_an_engine_says_is_no_markup(programs: Path) -> None:
    """Its words are shown as they are, brackets and all."""
    program(programs, "docker", "echo 'no [/run/docker.sock] here' >&2; exit 1")
    told = io.StringIO()
    assert chosen(options(), smoke(), Console(file=told)) is None
    assert "docker: no [/run/docker.sock] here" in told.getvalue()


@pytest.mark.parametrize(
    ("given", "host", "complaint"),
    [
        ({"servers": "system"}, None, "--servers system"),
        ({"api_port": 8001}, None, "--api-port"),
        ({"metrics_port": "9000"}, None, "--metrics-port"),
        ({}, "http://127.0.0.1:1", "the target is http://127.0.0.1:1 already"),
        ({"scenario": str(ROOT / "benchmarks/scenarios/flat_out.toml")}, None, "is not in the image"),
    ],
)
def test_what_means_nothing_in_containers_is_refused(
    programs: Path, given: dict[str, object], host: str | None, complaint: str
) -> None:
    """In one line, before anything is started."""
    program(programs, "docker", "echo 28.2.2")
    plan = smoke(host=host) if host else smoke()
    with pytest.raises(InputError, match=f"^--stack compose: .*{complaint}"):
        chosen(options(stack="compose", **given), plan, Console(file=io.StringIO()))


def test_the_image_has_the_scenario_at_the_same_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the command is called from."""
    monkeypatch.chdir(ROOT)
    assert inside(Path("scenarios/smoke.toml")) == inside(ROOT / "scenarios/smoke.toml") == Path("scenarios/smoke.toml")
    with pytest.raises(InputError, match="put it there"):
        inside(Path("/etc/passwd"))


def test_settings_are_chosen_as_for_the_embedded_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller's environment wins over the scenario, which wins over the definition; no value is left to be filled in."""
    monkeypatch.setenv("CACHE", "off")
    found = stack_settings(read_definition(ROOT / "backend/stack.toml"), {"CACHE": "on", "TASK_BATCH": "7"})
    assert (found["CACHE"], found["TASK_BATCH"], found["CREATE_BATCH"]) == ("off", "7", "50")
    assert not [name for name, value in found.items() if "$" in value]
