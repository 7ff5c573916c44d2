"""Looks for secrets wherever a run leaves something, in every form in which programs write them."""

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus


def forms(secret: str) -> set[bytes]:
    """As it is, as an address, JSON or Python has it, and in base64 at each of the three places in a longer text."""
    found = {secret, quote(secret, safe=""), quote(secret), quote_plus(secret), json.dumps(secret)[1:-1], repr(secret)[1:-1]}
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + secret.encode()).decode()
        # What the neighbours have a part in is left out: whole letters of the secret's own bits remain.
        first, length = -(-before * 8 // 6), (before + len(secret.encode())) * 8 // 6
        middle = encoded[first:length]
        found |= {middle, middle.replace("+", "-").replace("/", "_")}
    return {form.encode() for form in found}


def leaks(texts: Iterable[tuple[str, bytes]], secrets: Mapping[str, str]) -> list[str]:
    """Which secret stands where; the message does not repeat it."""
    wanted = [(name, form) for name, secret in secrets.items() for form in forms(secret)]
    return sorted({f"{name} in {where}" for where, text in texts for name, form in wanted if form in text})


def files_of(*folders: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below folders, with its path, which is a text, too."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                yield str(path), path.read_bytes() + str(path).encode()
