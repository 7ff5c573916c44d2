"""The stack's definition: services whose program the machine does not have, or that are not wanted."""

from pathlib import Path

import pytest

from loadtests.errors import InputError
from loadtests.orchestrate.definition import WITHOUT, read_definition

ROOT = Path(__file__).parents[2]
TEXT = """
python = "python"

[[services]]
name = "api"
port = 8000
command = ["api"]

[[services]]
name = "front"
program = "{program}"
port = 8000
command = ["front"]
"""


def written(tmp_path: Path, program: str) -> Path:
    """A definition whose second service needs the program."""
    path = tmp_path / "stack.toml"
    path.write_text(TEXT.format(program=program))
    return path


def test_a_service_whose_program_is_missing_is_left_out(tmp_path: Path) -> None:
    """It is named, and the others stay."""
    definition = read_definition(written(tmp_path, "no-such-program"))
    assert definition.missing == ["no-such-program"]
    assert [service.name for service in definition.available()] == ["api"]


@pytest.mark.parametrize(("unwanted", "names"), [("", ["api", "front"]), ("other,sh", ["api"])])
def test_a_program_may_be_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unwanted: str, names: list[str]
) -> None:
    """STACK_WITHOUT names programs, with commas between, that are not used though they are there."""
    monkeypatch.setenv(WITHOUT, unwanted)
    assert [service.name for service in read_definition(written(tmp_path, "sh")).available()] == names


def test_unknown_keys_are_refused(tmp_path: Path) -> None:
    """A misspelt key is an error that names the file."""
    path = written(tmp_path, "sh")
    path.write_text(path.read_text() + 'portt = "8000"\n')
    with pytest.raises(InputError, match=r"stack\.toml"):
        read_definition(path)


def test_the_project_s_own_definition_is_read() -> None:
    """Without nginx one instance takes the place of all, with as many processes."""
    definition = read_definition(ROOT / "backend" / "stack.toml")
    assert definition.without["nginx"] == {"API_PROCESSES": "$API_INSTANCES", "API_INSTANCES": "1"}
    assert definition.services[-1].name == "nginx"
