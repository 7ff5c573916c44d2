"""The course of a run in containers, with a stand-in for the engine; tests/containers has the real one."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from loadtests.orchestrate.ports import Ports
from tests.probing import eventually

ROOT = Path(__file__).parents[2]
ENGINE = Path(__file__).with_name("scripted_docker.py")
RUN = "20261125T120000-smoke-abcd"


class Lab:
    """A folder with the stand-in's files, and the command run against it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.out = folder, folder / "out"
        # One that no other run on this machine has.
        self.project = f"lab{os.getpid()}"
        self.env = {"TMPDIR": str(folder / "tmp"), "COMPOSE_PROJECT_NAME": self.project}
        for path in (
            folder / "tmp",
            folder / "bin",
            folder / "containers",
            folder / "results" / RUN / "logs",
            folder / "project",
        ):
            path.mkdir(parents=True)
        (folder / "results" / "latest").symlink_to(RUN)
        program = folder / "bin" / "docker"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{ENGINE}" "$@"\n')
        program.chmod(0o755)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """`loadtest run smoke --stack compose`."""
        return self.command("run", "smoke", "--stack", "compose", "--out", str(self.out), *arguments)

    def command(self, *arguments: str) -> "subprocess.Popen[str]":
        """`loadtest` with the stand-in; the secrets are in a folder of the lab."""
        own = {"SCRIPTED_DOCKER": str(self.folder), "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"}
        env = {
            **os.environ,
            **self.env,
            **own,
            "COMPOSE_FILE": str(self.folder / "project" / "docker-compose.yml"),
            "LOADTEST_ENGINE": "docker",
        }
        pipe = subprocess.PIPE
        command = [sys.executable, "-m", "loadtests", *arguments]
        return subprocess.Popen(command, cwd=ROOT, env=env, stdout=pipe, stderr=pipe, text=True, process_group=0)

    def run(self, files: Mapping[str, str], *arguments: str) -> tuple[int, str, str]:
        """Exit code, output and errors of a run with these files of the stand-in."""
        for name, text in files.items():
            (self.folder / name).write_text(text)
        process = self.start(*arguments)
        output, errors = process.communicate(timeout=60)
        return process.returncode, output, errors

    @property
    def calls(self) -> list[str]:
        """What the engine was asked, in order."""
        return (self.folder / "calls").read_text().splitlines()

    @property
    def left(self) -> list[str]:
        """Containers that are there."""
        return sorted(path.name for path in (self.folder / "containers").iterdir())

    @property
    def rubbish(self) -> list[str]:
        """Temporary files that are there."""
        return sorted(path.name for path in (self.folder / "tmp").iterdir())

    def asked(self, command: str) -> bool:
        """Whether the engine was asked this by now."""
        return (self.folder / "calls").exists() and any(call.startswith(f"{command} ") for call in self.calls)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A new one."""
    return Lab(tmp_path)


def test_a_run_is_brought_up_out_and_down(lab: Lab) -> None:
    """In order, with the master's output, exit code and folder; with secrets of its own, and nothing left."""
    code, output, errors = lab.run({"code": "1"})
    assert (code, errors) == (1, "")
    ups = [call.split("--no-deps ")[1] for call in lab.calls if " up " in call]
    groups = ["postgres redis", "migrate", "api worker relay", "nginx", "locust-master locust-worker"]
    assert ups == groups
    assert "said by id-locust-master" in output
    assert f"results: {lab.out / RUN}" in output
    assert (lab.out / "latest").resolve() == lab.out / RUN
    assert (lab.out / RUN / "logs" / "container-api-1.log").read_text() == "said by id-api\n"
    assert (lab.folder / "project" / ".env").stat().st_mode & 0o777 == 0o600
    assert (lab.left, lab.rubbish) == ([], [])
    assert "network rm loadtest_stack" in lab.calls


def test_what_was_up_stays_up(lab: Lab) -> None:
    """It is neither built nor started anew; users are added, and metrics go to the InfluxDB that runs."""
    (lab.folder / "folder").write_text(str(lab.folder / "bin" / ".." / "project"))
    for service in ("postgres", "redis", "api", "worker", "relay", "nginx", "influxdb"):
        (lab.folder / "containers" / f"id-{service}").write_text(service)
    code, output, _ = lab.run({})
    assert code == 0
    ups = [call.split("--no-deps ")[1] for call in lab.calls if " up " in call]
    assert ups == ["migrate", "locust-master locust-worker"]
    assert "postgres, redis, api, worker, relay, nginx run already" in output
    assert lab.left == [f"id-{name}" for name in sorted(("postgres", "redis", "api", "worker", "relay", "nginx", "influxdb"))]


def test_a_service_that_ends_is_told_and_all_is_taken_down(lab: Lab) -> None:
    """One line with its exit code, its last words below, exit code 4."""
    code, _, errors = lab.run({"broken": "relay"})
    assert code == 4
    assert errors == "loadtest: relay ended with exit code 7 before it was healthy\n  said by id-relay\n"
    assert lab.left == []


def test_ctrl_c_before_the_load_ends_what_was_begun(lab: Lab) -> None:
    """A build that takes long, say; once more is not needed."""
    (lab.folder / "building").write_text("600")
    process = lab.start()
    eventually(lambda: (lab.folder / "calls").exists() and any(" build " in call for call in lab.calls), "it builds")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == "loadtest: interrupted before the load started; everything was stopped\n"
    assert (lab.left, lab.rubbish) == ([], []) and not lab.asked("wait")


def test_ctrl_c_goes_to_the_master(lab: Lab) -> None:
    """Its folder is brought out all the same, and everything is taken down."""
    for name, text in {"code": "130", "wait": "60"}.items():
        (lab.folder / name).write_text(text)
    process = lab.start()
    eventually(lambda: lab.asked("wait"), "the master runs")
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert (lab.folder / "killed").read_text() == "INT"
    assert (lab.out / RUN).is_dir()
    assert lab.left == []


def test_a_second_load_is_refused(lab: Lab) -> None:
    """In the same project; what runs is left alone."""
    (lab.folder / "containers" / "id-locust-master").write_text("locust-master")
    code, _, errors = lab.run({})
    assert code == 2
    assert f"a load is under way in project {lab.project} already" in errors and errors.count("\n") == 1
    assert (lab.left, lab.rubbish) == (["id-locust-master"], [])


def test_a_load_that_is_being_prepared_is_one_too(lab: Lab) -> None:
    """Before its master runs there is no container that says so; the second would take over the first one's stack."""
    first = Ports()
    assert first.claim(f"project-{lab.project}")
    try:
        code, _, errors = lab.run({})
    finally:
        first.release()
    assert code == 2
    assert f"a load is under way in project {lab.project} already" in errors
    assert not lab.asked("ps")


@pytest.mark.parametrize("command", [["run", "smoke", "--stack", "compose"], ["compose", "up"]])
def test_a_stack_of_another_checkout_is_left_alone(lab: Lab, command: list[str]) -> None:
    """It would have other secrets; the line says where it is from."""
    (lab.folder / "containers" / "id-postgres").write_text("postgres")
    (lab.folder / "folder").write_text("/elsewhere")
    process = lab.command(*command)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert errors.startswith(f"loadtest: project {lab.project}: has containers of another checkout, /elsewhere; ")
    assert lab.left == ["id-postgres"] and not any(" build" in call for call in lab.calls)


def test_ctrl_c_while_the_folder_is_copied(lab: Lab) -> None:
    """It is copied to its end, and everything is taken down; the exit code says that the command was interrupted."""
    (lab.folder / "copying").write_text("1")
    process = lab.start()
    eventually(lambda: lab.asked("cp"), "the folder is copied")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert (lab.out / RUN).is_dir()
    assert (lab.left, lab.rubbish) == ([], [])


@pytest.mark.parametrize("command", [["run", "smoke", "--stack", "compose"], ["compose", "up"]])
def test_a_log_that_an_error_names_is_there(lab: Lab, command: list[str]) -> None:
    """It has more lines than the error."""
    (lab.folder / "unbuilt").touch()
    process = lab.command(*command)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 4
    (folder,) = lab.rubbish
    log = lab.folder / "tmp" / folder / "build.log"
    assert errors == f"loadtest: build ended with exit code 1 (log: {log})\n  build: no such image\n"
    assert log.read_text() == "no such image\n"


def test_a_master_that_still_runs_has_no_exit_code(lab: Lab) -> None:
    """When nobody can wait for it any more, as the engine was restarted, nothing is concluded; least of all that it passed."""
    code, _, errors = lab.run({"lost": ""})
    assert code == 3
    assert errors == "loadtest: docker wait: ended with exit code 1, but the master is running\n"
    assert lab.left == []


def test_an_engine_that_dies_ends_the_run(lab: Lab) -> None:
    """It says what is left; nothing is run again on this machine, for the load had begun."""
    code, output, errors = lab.run({"dies": ""}, "--stack", "auto")
    assert code == 3
    assert "embedded" not in output
    left, lost = (line for line in errors.splitlines() if line.startswith("loadtest: "))  # the engine has a word of its own
    assert left.startswith(f"loadtest: containers of project {lab.project} are left (make down): docker ps: Cannot connect")
    assert lost == "loadtest: lost the load's containers: docker inspect: Cannot connect to the Docker daemon"


def test_results_that_cannot_be_written_are_known_at_once(lab: Lab) -> None:
    """Not when the load is over."""
    lab.out.write_text("a file")
    code, _, errors = lab.run({})
    assert code == 2
    assert errors == f"loadtest: results folder {lab.out}: cannot be written: File exists\n"
    assert not lab.asked("ps")


def test_nobody_has_to_have_containers(lab: Lab) -> None:
    """Where nobody asked for them and they do not come up, the stack is embedded, and the run says so and why."""
    (lab.folder / "broken").write_text("postgres")
    del lab.env["TMPDIR"]  # the user that PostgreSQL runs as, when a test is root's, cannot get there
    process = lab.start("--stack", "auto", "--users", "4", "--duration", "3s")
    output, _ = process.communicate(timeout=120)
    assert "stack: auto picks compose, for docker answers" in output
    assert "stack: embedded after all, for the containers did not come up: postgres ended with exit code 7" in output
    assert "stack: ready at http://127.0.0.1:" in output
    assert lab.left == []
