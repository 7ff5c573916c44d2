"""Files of accepted tasks: who writes them, who finds them, what a damaged one says."""

from pathlib import Path

import pytest

from loadtests.errors import RunError
from loadtests.measure.snapshot import Accepted
from loadtests.store.accepted import MASTER, AcceptedWriter, accepted_files, count_accepted, folder_here, read_accepted
from loadtests.store.folder import RunFolder, create_folder
from loadtests.store.manifest import write_manifest


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A run with its manifest."""
    folder = create_folder(tmp_path, "x")
    write_manifest(folder, {}, "hash", {})
    return folder


def write(folder: RunFolder, writer: str, *ids: str) -> None:
    """One writer's tasks, by one call."""
    file = AcceptedWriter(folder, writer)
    file.append([Accepted(one, 4, 1.23456789, 2.0, "create_task") for one in ids])
    file.close()


def test_tasks_are_read_as_they_were_written(folder: RunFolder) -> None:
    """Writer by writer, moments to the microsecond."""
    write(folder, "1", "b", "c")
    write(folder, MASTER, "d")
    write(folder, "0", "a")
    assert [record["id"] for record in read_accepted(folder)] == ["a", "b", "c", "d"]
    first = next(read_accepted(folder))
    assert first == {"id": "a", "user": 4, "due_s": 1.234568, "accepted_s": 2.0, "request": "create_task"}
    assert count_accepted(folder) == 4


def test_file_is_made_with_the_first_task(folder: RunFolder) -> None:
    """A worker that nothing was accepted from leaves no file, and a writer may be closed twice."""
    file = AcceptedWriter(folder, "0")
    file.append([])
    assert accepted_files(folder) == []
    file.append([Accepted("a", 0, 0.0, 0.0)])
    file.close()
    file.close()
    assert [path.name for path in accepted_files(folder)] == ["0.jsonl"]


def test_writer_goes_on_where_it_was(folder: RunFolder) -> None:
    """After it was closed, too: nothing is written over."""
    write(folder, "0", "a")
    file = AcceptedWriter(folder, "0")
    for task in ("b", "c"):
        file.append([Accepted(task, 0, 0.0, 0.0)])
        file.close()
    assert [record["id"] for record in read_accepted(folder)] == ["a", "b", "c"]


def test_disk_that_refuses_is_one_line(folder: RunFolder) -> None:
    """The line names the file; nothing is left open, and the next try is a new one."""
    folder.accepted.rmdir()
    file = AcceptedWriter(folder, "0")
    with pytest.raises(RunError, match=r"accepted/0\.jsonl: cannot be written: No such file"):
        file.append([Accepted("a", 0, 0.0, 0.0)])
    folder.accepted.mkdir()
    file.append([Accepted("a", 0, 0.0, 0.0)])
    file.close()
    assert count_accepted(folder) == 1


def test_run_without_accepted_tasks(folder: RunFolder) -> None:
    """No file, no task."""
    assert (list(read_accepted(folder)), count_accepted(folder)) == ([], 0)
    folder.accepted.rmdir()
    assert (list(read_accepted(folder)), count_accepted(folder)) == ([], 0)


def test_torn_last_line_is_no_task(folder: RunFolder) -> None:
    """A writer that died while it wrote: reader and count agree that the line is not there."""
    write(folder, "0", "a", "b")
    path = folder.accepted / "0.jsonl"
    path.write_bytes(path.read_bytes()[:-5])
    assert [record["id"] for record in read_accepted(folder)] == ["a"]
    assert count_accepted(folder) == 1


def test_damaged_line_is_named(folder: RunFolder) -> None:
    """In the middle of a file it is a fault, with the file and the line."""
    write(folder, "0", "a", "b", "c")
    path = folder.accepted / "0.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b'{"id": \n' + lines[2])
    with pytest.raises(RunError, match=r"0\.jsonl:2: damaged"):
        list(read_accepted(folder))


def test_folder_is_found_where_the_run_is(folder: RunFolder) -> None:
    """By its path and the id of its run."""
    assert folder_here(str(folder.path), folder.run_id) == folder


def test_folder_of_another_machine_is_not_here(folder: RunFolder, tmp_path: Path) -> None:
    """Neither a path that is not there, nor one without a manifest, nor another run under the same path."""
    assert folder_here(str(tmp_path / "elsewhere"), "elsewhere") is None
    assert folder_here(str(folder.path), "20260101T000000-x-0000") is None
    folder.file("manifest.json").write_text("{}")
    assert folder_here(str(folder.path), folder.run_id) is None
    folder.file("manifest.json").unlink()
    assert folder_here(str(folder.path), folder.run_id) is None
