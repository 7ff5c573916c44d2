"""Files of a run: whole or not at all, also after a crash and on a full disk."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from loadtests.errors import RunError
from loadtests.store.records import LineTail, LineWriter, append_lines, read_json, read_lines, write_json, write_text


def lines_of(path: Path) -> list[dict[str, Any]]:
    """All records of a file."""
    return list(read_lines(path))


def test_json_round_trip(tmp_path: Path) -> None:
    """What is written is read back, as readable text that ends with a newline."""
    file = tmp_path / "a.json"
    write_json(file, {"name": "grün", "values": [1, 2.5, None]})
    assert read_json(file) == {"name": "grün", "values": [1, 2.5, None]}
    assert file.read_text(encoding="utf-8").endswith("}\n")
    assert "grün" in file.read_text(encoding="utf-8")


def test_json_is_replaced_whole_and_leaves_no_draft(tmp_path: Path) -> None:
    """After a write there is the file and nothing else."""
    file = tmp_path / "a.json"
    write_json(file, {"first": "x" * 1000})
    write_json(file, {"second": 2})
    assert read_json(file) == {"second": 2}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fills up in the middle leaves the old content, no draft, and one line that names the file."""
    file = tmp_path / "a.json"
    write_json(file, {"old": True})

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match=r"a\.json: cannot be written: No space left on device"):
        write_json(file, {"new": True})
    assert read_json(file) == {"old": True}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_what_is_no_json_leaves_no_trace(tmp_path: Path) -> None:
    """Data that cannot be written is refused before anything is touched."""
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"x": object()})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("folder", ["missing", "file"])
def test_write_into_a_folder_that_is_none_is_refused(tmp_path: Path, folder: str) -> None:
    """A run's folder that vanished, or is a file, is a run error in one line."""
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"a\.txt: cannot be written"):
        write_text(tmp_path / folder / "a.txt", "x")


@pytest.mark.parametrize(
    ("content", "words"), [(None, "missing"), (b"{", "cannot be read"), (b"[1]", "no JSON object"), (b"\xff", "cannot be read")]
)
def test_unreadable_json_is_a_run_error(tmp_path: Path, content: bytes | None, words: str) -> None:
    """A missing or damaged file says its name and what is wrong with it."""
    file = tmp_path / "m.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(RunError, match=rf"m\.json: .*{words}"):
        read_json(file)


def test_lines_round_trip(tmp_path: Path) -> None:
    """Records are appended one a line, compactly, over several writers."""
    file = tmp_path / "a.jsonl"
    append_lines(file, [{"n": 1}, {"n": 2, "text": "two\nlines"}])
    append_lines(file, iter([{"n": 3}]))
    append_lines(file, [])
    assert [record["n"] for record in lines_of(file)] == [1, 2, 3]
    assert file.read_bytes().count(b"\n") == 3
    assert file.read_bytes().startswith(b'{"n":1}\n')


def test_missing_file_has_no_records(tmp_path: Path) -> None:
    """Nothing was written yet."""
    assert lines_of(tmp_path / "none.jsonl") == []


def test_torn_last_line_is_left_out(tmp_path: Path) -> None:
    """A crash in the middle of a write costs the line that was being written and no other."""
    file = tmp_path / "a.jsonl"
    file.write_bytes(b'{"n":1}\n{"n":2}\n{"n":3,"te')
    assert [record["n"] for record in lines_of(file)] == [1, 2]


@pytest.mark.parametrize("damage", [b"{", b"\x00\x00\x00", b"\xff\xfe{", b"", b'{"n":1}{"n":2}'])
def test_damaged_middle_is_refused_with_its_place(tmp_path: Path, damage: bytes) -> None:
    """A line that ends with a newline was written whole: if it is no JSON, the file was damaged, and where."""
    file = tmp_path / "a.jsonl"
    file.write_bytes(b'{"n":1}\n' + damage + b'\n{"n":3}\n')
    with pytest.raises(RunError, match=r"a\.jsonl:2: damaged"):
        lines_of(file)


def test_writer_reports_a_full_disk() -> None:
    """Linux's own always-full device refuses; the error names it."""
    writer = LineWriter(Path("/dev/full"))
    try:
        with pytest.raises(RunError, match="/dev/full: cannot be written: No space left"):
            writer.append({"n": 1})
    finally:
        writer.close()


def test_writer_takes_a_short_write_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk takes only a part, the part is removed again, so that the file ends with a whole line."""
    file = tmp_path / "a.jsonl"
    writer = LineWriter(file)
    writer.append({"n": 1})
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[: len(data) // 2]))
    with pytest.raises(RunError, match="No space left"):
        writer.append({"n": 2}, {"n": 3})
    monkeypatch.undo()
    writer.append({"n": 4})
    writer.close()
    assert [record["n"] for record in lines_of(file)] == [1, 4]


def test_writer_in_a_folder_that_is_none(tmp_path: Path) -> None:
    """Opening a file where none can be is a run error."""
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        LineWriter(tmp_path / "file" / "a.jsonl")


def test_writers_share_a_file(tmp_path: Path) -> None:
    """Two writers append to one file without overwriting each other."""
    file = tmp_path / "a.jsonl"
    one, other = LineWriter(file), LineWriter(file)
    for number in range(10):
        (one if number % 2 else other).append({"n": number})
    one.close()
    other.close()
    assert [record["n"] for record in lines_of(file)] == list(range(10))


def test_tail_gives_whole_new_lines(tmp_path: Path) -> None:
    """A tail waits for the end of a line, gives each line once, and begins when the file does."""
    file = tmp_path / "a.jsonl"
    tail = LineTail(file)
    assert tail.read() == []
    with file.open("ab", buffering=0) as out:
        out.write(b'{"n":1}\n{"n"')
        assert tail.read() == [{"n": 1}]
        assert tail.read() == []
        out.write(b":2}")
        assert tail.read() == []
        out.write(b'\n{"n":3}\n')
        assert tail.read() == [{"n": 2}, {"n": 3}]
        assert tail.read() == []


def test_written_json_is_json_everywhere(tmp_path: Path) -> None:
    """A number that JSON does not know (NaN, infinity) never gets into a file that other tools read."""
    file = tmp_path / "a.json"
    try:
        write_json(file, {"observed": float("nan")})
    except (ValueError, RunError):
        return
    json.loads(file.read_text(), parse_constant=pytest.fail)
