"""A stand-in for `docker`: answers what the command asks of an engine, from a folder of files; runs nothing.

The folder (SCRIPTED_DOCKER) has one file `ID` for each container: its service. `calls` lists what was asked, `code` is the exit
code of the master, `results/` what it made, `wait` how long it runs, `broken` a service that ends at once; with `lost` nobody
can wait for the master to its end, with `dies` the engine is gone while it runs; `copying` is how long its folder is copied;
`folder` is where the project's file lies; with `unbuilt` no image can be built, `building`
is how long that takes.
"""

import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(os.environ["SCRIPTED_DOCKER"])
CONTAINERS = HERE / "containers"


def _read(name: str, default: str) -> str:
    path = HERE / name
    return path.read_text().strip() if path.exists() else default


def _up(services: list[str]) -> int:
    for service in services:
        (CONTAINERS / f"id-{service}").write_text(service)
    return 0


def _ps(arguments: list[str]) -> int:
    wanted = [one.rpartition("=")[2] for one in arguments if one.startswith("label=com.docker.compose.service=")]
    for file in sorted(CONTAINERS.iterdir()):
        stopped = file.read_text() in {"migrate", _read("broken", "")}
        if (not wanted or file.read_text() in wanted) and ("--all" in arguments or not stopped):
            print(file.name)
    return 0


def _inspect(arguments: list[str]) -> int:
    service = (CONTAINERS / arguments[-1]).read_text()
    if "working_dir" in arguments[1]:
        print("\n".join(_read("folder", "") for _ in arguments[2:]))
        return 0
    if "Mounts" in arguments[1]:
        print("")
    elif "Health" in arguments[1]:
        print("starting" if service == _read("broken", "") else "healthy")
    elif service == _read("broken", ""):
        print("exited 7 0")
    elif service == "locust-master" and (HERE / "lost").exists():
        print("running 0 0")
    elif service == "locust-master":
        print(f"exited {_read('code', '0')} 0")
    else:
        print("exited 0 0" if service == "migrate" else "running 0 0")
    return 0


def _wait() -> int:
    if (HERE / "lost").exists() or (HERE / "dies").exists():
        if (HERE / "dies").exists():
            (HERE / "dead").touch()
        return 1
    end = time.monotonic() + float(_read("wait", "0"))
    while time.monotonic() < end and not (HERE / "killed").exists():
        time.sleep(0.05)
    print(_read("code", "0"))
    return 0


def _compose(arguments: list[str]) -> int:
    if "build" in arguments and (HERE / "unbuilt").exists():
        print("no such image")
        return 1
    if "build" in arguments:
        time.sleep(float(_read("building", "0")))
    return _up(arguments[arguments.index("--no-deps") + 1 :]) if "up" in arguments else 0


def _copy(arguments: list[str]) -> int:
    time.sleep(float(_read("copying", "0")))
    shutil.copytree(HERE / "results", arguments[-1], symlinks=True, dirs_exist_ok=True)
    return 0


def _remove(arguments: list[str]) -> int:
    for name in (one for one in arguments if one.startswith("id-")):
        (CONTAINERS / name).unlink()
    return 0


def _kill(arguments: list[str]) -> int:
    (HERE / "killed").write_text(arguments[1])
    return 0


def _say(text: str) -> int:
    print(text)
    return 0


def main() -> int:
    """Answer one call."""
    command, *rest = sys.argv[1:]
    if (HERE / "dead").exists():
        print("Cannot connect to the Docker daemon", file=sys.stderr)
        return 1
    with (HERE / "calls").open("a") as calls:
        calls.write(f"{' '.join(sys.argv[1:])}\n")
    known: dict[str, Callable[[list[str]], int]]
    known = {"compose": _compose, "ps": _ps, "inspect": _inspect, "cp": _copy, "kill": _kill, "rm": _remove}
    known |= {
        "wait": lambda _: _wait(),
        "version": lambda _: _say("28.2.2"),
        "logs": lambda asked: _say(f"said by {asked[-1]}"),
    }
    known |= {"stop": lambda _: 0, "network": lambda asked: _say("loadtest_stack") if asked[0] == "ls" else 0}
    return known[command](rest)


if __name__ == "__main__":
    sys.exit(main())
