"""Builds the page for the CDN: `python -m app.assets --out DIR`.

A script or a style sheet is named by its content (app.0123456789ab.js), so whoever holds it may
keep it for ever; index.html names them. Beside each file lies a compressed one, which nginx serves
as it is. The same sources give the same bytes and times. Files of earlier builds stay: open pages
still ask for them.
"""

import argparse
import gzip
import hashlib
import json
import os
import re
import sys
from pathlib import Path

WEB = Path(__file__).resolve().parents[1] / "web"
PAGE = "index.html"
MANIFEST = "manifest.json"
HASHED_TYPES = (".css", ".js")
HASH_DIGITS = 12

_REFERENCE = re.compile(r"""(?P<before>\b(?:href|src)=")(?P<name>[^"/:]+\.(?:css|js))(?=")""")


class AssetError(Exception):
    """The page cannot be built; the message is one line."""


def build(source: Path, out: Path) -> dict[str, str]:
    """Build the page of `source` in `out`; returns the hashed name of each script and style sheet.

    The page comes last, so it never names what is not there.

    Raises:
        AssetError: a file is missing, or a folder cannot be read or written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        assets = [path for path in sorted(source.iterdir()) if path.suffix in HASHED_TYPES]
        contents = {path.name: path.read_bytes() for path in assets}
        names = {name: hashed_name(name, content) for name, content in contents.items()}
        page = _rewritten((source / PAGE).read_text(encoding="utf-8"), names)
        for name, content in contents.items():
            _write(out / names[name], content)
        _write(out / MANIFEST, json.dumps(names, indent=2).encode() + b"\n")
        _write(out / PAGE, page.encode())
    except OSError as error:
        raise AssetError(f"{error.filename}: {error.strerror}") from error
    return names


def hashed_name(name: str, content: bytes) -> str:
    """The name that belongs to this content: app.js becomes app.0123456789ab.js."""
    stem, dot, suffix = name.rpartition(".")
    return f"{stem}.{hashlib.sha256(content).hexdigest()[:HASH_DIGITS]}{dot}{suffix}"


def _rewritten(page: str, names: dict[str, str]) -> str:
    def hashed(reference: re.Match[str]) -> str:
        name = reference["name"]
        if name not in names:
            raise AssetError(f"{PAGE} names {name}, which does not exist")
        return reference["before"] + names[name]

    return _REFERENCE.sub(hashed, page)


def _write(path: Path, content: bytes) -> None:
    _replace(path.with_name(f"{path.name}.gz"), gzip.compress(content, 9, mtime=0))
    _replace(path, content)


def _replace(path: Path, content: bytes) -> None:
    """Replace the file at once; readable by all, for nginx has an account of its own."""
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(content)
    new.chmod(0o644)
    # nginx makes an ETag of time and size, and two builds of the page have the same size. So the
    # time is another hash of the content: a new page has a new ETag, an old one has its own
    # on every server and after each build.
    time_s = int.from_bytes(hashlib.sha256(content).digest()[:4]) >> 1
    os.utime(new, (time_s, time_s))
    new.replace(path)


def main() -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m app.assets", description="Build the page for the CDN."
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to build into")
    parser.add_argument("--source", type=Path, default=WEB, help="default: %(default)s")
    arguments = parser.parse_args()
    try:
        build(arguments.source, arguments.out)
    except AssetError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
