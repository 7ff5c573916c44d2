"""Known vulnerabilities of everything in lock files: `python scripts/audit.py PIP_AUDIT LOCK ... [--optional]`.

pip-audit ends with 0, and says that it found nothing, also when the service knew none of the packages: a mirror answers like
that. So its report is read, and what nobody could say anything about is not taken for sound. Exit codes: 0 nothing is known
against any package, 1 something is, 4 it could not be found out (0 with `--optional`, for places without such a service).
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SERVICES = ("pypi", "osv")
"""In this order; the second is asked where the first cannot say everything."""
CLEAN, FOUND, UNKNOWN = 0, 1, 4
WITHIN_S = 300.0


@dataclass(frozen=True)
class Audit:
    """What one service said of one lock file."""

    packages: int
    findings: tuple[str, ...] = ()
    unaudited: tuple[str, ...] = ()
    trouble: str = ""

    @property
    def complete(self) -> bool:
        """Whether it spoke of every package, and there were some."""
        return bool(self.packages) and not self.unaudited and not self.trouble


def main(arguments: Sequence[str] | None = None) -> int:
    """Audit every lock file, and say what came out of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("program", help="the pip-audit to run")
    parser.add_argument("locks", nargs="+", type=Path)
    parser.add_argument("--optional", action="store_true", help="a service that cannot be reached is no failure")
    options = parser.parse_args(arguments)
    codes = [_report(lock, audit(options.program, lock)) for lock in options.locks]
    if FOUND in codes:
        return FOUND
    if UNKNOWN in codes:
        print(
            "audit: NOT DONE: no vulnerability service said something of every package; nothing is proved by this",
            file=sys.stderr,
        )
        return CLEAN if options.optional else UNKNOWN
    return CLEAN


def audit(program: str, lock: Path) -> Audit:
    """What the first service says that knows everything; else what the first one says that found or knew something."""
    said = []
    for service in SERVICES:
        said.append(ask(program, lock, service))
        if said[-1].complete or said[-1].findings:
            return said[-1]
    return max(said, key=lambda one: one.packages - len(one.unaudited))


def ask(program: str, lock: Path, service: str) -> Audit:
    """What one service says. Its trouble is that of the program: not there, not in time, or without a report."""
    command = [
        program,
        "-r",
        str(lock),
        "--require-hashes",
        "--disable-pip",
        "-s",
        service,
        "-f",
        "json",
        "--progress-spinner",
        "off",
    ]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False, timeout=WITHIN_S, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        return Audit(0, trouble=f"{service} did not answer within {WITHIN_S:g} s")
    except OSError as error:
        return Audit(0, trouble=f"{program}: {error.strerror}")
    try:
        return judge(json.loads(done.stdout))
    except (ValueError, LookupError, TypeError, AttributeError):  # no report, or one of another form
        last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        return Audit(0, trouble=f"{service}: {last[0]}")


def judge(report: dict[str, Any]) -> Audit:
    """Findings, and what was passed over, of pip-audit's report."""
    packages = report["dependencies"]
    findings = tuple(
        f"{one['name']} {one['version']}: {found['id']}, mended in {', '.join(found['fix_versions']) or 'no version'}"
        for one in packages
        for found in one.get("vulns", ())
    )
    return Audit(len(packages), findings, tuple(one["name"] for one in packages if "skip_reason" in one))


def _report(lock: Path, found: Audit) -> int:
    audited = found.packages - len(found.unaudited)
    print(f"audit: {lock}: {audited} of {found.packages} packages audited, {len(found.findings)} known vulnerabilities")
    for line in found.findings:
        print(f"audit: {lock}: {line}", file=sys.stderr)
    if found.trouble:
        print(f"audit: {lock}: {found.trouble}", file=sys.stderr)
    return FOUND if found.findings else CLEAN if found.complete else UNKNOWN


if __name__ == "__main__":
    sys.exit(main())
