"""Real runs compared: of the same settings, and of others."""

import json
import shutil
from pathlib import Path

from tests.e2e.command import loadtest, run
from tests.e2e.conftest import HOSTED, Target


def test_runs_of_one_load_compare_and_those_of_another_are_refused(target: Target, out: Path, tmp_path: Path) -> None:
    """Exit code 0 for two runs alike, whatever their noise; 2 for another number of users, which is named."""
    commands = []
    for number, users in enumerate(("10", "10", "12")):
        flags = ("--users", users, "--duration", "3s", "--workers", "1", "--host", target.host)
        commands.append(run(HOSTED, *flags, out=out / str(number), env=target.env))
    folders = [command.finish().folder for command in commands]
    page = tmp_path / "compare.md"
    alike = loadtest("compare", str(out / "0"), str(folders[1]), "--out", str(page), out=out)
    assert alike.code == 0, alike.output + alike.errors
    assert "service_time(list_tasks).p95" in alike.output and "NO REGRESSION KNOWN" in alike.output.splitlines()[-1]
    assert page.read_text().startswith("## NO REGRESSION KNOWN: hosted")
    other = loadtest("compare", str(folders[0]), str(folders[2]), out=out)
    assert (other.code, other.output) == (2, "")
    assert other.errors.startswith("loadtest: not comparable: load.users 10 against 12 (")
    across = loadtest("compare", str(folders[0]), str(folders[2]), "--across", "load.users", "--json", out=out)
    assert across.code == 0, across.errors
    assert json.loads(across.output)["notes"][0] == "compared across load.users 10 against 12"


def test_what_is_no_run_is_one_line(out: Path) -> None:
    """A folder without runs, and a share that is none."""
    out.mkdir()
    nothing = loadtest("compare", str(out), str(out), out=out)
    assert (nothing.code, nothing.errors.count("\n")) == (2, 1)
    share = loadtest("compare", str(out), str(out), "--least", "5", out=out)
    assert (share.code, share.errors) == (2, "loadtest: --least: '5' is not a quantity in % (write e.g. '5%')\n")
    shutil.rmtree(out)
