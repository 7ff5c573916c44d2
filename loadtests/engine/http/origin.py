"""Where requests go: one scheme, host and port, looked up once for all users of a process."""

import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from gevent.lock import RLock

from loadtests.engine.http.failures import Failure
from loadtests.engine.http.outgoing import DEFAULT_PORTS
from loadtests.engine.http.wire import Fields, KnownHeads, encode_target
from loadtests.traffic.prepared import Prepared

ASK_AGAIN_S = 1.0
"""How long a name that could not be resolved is not asked for again."""
KNOWN_URLS = 1024
"""URLs that are not taken apart again."""
ContextFactory = Callable[[], ssl.SSLContext]
Address = tuple[int, str | tuple[object, ...]]
"""A socket family and an address of it."""


@dataclass
class Sockets:
    """Connections of one process."""

    opened: int = 0
    """Since the start."""
    open: int = 0
    """Now."""


@dataclass
class Network:
    """What all sessions of a process share: the origins that they have met, and the count of their sockets."""

    sockets: Sockets = field(default_factory=Sockets)
    _origins: dict[tuple[str, str, ContextFactory], "Origin"] = field(default_factory=dict)
    _located: dict[tuple[str, ContextFactory], tuple["Origin", bytes]] = field(default_factory=dict)

    def origin(self, scheme: str, netloc: str, context_factory: ContextFactory) -> "Origin":
        """The origin of that name; raises ValueError when there can be none."""
        if scheme in DEFAULT_PORTS:
            netloc = netloc.lower().removesuffix(f":{DEFAULT_PORTS[scheme]}")
        key = (scheme, netloc, context_factory)
        known = self._origins.get(key)
        if known is None:
            known = self._origins[key] = Origin(scheme, netloc, self.sockets, context_factory)
        return known

    def locate(self, url: str, context_factory: ContextFactory) -> tuple["Origin", bytes]:
        """The origin of an absolute URL, and its path and query as a request line has them. Raises ValueError."""
        key = (url, context_factory)
        known = self._located.get(key)
        if known is None:
            if len(self._located) >= KNOWN_URLS:
                self._located.clear()
            scheme, _, rest = url.partition("://")
            end = min((rest.find(mark) for mark in "/?#" if mark in rest), default=len(rest))
            netloc, path = rest[:end], rest[end:]
            origin = self.origin(scheme.lower(), netloc.rpartition("@")[2], context_factory)
            known = self._located[key] = origin, encode_target(path)
        return known


class Origin:
    """One server, as its users see it. `http+unix://%2Frun%2Fapi.sock` is a server on a unix socket."""

    def __init__(self, scheme: str, netloc: str, sockets: Sockets, context_factory: ContextFactory) -> None:
        if scheme not in {"http", "https", "http+unix"}:
            raise ValueError(f"{scheme}://{netloc}: only http, https and http+unix can be asked")
        parts = urlsplit(f"//{netloc}")
        self.scheme, self.sockets = scheme, sockets
        self.heads = KnownHeads()
        self._prepared: dict[Fields, dict[Prepared, tuple[str, bytes]]] = {}
        self._lookup = RLock()
        self._addresses: list[Address] = []
        self._unknown_until = 0.0
        self._context_factory = context_factory
        self._context: ssl.SSLContext | None = None
        self.unix_path = unquote(netloc) if scheme == "http+unix" else None
        if self.unix_path is not None:
            self.host, self.port, self.host_header = "localhost", 0, "localhost"
            self._addresses = [(socket.AF_UNIX, self.unix_path)]
            return
        if not parts.hostname:
            raise ValueError(f"{scheme}://{netloc}: there is no host in it")
        self.host, self.port = parts.hostname, parts.port or DEFAULT_PORTS[scheme]
        bracketed = f"[{self.host}]" if ":" in self.host else self.host.encode("idna").decode("ascii")
        self.host_header = bracketed if self.port == DEFAULT_PORTS[scheme] else f"{bracketed}:{self.port}"

    @property
    def context(self) -> ssl.SSLContext | None:
        """How TLS is spoken here; None without TLS."""
        if self.scheme == "https" and self._context is None:
            self._context = self._context_factory()
        return self._context

    def prepared_with(self, fields: Fields) -> dict[Prepared, tuple[str, bytes]]:
        """The Host, and what is the same in each message, of prepared requests with these header fields: for all users."""
        return self._prepared.setdefault(fields, {})

    def addresses(self) -> list[Address]:
        """Where to connect, the address that worked last first. Raises Failure `dns`."""
        if not self._addresses:
            with self._lookup:  # the first user asks for all, and is told for all that there is no such name
                if time.monotonic() < self._unknown_until:
                    raise Failure("dns", self.host)
                self._addresses = self._addresses or self._resolve()
        return self._addresses

    def worked(self, address: Address) -> None:
        """The address took a connection."""
        if self._addresses[0] != address:
            self._addresses = [address, *(other for other in self._addresses if other != address)]

    def _resolve(self) -> list[Address]:
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as error:
            self._unknown_until = time.monotonic() + ASK_AGAIN_S
            raise Failure("dns", self.host) from error
        return list(dict.fromkeys((family, address) for family, _, _, _, address in found))
