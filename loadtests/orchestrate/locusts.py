"""How this machine's processes of Locust are started, by a run or to join one."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import loadtests

LOCUSTFILE = Path(loadtests.__file__).with_name("locustfile.py")


def locust() -> list[str]:
    """The beginning of the command line."""
    return [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE)]


def locust_env(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment; Locust would take options from LOCUST_*, but a run's options are its plan's alone."""
    inherited = {name: value for name, value in environ.items() if not name.startswith("LOCUST_")}
    path = os.pathsep.join(filter(None, [str(LOCUSTFILE.parents[1]), inherited.get("PYTHONPATH")]))
    return {**inherited, "PYTHONPATH": path}
