"""`loadtest compare`, from its arguments to what it prints."""

import json
from pathlib import Path

import pytest

from loadtests.cli import main
from tests.unit.test_measures import judged


@pytest.fixture
def run(tmp_path: Path) -> str:
    """A judged run, which can be compared with itself."""
    return str(judged(tmp_path / "run").path)


def test_a_history_that_is_not_there_is_a_mistake(run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not one without a night."""
    assert main(["compare", run, run, "--history", str(tmp_path / "nightli.jsonl")]) == 2
    assert capsys.readouterr().err == f"loadtest: --history {tmp_path}/nightli.jsonl: no such file\n"


def test_what_is_wrong_with_a_history_is_told(run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its lines that count for nothing."""
    history = tmp_path / "nightly.jsonl"
    history.write_text('{"version": 1, "ni')
    assert main(["compare", run, run, "--history", str(history), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["notes"] == [f"{history}:1: left out: a torn last line"]


def test_a_page_in_no_folder_is_refused_before_the_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Even before the runs are looked for."""
    assert main(["compare", "no", "runs", "--out", str(tmp_path / "no" / "page.md")]) == 2
    assert "there is no folder" in capsys.readouterr().err
