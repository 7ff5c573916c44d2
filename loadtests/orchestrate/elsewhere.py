"""A stack that somebody else started: what the environment says of it."""

import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

from loadtests import settings
from loadtests.errors import InputError
from loadtests.orchestrate.embedded import Stack


def stack_elsewhere(host: str | None, environ: Mapping[str, str]) -> Stack:
    """The stack behind `host`. A service whose name stands for several addresses has so many instances.

    The addresses are those of this moment: instances that come later are not known. Raises InputError for what is no address.
    """
    known = {name: environ[name] for name in settings.TOLD if environ.get(name)}
    addresses = {name: _instances(url) for name, url in check_services(environ).items()}
    return Stack(host, known, addresses=addresses, shared=False)


def check_services(environ: Mapping[str, str]) -> dict[str, str]:
    """The base address of each service that LOADTEST_SERVICES names. Raises InputError."""
    found = {}
    for part in filter(None, environ.get(settings.SERVICES, "").split(",")):
        name, _, url = part.strip().partition("=")
        try:
            parts = urlsplit(url)
            good = name and parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and "@" not in parts.netloc
        except ValueError:
            good = False
        if not good or parts.path.strip("/") or parts.query:
            raise InputError(f"{settings.SERVICES}: must be NAME=http://HOST:PORT, with commas between (got {part.strip()!r})")
        found[name] = url.rstrip("/")
    return found


def _instances(url: str) -> tuple[str, ...]:
    """The address once for each that its name stands for; as it is when it stands for one, or is unknown here."""
    parts = urlsplit(url)
    try:
        answers = socket.getaddrinfo(parts.hostname, parts.port or parts.scheme, socket.AF_INET, socket.SOCK_STREAM)
    except OSError:  # whoever asks it will say so
        return (url,)
    found = sorted({str(address[0]) for *_, address in answers})
    if len(found) == 1 or parts.scheme == "https":  # a certificate is one of the name
        return (url,)
    port = f":{parts.port}" if parts.port else ""
    return tuple(f"{parts.scheme}://{one}{port}" for one in found)
