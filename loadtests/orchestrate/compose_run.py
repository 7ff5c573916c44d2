"""One run in containers: the stack, a master and its workers brought up, the run's folder brought out, all of it taken down.

The master's container runs the same command as a machine without containers would (docker-compose.yml), and judges. Nothing is
measured here: its output, its verdict and its exit code are passed on.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from loadtests import settings
from loadtests.errors import InputError, NotReadyError, RunError
from loadtests.exitcodes import ExitCode
from loadtests.orchestrate.compose import LOAD, ROOT, STACK, Project, compose_file, secrets_path, work_folder
from loadtests.orchestrate.definition import Definition, half_the_cores, read_definition
from loadtests.orchestrate.engines import WORK_S, Engine, EngineError, EngineRefusal
from loadtests.orchestrate.processes import ProcessManager
from loadtests.orchestrate.secrets_file import make_secrets
from loadtests.orchestrate.signals import Interruptions
from loadtests.scenario.plan import Plan
from loadtests.settings import Overrides
from loadtests.store.folder import LATEST, RunFolder, point_latest
from loadtests.store.manifest import commit_of

IN_IMAGE = ("scenarios", "suites")
"""Folders of the checkout that the image has."""
DEFINITION = "backend/stack.toml"
HTTP_PORT = 8000
INFLUX = "http://influxdb:8086"
LAST_WORDS_S = 5.0
"""How long after the master's end its output may still come."""
GOING_ON = ("created", "running", "paused", "restarting")
"""States of a container that has not ended, whose exit code is 0 all the same."""
SERVICES = tuple(name for group in STACK for name in group)


@dataclass(frozen=True)
class Asked:
    """What a run in containers is asked for."""

    scenario: Path
    workers: int
    out: Path
    overrides: Overrides
    influx: str | None = None
    """Where metrics go, as a container sees it; None: to the project's own InfluxDB, if it runs."""


class ComposeRun:
    """Carries one plan out in containers."""

    def __init__(self, plan: Plan, asked: Asked, engine: Engine, console: Console) -> None:
        self._plan, self._asked, self._engine, self._console = plan, asked, engine, console
        self._interruptions = Interruptions()
        self._told = 0
        self._processes: ProcessManager

    def execute(self) -> ExitCode:
        """Bring up, run, bring out, take down; the master's exit code. Raises LoadtestError when it cannot be carried out."""
        scenario = inside(self._asked.scenario)
        compose_file()
        _check_out(self._asked.out)
        if make_secrets(secrets_path()):
            self._say(f"stack: wrote {secrets_path()} with new secrets")
        with work_folder() as work:
            code = self._in(work, scenario)
        return ExitCode.INTERRUPTED if self._interruptions.received else code

    def _in(self, work: Path, scenario: Path) -> ExitCode:
        with self._interruptions.handled(NotReadyError, RunError), ProcessManager(work) as self._processes:
            self._interruptions.tell(self._processes)
            project = Project(self._engine, self._processes, os.environ)
            if not self._processes.ports.claim(f"project-{project.name}"):
                raise InputError(_second(project))
            project.refuse_others()
            self._refuse_a_second_one(project)
            influx = self._asked.influx or (INFLUX if project.containers("influxdb", running=True) else "")
            project = Project(self._engine, self._processes, {**os.environ, **self._variables(scenario, influx)})
            before = [service for service in SERVICES if project.containers(service, running=True)]
            try:
                return self._carry_out(project, before, work)
            finally:
                self._processes.stop_all()  # a compose command that was interrupted
                self._take_down(project, [service for service in SERVICES if service not in before])

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=True)
        self._console.file.flush()  # the master writes to the same terminal

    def _variables(self, scenario: Path, influx: str) -> dict[str, str]:
        """What docker-compose.yml is filled in with, beside the secrets and the caller's environment."""
        asked, load = self._asked, self._plan.scenario.load
        chosen = stack_settings(read_definition(ROOT / DEFINITION), self._plan.scenario.stack.env)
        port = os.environ.get("HTTP_PORT") or str(self._processes.ports.choose(HTTP_PORT))
        given = {name: getattr(asked.overrides, name) or "" for name in ("users", "duration", "seed", "speed")}
        return {
            **chosen,
            **{f"{settings.ENV_PREFIX}{name.upper()}": value for name, value in given.items()},
            "LOADTEST_SCENARIO": scenario.as_posix(),
            "LOADTEST_WORKERS": str(asked.workers),
            "SEED_USERS": str(load.users),
            "HTTP_PORT": port,
            settings.INFLUX_URL: influx,
            settings.COMMIT: os.environ.get(settings.COMMIT) or commit_of(ROOT) or "",
        }

    def _refuse_a_second_one(self, project: Project) -> None:
        if project.containers(*LOAD, running=True):
            raise InputError(_second(project))
        project.remove(LOAD)  # of an earlier run by hand

    def _carry_out(self, project: Project, before: list[str], work: Path) -> ExitCode:
        kept = f"; {', '.join(before)} run already, and stay as they are" if before else ""
        self._say(f"stack: compose ({self._engine.program}), project {project.name}; building the images{kept}")
        project.build(*(name for name in ("api", "nginx", "locust-master") if name not in before))
        project.bring_up(STACK, self._say)
        self._say(f"load: {self._asked.workers} worker(s) in containers")
        project.start(*LOAD)
        self._processes.interrupted = None  # from now on it is the master who is told
        try:
            (master,) = project.containers("locust-master")
            code = self._follow(project, master)
            return self._end(code, self._bring_out(project, master, work), project, master)
        except EngineError as error:  # not one of the stack, which was ready: nobody should try again elsewhere
            raise RunError(f"lost the load's containers: {error}") from error

    def _follow(self, project: Project, master: str) -> int:
        """The master's output to its end, signals passed on; its exit code."""
        engine = self._engine.program
        logs = subprocess.Popen([engine, "logs", "--follow", master], stdin=subprocess.DEVNULL, text=True, process_group=0)
        waiting = subprocess.Popen(
            [engine, "wait", master], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, process_group=0
        )
        try:
            while waiting.poll() is None:
                for number in self._interruptions.received[self._told :]:
                    self._told += 1
                    with suppress(EngineRefusal):  # it has just ended
                        self._engine.say("kill", "--signal", number.name.removeprefix("SIG"), master)
                with suppress(subprocess.TimeoutExpired):
                    waiting.wait(0.1)
            with suppress(subprocess.TimeoutExpired):
                logs.wait(LAST_WORDS_S)
        finally:
            for process in (logs, waiting):
                process.kill()
                process.wait()
        status, code, _ = project.state(master)
        if status in GOING_ON:  # the engine was restarted, or its client was ended: nothing may be concluded
            raise RunError(f"{engine} wait: ended with exit code {waiting.returncode}, but the master is {status}")
        return code

    def _bring_out(self, project: Project, master: str, work: Path) -> RunFolder | None:
        """The run's folder, copied to `out` with the containers' logs; None when the master made none."""
        copied = work / "results"
        copied.mkdir()
        self._engine.say("cp", f"{master}:/results/.", str(copied), within_s=WORK_S)
        folders = [path for path in copied.iterdir() if path.is_dir() and not path.is_symlink()]
        judged = (copied / LATEST).is_symlink()
        if not folders:
            return None
        out = self._asked.out
        try:
            folder = RunFolder(Path(shutil.move(folders[0], out / folders[0].name)))
            self._keep_logs(project, folder.path / "logs")
        except OSError as error:  # shutil's own has no strerror
            why = error.strerror or error
            raise RunError(f"results folder {out}: cannot be written: {why} (the run's folder: {folders[0]})") from error
        if judged:
            point_latest(folder)
        return folder

    def _keep_logs(self, project: Project, logs: Path) -> None:
        """What the containers said, each in a file of its own, beside the logs of the master's processes."""
        for service in (*SERVICES, *LOAD):
            for number, container in enumerate(project.containers(service), 1):
                (logs / f"container-{service}-{number}.log").write_text(project.log(container), encoding="utf-8")

    def _end(self, code: int, folder: RunFolder | None, project: Project, master: str) -> ExitCode:
        if folder is not None:
            self._say(f"results: {folder.path}")
        if code in list(ExitCode):
            return ExitCode(code)
        raise RunError(f"the master's container ended with exit code {code} (137: it was killed)\n{project.tail(master)}")

    def _take_down(self, project: Project, services: list[str]) -> None:
        """Remove what this run has started; who is interrupted once more must still leave nothing behind."""
        self._processes.interrupted = None
        try:
            project.remove((*LOAD, *services))
        except NotReadyError as error:
            print(f"loadtest: containers of project {project.name} are left (make down): {error}", file=sys.stderr)


def _check_out(out: Path) -> None:
    """Before a load that may take hours. Raises InputError."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise InputError(f"results folder {out}: cannot be written: {error.strerror}") from error


def _second(project: Project) -> str:
    return (
        f"--stack compose: a load is under way in project {project.name} already; wait for its end, end it by "
        "make down, or give COMPOSE_PROJECT_NAME another name"
    )


def inside(scenario: Path) -> Path:
    """Where the image has the scenario. Raises InputError when it has not."""
    with suppress(ValueError):
        path = scenario.resolve().relative_to(ROOT.resolve())
        if path.parts[0] in IN_IMAGE:
            return path
    folders = " and ".join(f"{name}/" for name in IN_IMAGE)
    raise InputError(
        f"--stack compose: scenario {scenario} is not in the image, which has {folders} of {ROOT}; "
        "put it there, with the files that it names"
    )


def stack_settings(definition: Definition, tunables: Mapping[str, str]) -> dict[str, str]:
    """Settings of the stack as the embedded one would have them: the caller's environment, the scenario's, the defaults."""
    found = {**definition.defaults, **tunables}
    found = {name: os.environ.get(name, value) for name, value in found.items()}
    # There is always nginx, and nothing in a container outlives it.
    found["API_INSTANCES"] = found["API_INSTANCES"].replace("$HALF_THE_CORES", half_the_cores())
    found["ACCESS_LOG"] = os.environ.get("ACCESS_LOG") or "/dev/null"
    return found
