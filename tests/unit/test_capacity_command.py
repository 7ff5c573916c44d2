"""What `loadtest capacity` refuses, in one line each, before anything is started."""

import json
from pathlib import Path

import pytest

from loadtests.cli import main
from tests.unit.texts import BASE, write_scenario

NOBODY_THERE = ("--host", "http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--start", "500"), "--start: '500' is not a quantity in /s, /m (write e.g. '500/s')"),
        (("--start", "0/s"), "--start: must be above 0 (got '0/s')"),
        (("--start", "500/s", "--highest", "100/s"), "capacity: the rate to start at, 500/s, must be within 8/s and 100/s"),
        (("--precision", "0%"), "--precision: must be above 0 % and not above 100 % (got '0%')"),
        (("--precision", "0.05"), "--precision: '0.05' is not a quantity in % (write e.g. '5%')"),
        (("--step", "10"), "--step: '10' is not a duration (write e.g. '30s', '500ms' or '1h30m')"),
        (("--plateau", "500ms"), "--plateau: must be at least 1 s (got '500ms')"),
        (("--env", "API_INSTANCES"), "--env: must be NAME=VALUE, such as API_INSTANCES=2 (got 'API_INSTANCES')"),
        (("--env", "API_INSTANCE=2"), "--env: API_INSTANCE: no setting of backend/stack.toml (there are: ACCESS_LOG, "),
        (("--env", "API_INSTANCES=2", *NOBODY_THERE), "--env: settings are those of a stack that this command starts"),
        (("spike",), "scenario spike: a capacity search needs a load of one rate"),
        (("nonesuch",), "scenario 'nonesuch' is unknown"),
    ],
)
def test_bad_arguments(
    arguments: tuple[str, ...], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 2, and no results folder."""
    monkeypatch.chdir(Path(__file__).parents[2])
    assert main(["capacity", *arguments, "--out", str(tmp_path / "results")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"loadtest: {says}")
    assert not (tmp_path / "results").exists()


def test_a_target_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 4; the file says why nothing is known, and there is no page of nothing."""
    out = tmp_path / "results"
    assert main(["capacity", str(write_scenario(tmp_path, BASE)), *NOBODY_THERE, "--out", str(out), "--json"]) == 4
    (folder,) = out.iterdir()
    shown, error = capsys.readouterr()
    told = json.loads((folder / "capacity.json").read_text())
    assert told == json.loads(shown)
    assert (told["trouble"], told["steps"]) == ("target http://127.0.0.1:9: cannot be reached: Connection refused", [])
    assert told["bounds"]["start"] == 10.0 and told["answer"]["kind"] == "unfinished"
    assert error.splitlines()[-1] == f"loadtest: {told['trouble']}"
    assert not (folder / "capacity.html").exists()


def test_a_night_that_cannot_search_is_refused_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before its other parts have run, not in the middle of it."""
    monkeypatch.chdir(Path(__file__).parents[2])
    parts = '[[parts]]\nscenario = "smoke"\n[[parts]]\nscenario = "spike"\nkind = "capacity"\n'
    (tmp_path / "suite.toml").write_text(f'name = "s"\n{parts}')
    assert main(["nightly", str(tmp_path / "suite.toml"), "--out", str(tmp_path / "results")]) == 2
    assert capsys.readouterr().err.startswith("loadtest: scenario spike: a capacity search needs a load of one rate")
    assert not (tmp_path / "results").exists()
