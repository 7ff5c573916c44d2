"""Recordings: text files with a line a request, its microseconds since the start and its name, in order of time.

    0 list_tasks
    1503000 create_task

Ten bytes a request are kept in memory, so ten million of them take 100 MB.
"""

import time
from array import array
from collections.abc import Iterable, Mapping
from hashlib import file_digest
from pathlib import Path

from loadtests.errors import InputError

Moments = tuple["array[int]", "array[int]"]
"""Microseconds since the start, and for each the index of its name."""
LONGEST_MOMENT = 18
"""Digits of a moment; that is thirty thousand years."""
PATIENCE = 100_000
"""Lines, a tenth of a second's work, after which others may go on."""


def write_recording(path: Path, requests: Iterable[tuple[int, str]]) -> None:
    """Write (microseconds, name) of every request, which come in order of time."""
    with path.open("w", encoding="ascii") as file:
        file.writelines(f"{moment_us} {name}\n" for moment_us, name in requests)


def read_recording(path: Path, indices: Mapping[str, int]) -> Moments:
    """Read a recording whose names have these indices. Raises InputError that says which line is wrong."""
    moments, found = array("Q"), array("H")
    last_us = 0
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                moment, _, name = line.rstrip("\n").partition(" ")
                if not _is_moment(moment) or name not in indices:
                    raise InputError(f"{path}: line {number}: {_trouble(moment, name, indices)}")
                if int(moment) < last_us:
                    raise InputError(f"{path}: line {number}: {moment} us is before the line above")
                last_us = int(moment)
                moments.append(last_us)
                found.append(indices[name])
                if number % PATIENCE == 0:
                    time.sleep(0)  # in a worker, whose greenlets share the thread, its heartbeat has a turn
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {_reason(error)}") from error
    if not moments:
        raise InputError(f"{path}: there is no request in it")
    return moments, found


def digest_of(path: Path) -> str:
    """SHA-256 of a file's bytes. Raises InputError when it cannot be read."""
    try:
        with path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {_reason(error)}") from error


def _is_moment(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= LONGEST_MOMENT


def _trouble(moment: str, name: str, indices: Mapping[str, int]) -> str:
    if not _is_moment(moment) or not name:
        return "not of the form 'MICROSECONDS NAME'"
    return f"{name!r} is no journey of the mix (there are: {', '.join(sorted(indices))})"


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return str(error.strerror) if isinstance(error, OSError) else "it is not UTF-8"
