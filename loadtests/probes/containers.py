"""The first process of a container of this machine, as Docker or Podman knows it."""

import shutil
import subprocess

import psutil

from loadtests.probes.process import GoneError

ENGINES = ("docker", "podman")
TIMEOUT_S = 2.0


def engines() -> list[str]:
    """The programs that this machine has to ask."""
    return [found for found in map(shutil.which, ENGINES) if found]


class Container:
    """Knows a container's process id and asks again when that process is gone: a restarted container has another one."""

    def __init__(self, name: str, programs: list[str]) -> None:
        self._name, self._programs = name, programs
        self._process: psutil.Process | None = None

    def __call__(self) -> int:
        """The id. Raises GoneError when no engine knows a running container of that name, or it does not answer."""
        if self._process is None or not self._process.is_running():
            self._process = self._find()
        return self._process.pid

    def _find(self) -> psutil.Process:
        troubles = []
        for program in self._programs:
            try:
                return _leader(program, self._name)
            except GoneError as error:
                troubles.append(str(error))
        raise GoneError("; ".join(troubles))


def _leader(program: str, name: str) -> psutil.Process:
    command = [program, "inspect", "--type", "container", "-f", "{{.State.Pid}}", "--", name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise GoneError(f"{program}: no answer within {TIMEOUT_S:g} s") from None
    except OSError as error:
        raise GoneError(f"{program}: {error.strerror}") from error
    said = (done.stderr if done.returncode else done.stdout).strip()
    if done.returncode or not said.isdecimal():
        raise GoneError(f"{program}: {said.splitlines()[-1] if said else 'it said nothing'}")
    if said == "0":
        raise GoneError(f"{program}: {name} does not run")
    try:
        return psutil.Process(int(said))
    except psutil.NoSuchProcess:
        raise GoneError(f"{program}: process {said} of {name} is not on this machine (is the engine in another?)") from None
