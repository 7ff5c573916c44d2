"""The secrets of the containers' stack: a file `.env`, made once, which compose reads by itself."""

import os
import secrets
import stat
from pathlib import Path

from loadtests.errors import InputError

NAMES = ("POSTGRES_PASSWORD", "REDIS_PASSWORD", "JWT_SECRET", "INFLUX_PASSWORD", "GRAFANA_PASSWORD")
"""What docker-compose.yml asks for, all of it."""
HEAD = (
    "# Made by `make env`, for docker-compose.yml. Secrets: readable by its owner alone, ignored by git, never overwritten.\n"
)
BYTES = 36


def make_secrets(path: Path) -> bool:
    """Write the file unless it is there; whether it was written.

    Raises InputError when it cannot be written, and when one that is there lacks a name or may be read by everybody.
    """
    # Only letters, digits, - and _: they stand in addresses as they are.
    text = HEAD + "".join(f"{name}={secrets.token_urlsafe(BYTES)}\n" for name in NAMES)
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        _check(path)
        return False
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error
    with os.fdopen(file, "w", encoding="ascii") as stream:
        stream.write(text)
    return True


def read_secrets(path: Path) -> dict[str, str]:
    """The names and values of the file. Raises InputError when it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}") from error
    pairs = (line.partition("=") for line in text.splitlines() if not line.lstrip().startswith("#"))
    return {name.strip(): value.strip() for name, equals, value in pairs if equals}


def _check(path: Path) -> None:
    known = read_secrets(path)
    if path.stat().st_mode & stat.S_IROTH:
        raise InputError(f"{path}: holds secrets, and everybody on this machine may read it; run: chmod 600 {path}")
    missing = [name for name in NAMES if not known.get(name)]
    if missing:
        raise InputError(f"{path}: lacks {', '.join(missing)}; add them, or move the file away and run: make env")
