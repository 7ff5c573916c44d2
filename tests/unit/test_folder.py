"""The run's folder, its manifest and the link to the newest."""

import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from loadtests.errors import InputError, RunError
from loadtests.store import folder as folder_module
from loadtests.store.folder import RunFolder, create_folder, open_folder, point_latest
from loadtests.store.manifest import read_manifest, write_manifest
from loadtests.store.records import read_lines

NOON = datetime(2026, 5, 4, 12, 30, 15, tzinfo=UTC)


def with_manifest(results: Path, name: str = "smoke") -> RunFolder:
    """A run of which only the manifest is written."""
    folder = create_folder(results, name, NOON)
    how = {"workers": 2, "stack": "embedded", "host": "http://h"}
    write_manifest(folder, {"scenario": {"name": name}}, "ab" * 32, how)
    return folder


def test_folder_is_named_after_time_and_scenario(tmp_path: Path) -> None:
    """The id sorts by time, says the scenario and is unlike any other of the same second."""
    one, other = (create_folder(tmp_path / "deep" / "results", "smoke", NOON) for _ in range(2))
    assert one.run_id.startswith("20260504T123015-smoke-")
    assert one.run_id != other.run_id
    assert one.logs.is_dir()
    assert one.hdr.is_dir()
    assert one.file("manifest.json") == one.path / "manifest.json"


@pytest.mark.parametrize("below", ["results", "results/deeper"], ids=["is a file", "below a file"])
def test_folder_that_cannot_be_made_is_bad_input(tmp_path: Path, below: str) -> None:
    """A results folder that is a file, or lies below one, is refused in one line with its path."""
    (tmp_path / "results").write_text("a file")
    with pytest.raises(InputError, match=f"results folder .*{below}: cannot be written") as caught:
        create_folder(tmp_path / below, "smoke")
    assert "\n" not in str(caught.value)


def test_full_disk_is_refused_before_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With less room than a run needs, nothing is started and nothing is left."""
    usage = SimpleNamespace(disk_usage=lambda _: SimpleNamespace(free=49_999_999))
    monkeypatch.setattr(folder_module, "shutil", usage)
    with pytest.raises(InputError, match=r"disk is full \(50 MB free"):
        create_folder(tmp_path, "smoke")
    assert list(tmp_path.iterdir()) == []


def test_latest_points_to_the_newest(tmp_path: Path) -> None:
    """The link moves from run to run, is relative, and no draft of it stays."""
    first, second = with_manifest(tmp_path), with_manifest(tmp_path)
    point_latest(first)
    assert (tmp_path / "latest").resolve() == first.path.resolve()
    point_latest(second)
    assert (tmp_path / "latest").readlink() == Path(second.run_id)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([first.run_id, second.run_id, "latest"])


def test_latest_survives_a_move_of_the_results(tmp_path: Path) -> None:
    """Because the link is relative, the results folder may be moved as a whole."""
    run = with_manifest(tmp_path / "a")
    point_latest(run)
    (tmp_path / "a").rename(tmp_path / "b")
    assert open_folder(tmp_path / "b" / "latest").run_id == run.run_id


def test_open_folder_resolves_the_link(tmp_path: Path) -> None:
    """A run opened as `latest` has its own id."""
    run = with_manifest(tmp_path)
    point_latest(run)
    assert open_folder(tmp_path / "latest").run_id == run.run_id


@pytest.mark.parametrize("name", ["nothing", "empty"])
def test_open_folder_refuses_what_is_no_run(tmp_path: Path, name: str) -> None:
    """A folder without a manifest, or none at all, is bad input."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no run's folder"):
        open_folder(tmp_path / name)


def test_events_are_appended_in_order(tmp_path: Path) -> None:
    """Each event is a line with its kind, its moment in the load and its details."""
    run = create_folder(tmp_path, "smoke")
    run.event("start", 0.0, users=5)
    run.event("halt", None, reason="Ctrl-C")
    first, second = read_lines(run.file("events.jsonl"))
    assert (first["event"], first["at_s"], first["users"]) == ("start", 0.0, 5)
    assert (second["event"], second["at_s"], second["reason"]) == ("halt", None, "Ctrl-C")
    assert datetime.fromisoformat(first["time"]) <= datetime.fromisoformat(second["time"])


def test_manifest_says_what_was_run_and_where(tmp_path: Path) -> None:
    """Plan, hash, host, machine and versions stand in the manifest, under a version of its own."""
    run = with_manifest(tmp_path)
    manifest = read_manifest(run)
    assert manifest["version"] == 3
    assert manifest["run_id"] == run.run_id
    assert (manifest["workers"], manifest["stack"], manifest["host"]) == (2, "embedded", "http://h")
    assert (manifest["plan"], manifest["plan_hash"]) == ({"scenario": {"name": "smoke"}}, "ab" * 32)
    assert manifest["machine"]["cpus"] >= 1
    assert manifest["machine"]["memory_bytes"] > 0
    assert manifest["packages"]["locust"].count(".") >= 1


def test_manifest_that_is_missing_is_a_run_error(tmp_path: Path) -> None:
    """A folder without one cannot be judged."""
    with pytest.raises(RunError, match=r"manifest\.json: missing"):
        read_manifest(RunFolder(tmp_path))


def test_manifest_of_another_version_is_refused(tmp_path: Path) -> None:
    """A file of a later harness is not misread."""
    run = with_manifest(tmp_path)
    data = json.loads(run.file("manifest.json").read_text())
    run.file("manifest.json").write_text(json.dumps({**data, "version": 99}))
    with pytest.raises(RunError, match="version"):
        read_manifest(run)
