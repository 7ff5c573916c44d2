"""docker-compose.yml's project: what of it runs, bringing it up in order, taking it down.

Who waits for whom stands in the file too, for those who start it by hand; but podman-compose obeys it with newer engines only,
and an engine without systemd runs no health check by itself. So services are started in groups, and asked for their health.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import loadtests
from loadtests.errors import InputError, LoadtestError, NotReadyError
from loadtests.orchestrate.engines import WORK_S, Engine, EngineError, ask
from loadtests.orchestrate.processes import TAIL_LINES, ProcessManager

ROOT = Path(loadtests.__file__).parents[1]
FILE = "docker-compose.yml"
SECRETS = ".env"
PROJECT = "loadtest"
LABEL = "com.docker.compose"
PROFILES = ("stack", "load", "metrics")
STACK = (("postgres", "redis"), ("migrate",), ("api", "worker", "relay"), ("nginx",))
"""What is started together; each group when the one before it is healthy."""
METRICS = (("influxdb",), ("grafana",))
ONCE = ("migrate",)
"""Services that do their work and end."""
LOAD = ("locust-master", "locust-worker")
THROWAWAY = (*(name for group in STACK for name in group), *LOAD)
"""Services whose volumes go with their containers."""
HEALTHY_WITHIN_S = 120.0
RESTARTS = 3
"""A container that was restarted so often will not come up."""
POLL_S = 0.5


class Project:
    """One compose project on one engine."""

    def __init__(self, engine: Engine, processes: ProcessManager, env: Mapping[str, str]) -> None:
        """`env` is what the file's variables are filled in from, beside `.env`."""
        self.engine, self._processes = engine, processes
        self.name = env.get("COMPOSE_PROJECT_NAME") or PROJECT
        self._env = {**env, "COMPOSE_PROJECT_NAME": self.name}
        # COMPOSE_FILE names it, and files that change it, as compose itself has it.
        where = [] if env.get("COMPOSE_FILE") else ["-f", str(ROOT / FILE)]
        profiles = [part for profile in PROFILES for part in ("--profile", profile)]
        self._compose = [*engine.compose, *where, *profiles]

    def build(self, *services: str) -> None:
        """Build the images of the services. Raises NotReadyError with the log's end."""
        self._processes.run("build", [*self._compose, "build", *services], env=self._env, cwd=ROOT)

    def start(self, *services: str) -> None:
        """Create and start containers of the services; what they depend on is the caller's concern. Raises NotReadyError."""
        command = [*self._compose, "up", "--detach", "--no-build", "--no-deps", *services]
        self._processes.run(f"up-{services[0]}", command, env=self._env, cwd=ROOT)

    def containers(self, *services: str, running: bool = False) -> list[str]:
        """Ids of the containers of the services, or of the whole project; of all of them, or of those that run."""
        project = ["--filter", f"label={LABEL}.project={self.name}"]
        asked = ["ps", "--no-trunc", "--quiet", *([] if running else ["--all"]), *project]
        found: list[str] = []
        for service in services or ("",):
            named = ["--filter", f"label={LABEL}.service={service}"] if service else []
            found += self.engine.say(*asked, *named).split()
        return found

    def refuse_others(self) -> None:
        """A stack of another checkout has other secrets, and other images. Raises InputError when the name is that of one."""
        form = f'{{{{index .Config.Labels "{LABEL}.project.working_dir"}}}}'
        ids, here = self.containers(), secrets_path().parent.resolve()
        for folder in self.engine.say("inspect", "--format", form, *ids).splitlines() if ids else ():
            if folder and Path(folder).resolve() != here:
                raise InputError(
                    f"project {self.name}: has containers of another checkout, {folder}; end them there by make down, "
                    "or give COMPOSE_PROJECT_NAME another name"
                )

    def bring_up(self, groups: Iterable[Sequence[str]], status: Callable[[str], None]) -> None:
        """Start what does not run yet, group by group. Raises NotReadyError."""
        for group in groups:
            for service in group:
                if service in ONCE:
                    self._run_once(service)
            missing = [name for name in group if name not in ONCE and not self.containers(name, running=True)]
            if missing:
                status(f"stack: starting {', '.join(missing)}")
                self.start(*missing)
            for service in group:
                if service not in ONCE:
                    self._wait_healthy(service)

    def remove(self, services: Iterable[str]) -> None:
        """Remove the services' containers, with their volumes where these are throwaway; networks too when nothing is left."""
        ids: list[str] = []
        volumes: list[str] = []
        for service in services:
            own = self.containers(service)
            ids += own
            if service in THROWAWAY:
                volumes += [name for one in own for name in self._volumes(one)]
        if ids:
            # Podman would give each ten seconds, one after the other; nothing of theirs is needed any more.
            with suppress(EngineError):  # one that is stopped, or was never started, need not be
                self.engine.say("stop", "-t", "1", *ids, within_s=WORK_S)
            self.engine.say("rm", "--force", "--volumes", *ids, within_s=WORK_S)
        for volume in volumes:
            with suppress(EngineError):  # an anonymous one went with its container
                self.engine.say("volume", "rm", volume)
        if not self.containers():
            self._remove("network")

    def remove_kept(self) -> None:
        """Remove the volumes of services whose data outlives their containers."""
        self._remove("volume")

    def log(self, container: str) -> str:
        """What a container said."""
        done = ask([self.engine.program, "logs", container], WORK_S)
        return done.stdout + done.stderr

    def tail(self, container: str) -> str:
        """The last of it, as an error message shows it."""
        return "\n".join(f"  {line}" for line in self.log(container).strip().splitlines()[-TAIL_LINES:])

    def state(self, container: str) -> tuple[str, int, int]:
        """Its status (`running`, `exited` ...), exit code, and how often it was restarted."""
        said = self.engine.say("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}}", container)
        status, code, restarts = said.split()
        return status, int(code), int(restarts)

    def _remove(self, kind: str) -> None:
        for name in self.engine.say(kind, "ls", "--quiet", "--filter", f"label={LABEL}.project={self.name}").split():
            self.engine.say(kind, "rm", name)

    def _volumes(self, container: str) -> list[str]:
        form = '{{range .Mounts}}{{if eq .Type "volume"}}{{.Name}} {{end}}{{end}}'
        return self.engine.say("inspect", "--format", form, container).split()

    def _run_once(self, service: str) -> None:
        """Start a service that ends, anew, and wait for its end."""
        for old in self.containers(service):
            self.engine.say("rm", "--force", old)
        self.start(service)
        (container,) = self.containers(service)
        while (state := self.state(container))[0] not in ("exited", "dead"):
            self._processes.pause(POLL_S)
        if state[1]:
            raise NotReadyError(f"{service} ended with exit code {state[1]}\n{self.tail(container)}")

    def _wait_healthy(self, service: str) -> None:
        began = time.monotonic()  # asking takes its time too
        for container in self.containers(service):
            while not self._healthy(container):
                status, code, restarts = self.state(container)
                if status in ("exited", "dead") or restarts >= RESTARTS:
                    raise NotReadyError(f"{service} ended with exit code {code} before it was healthy\n{self.tail(container)}")
                if (waited_s := time.monotonic() - began) > HEALTHY_WITHIN_S:
                    raise NotReadyError(f"{service}: not healthy after {waited_s:.0f} s\n{self.tail(container)}")
                self._processes.pause(POLL_S)

    def _healthy(self, container: str) -> bool:
        """Docker says what its own checks found; Podman is told to check."""
        if self.engine.program == "podman":
            return ask(["podman", "healthcheck", "run", container]).returncode == 0
        return self.engine.say("inspect", "--format", "{{.State.Health.Status}}", container) == "healthy"


@contextmanager
def work_folder() -> Iterator[Path]:
    """A temporary folder, which stays when an error names something in it: a log, a run's folder, for somebody to read."""
    folder = Path(tempfile.mkdtemp(prefix="loadtest-compose-"))
    keep = False
    try:
        yield folder
    except LoadtestError as error:
        keep = str(folder) in str(error)
        raise
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def compose_file() -> Path:
    """The file of the project, in the checkout that the harness runs from. Raises InputError without one."""
    path = ROOT / FILE
    if not path.is_file():
        raise InputError(f"{path}: is missing: containers are brought up from a checkout only")
    return path


def secrets_path() -> Path:
    """Where compose looks for the secrets: beside the first file it reads, in what it calls the project's folder."""
    first = os.environ.get("COMPOSE_FILE", "").split(os.pathsep)[0]
    return (ROOT / first).parent / SECRETS if first else ROOT / SECRETS
