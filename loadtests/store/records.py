"""Files of a run: JSON replaced whole, JSON lines appended whole. A reader never sees half of either."""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from loadtests.errors import RunError

encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
"""One for all lines: json.dumps makes a new encoder for each."""


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write a JSON file so that it is there in full or not at all. Raises RunError when the disk refuses."""
    write_text(path, json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file through a temporary neighbour and a rename. Raises RunError when the disk refuses."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        raise disk_error(path, error) from error


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises RunError when it is missing or no JSON."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RunError(f"{path}: missing") from error
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: cannot be read: {error}") from error
    if not isinstance(data, dict):
        raise RunError(f"{path}: holds no JSON object")
    return data


class LineWriter:
    """Appends JSON lines, each by one write to a file opened for appending, so that processes may share it.

    A write that the disk cut short is taken back, so that the file ends with a whole line. Raises RunError when it refuses.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise disk_error(path, error) from error

    def append(self, *records: Mapping[str, Any]) -> None:
        """Write the records, one a line."""
        self.write("".join(encode(record) + "\n" for record in records).encode())

    def write(self, data: bytes) -> None:
        """Write lines that are encoded already."""
        if not data:
            return
        try:
            written = os.write(self._fd, data)
            if written != len(data):
                os.ftruncate(self._fd, os.fstat(self._fd).st_size - written)
                raise OSError(28, "No space left on device")
        except OSError as error:
            raise disk_error(self._path, error) from error

    def close(self) -> None:
        """Close the file; what was appended is with the operating system."""
        os.close(self._fd)


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a file of JSON lines; none when it is missing. A torn last line (a crash) is left out.

    Raises RunError for a line in the middle that is no JSON.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield json.loads(line)
            except ValueError as error:
                if line.endswith(b"\n"):
                    raise RunError(f"{path}:{number}: damaged: {error}") from error
                return


def append_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Append records and close."""
    writer = LineWriter(path)
    try:
        writer.append(*records)
    finally:
        writer.close()


def disk_error(path: Path, error: OSError) -> RunError:
    """The one line that a refused write deserves."""
    return RunError(f"{path}: cannot be written: {error.strerror or error}")


class LineTail:
    """Reads a growing file of JSON lines: each call gives lines that are whole and new, as many as were asked for."""

    def __init__(self, path: Path, offset: int = 0) -> None:
        self._path = path
        self.offset = offset
        """Where the next line begins."""

    def lines(self, most: int = sys.maxsize) -> list[bytes]:
        """The next lines, without their ends; none while the file is missing."""
        found: list[bytes] = []
        with suppress(FileNotFoundError), self._path.open("rb") as file:
            file.seek(self.offset)
            while len(found) < most and (line := file.readline()).endswith(b"\n"):
                found.append(line[:-1])
                self.offset += len(line)
        return found

    def read(self, most: int = sys.maxsize) -> list[dict[str, Any]]:
        """The next records."""
        return [json.loads(line) for line in self.lines(most)]
