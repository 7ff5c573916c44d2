"""The audit of lock files does not take silence for soundness."""

import json
from pathlib import Path
from typing import Any

import pytest

from scripts.audit import main

CLEAN = {"name": "six", "version": "1.17.0", "vulns": []}
BAD = {"name": "old", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"], "aliases": [], "description": ""}]}
SKIPPED = {"name": "own", "skip_reason": "Dependency not found on PyPI and could not be audited: own (1.0)"}


def program(folder: Path, pypi: str, osv: str = "exit 1") -> str:
    """A pip-audit that says this of the two services."""
    file = folder / "pip-audit"
    file.write_text(f'#!/bin/sh\ncase "$*" in *"-s pypi"*) {pypi};; *) {osv};; esac\n')
    file.chmod(0o755)
    return str(file)


def says(*packages: dict[str, Any], code: int = 0) -> str:
    """What prints its report of these packages."""
    return f"echo '{json.dumps({'dependencies': packages, 'fixes': []})}'; exit {code}"


@pytest.mark.parametrize(
    ("pypi", "osv", "code", "words"),
    [
        pytest.param(says(CLEAN), "exit 1", 0, "1 of 1 packages audited, 0 known", id="nothing is known"),
        pytest.param(says(CLEAN, BAD, code=1), "exit 1", 1, "old 1.0: PYSEC-1, mended in 1.1", id="a finding"),
        pytest.param(says(SKIPPED, BAD, code=1), "exit 1", 1, "PYSEC-1", id="a finding among what is not known"),
        pytest.param(says(SKIPPED), says(SKIPPED), 4, "0 of 1 packages audited", id="a mirror, which says nothing and 0"),
        pytest.param(says(SKIPPED, CLEAN), "exit 1", 4, "1 of 2 packages audited", id="half of it"),
        pytest.param(says(SKIPPED), says(CLEAN), 0, "1 of 1 packages audited", id="the other service knows"),
        pytest.param("echo no route >&2; exit 1", "echo no name >&2; exit 1", 4, "pypi: no route", id="no service"),
        pytest.param("echo '{}'", "echo '[7]'", 4, "pypi: exit code 0", id="a report of another form"),
        pytest.param(r"printf '\377'; exit 1", "exit 1", 4, "pypi: exit code 1", id="no text"),
        pytest.param(says(), "exit 1", 4, "0 of 0 packages audited", id="an empty report"),
    ],
)
def test_what_an_audit_comes_to(
    pypi: str, osv: str, code: int, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """0 only when every package was audited; findings win over what is not known."""
    arguments = [program(tmp_path, pypi, osv), "some.lock"]
    assert main(arguments) == code
    said = capsys.readouterr()
    assert words in said.out + said.err
    assert ("NOT DONE" in said.err) == (code == 4)
    assert main([*arguments, "--optional"]) == (0 if code == 4 else code)


def test_program_that_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing was audited, and that is said."""
    assert main([str(tmp_path / "none"), "some.lock"]) == 4
    assert "No such file" in capsys.readouterr().err
