"""What was run, with what and on which machine: written before anything is started."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from loadtests import __version__, settings
from loadtests.errors import RunError
from loadtests.store.folder import RunFolder
from loadtests.store.records import read_json, write_json

VERSION = 3
PACKAGES = ("locust", "gevent", "geventhttpclient", "hdrhistogram")


def write_manifest(folder: RunFolder, plan: dict[str, Any], plan_hash: str, how: dict[str, Any]) -> None:
    """Write `manifest.json`; `how` says workers, stack, host and whatever else of the run is not in its plan.

    Secrets are in neither, so none gets here.
    """
    write_json(
        folder.file("manifest.json"),
        {
            "version": VERSION,
            "run_id": folder.run_id,
            "created": datetime.now(UTC).isoformat(),
            "harness": __version__,
            "commit": commit_of(Path(__file__).parent) or os.environ.get(settings.COMMIT) or None,
            **how,
            "machine": _machine(),
            "packages": {name: _version(name) for name in PACKAGES},
            "plan_hash": plan_hash,
            "plan": plan,
        },
    )


def read_manifest(folder: RunFolder) -> dict[str, Any]:
    """The manifest. Raises RunError when it is missing or of another version."""
    path = folder.file("manifest.json")
    manifest = read_json(path)
    if manifest.get("version") != VERSION:
        raise RunError(f"{path}: is of version {manifest.get('version')}, this harness reads version {VERSION}")
    return manifest


def _machine() -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "cpus": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def commit_of(folder: Path) -> str | None:
    """The commit of the checkout that a folder belongs to, `-dirty` when something of it was changed; None outside of one."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=5,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
