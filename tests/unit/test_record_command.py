"""`loadtest record` as a command: what it refuses, what it overwrites, and what it says."""

from pathlib import Path

import pytest

from loadtests.cli import main
from loadtests.exitcodes import ExitCode
from loadtests.scenario import replay
from loadtests.scenario.load import load_plan
from tests.unit.access_logs import combined_line, main_line
from tests.unit.test_replay import ITEM, LIST, Recorded


@pytest.mark.parametrize(
    ("lines", "options", "trouble"),
    [
        ([], (), "no readable line among 0"),
        (["rubbish\n"] * 2, (), "no readable line among 2: neither nginx's combined format nor nginx.conf's own"),
        ([main_line(0, ITEM)], (), "nothing to replay among 1 lines; left out: 1 of GET /api/v1/tasks/{id} (asks"),
        ([main_line(0, r"\x16")], (), "nothing to replay among 1 lines, 1 without an HTTP request; left out: nothing"),
        ([main_line(0), combined_line(1)], ("--exact",), "1 of 2 requests have no moment (see line 2), which needs msec=$msec"),
        ([main_line(0)], ("--users", "0"), "--users: must be at least 1 (got 0)"),
        ([main_line(0)], ("--body", "{id: 1}"), "--body: not valid JSON: Expecting property name"),
        ([main_line(0)], ("--body", '"\udcff"'), "--body: not valid JSON: "),
        ([main_line(0)], ("-o", "replay"), "--out replay: a scenario's name ends in .toml"),
        ([main_line(0)], ("--like", "nothing"), "scenario 'nothing' is unknown"),
        ([main_line(0)], ("-o", "/no/such/folder/a.toml"), "cannot be written: No such file or directory"),
    ],
)
def test_what_cannot_be_recorded_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lines: list[str], options: tuple[str, ...], trouble: str
) -> None:
    """It says what, and the exit code is that of bad input; nothing is left behind."""
    made = Recorded(tmp_path, lines, *options)
    error = capsys.readouterr().err
    assert made.code == ExitCode.BAD_INPUT
    assert trouble in error
    assert error.count("\n") == 1
    assert [file.name for file in tmp_path.iterdir()] == ["access.log"]


def test_nothing_is_overwritten_unasked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither the scenario nor the recording; --force replaces both."""
    assert Recorded(tmp_path, [main_line(0)], "--exact").code == ExitCode.PASS
    (tmp_path / "replay.toml").unlink()
    assert Recorded(tmp_path, [main_line(1)], "--exact").code == ExitCode.BAD_INPUT
    assert f"{tmp_path / 'replay.moments'}: there already" in capsys.readouterr().err
    assert Recorded(tmp_path, [main_line(1)], "--exact", "--force").code == ExitCode.PASS


def test_an_interrupted_record_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scenario and recording belong together: both are the new ones, or both the old, and no draft lies about."""
    Recorded(tmp_path, [main_line(0)], "--exact")
    before = {file.name: file.read_text() for file in tmp_path.iterdir()}

    def interrupted(_: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(replay, "load_plan", interrupted)
    (tmp_path / "access.log").write_text(main_line(0, LIST) + main_line(1, LIST))
    command = ["record", str(tmp_path / "access.log"), "-o", str(tmp_path / "replay.toml"), "--exact", "--force"]
    assert main(command) == ExitCode.INTERRUPTED
    after = {file.name: file.read_text() for file in tmp_path.iterdir() if file.name != "access.log"}
    assert after == {name: text for name, text in before.items() if name != "access.log"}


@pytest.mark.parametrize("name", ["a b.log", "a\nb.log", "a\udcffb.log"])
def test_a_log_may_be_called_anything(tmp_path: Path, name: str) -> None:
    """Blanks, line ends, bytes that are no text; the scenario tells what can be told of it."""
    log, out = tmp_path / name, tmp_path / "my replay.toml"
    log.write_text(main_line(0, LIST))
    assert main(["record", str(log), "-o", str(out), "--exact"]) == ExitCode.PASS
    assert load_plan(out).scenario.name == "my-replay"
    assert ascii(name)[1:-1] in out.read_text()


def test_the_file_says_where_it_comes_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The log, its lines, the first and last moment, the rates: the same as the command says."""
    made = Recorded(tmp_path, [main_line(0, LIST), "rubbish\n", main_line(1, LIST, 503), main_line(2, LIST, took_s=0.0)])
    said = [line.removeprefix("# ") for line in made.text.splitlines() if line.startswith("# ")]
    assert capsys.readouterr().out.splitlines()[:-1] == said
    assert said == [
        f"Replay of {tmp_path / 'access.log'}: 4 lines, 1 unreadable (the first is line 2).",
        "3 requests from 2026-11-25T17:50:55.000+00:00 to 2026-11-25T17:50:57.000+00:00: 2 s.",
        "Rate: 1.5/s on average, 2/s at most (over 1 s).",
        "100 %: GET /api/v1/tasks, as list_tasks (33.3 % were answered 5xx)",
    ]
