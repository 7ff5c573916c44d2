"""A request of Locust's face: its arguments, put together the way FastHttpSession does it."""

import json as jsons
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlencode, urljoin, urlsplit

import requests

from loadtests.engine.http.failures import Failure
from loadtests.engine.http.wire import Fields, Head

DEFAULT_PORTS = {"http": 80, "https": 443}
_UNIX = "http+unix://"
REDIRECTS = {301, 302, 303, 307, 308}
_TO_GET = {301, 302, 303}
_BODY_FIELDS = {"content-length", "content-type", "content-encoding"}
IDEMPOTENT = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"}


class _File(Protocol):
    def read(self) -> bytes | str: ...


Body = str | bytes | bytearray | Mapping[str, Any] | _File | Iterable[bytes] | None
Params = Mapping[str, Any] | Iterable[tuple[str, Any]] | str | None


@dataclass
class Outgoing:
    """One request, ready to be written."""

    method: str
    url: str
    fields: Fields
    body: bytes | None

    @property
    def idempotent(self) -> bool:
        """Whether it may be sent twice (RFC 9110, section 9.2.2)."""
        return self.method in IDEMPOTENT

    def redirected(self, head: Head, location: str) -> "Outgoing":
        """The request that a redirect asks for (RFC 9110, section 15.4). Raises Failure `redirects` when it leaves HTTP."""
        url = _joined(self.url, location)
        following = Outgoing(self.method, url, self.fields, self.body)
        if head.status in _TO_GET and self.method != "HEAD":
            following.method, following.body = "GET", None
            following.fields = following.fields.without(_BODY_FIELDS)
        if _origin(self.url) != _origin(url):
            following.fields = following.fields.without({"Authorization", "Cookie", "Host"})
        return following


def _joined(url: str, location: str) -> str:
    """Where `location` leads from `url`. A path leads to the same server, on a unix socket too, which urljoin does not know."""
    unix = url.startswith(_UNIX)
    try:
        joined = urljoin(url.replace(_UNIX, "http://", 1), location)
        scheme, host, _ = _origin(joined)
    except ValueError as error:
        raise Failure("redirects", f"{url} sends to {location}: {error}") from error
    if scheme not in DEFAULT_PORTS or not host:
        raise Failure("redirects", f"{url} sends to {location}")
    stays = not urlsplit(location).scheme and not location.startswith("//")
    return joined.replace("http://", _UNIX, 1) if unix and stays else joined


def _origin(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port. Raises ValueError for what is no URL."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or DEFAULT_PORTS.get(parts.scheme)


def location_of(head: Head) -> str | None:
    """Where a redirect goes; None when the response is none."""
    if head.status not in REDIRECTS:
        return None
    return next((value for name, value in head.fields if name.lower() == "location" and value), None)


def basic(user: str | bytes, password: str | bytes) -> str:
    """The Authorization header of a name and a password."""
    parts = (part if isinstance(part, bytes) else part.encode("latin-1") for part in (user, password))
    return "Basic " + b64encode(b":".join(parts)).decode("ascii")


def with_params(url: str, params: Params) -> str:
    """The URL with more parameters in its query."""
    if not params:
        return url
    query = params if isinstance(params, str) else urlencode(_present(params), doseq=True)
    path, mark, fragment = url.partition("#")
    return f"{path}{'&' if '?' in path else '?'}{query}{mark}{fragment}"


def _present(params: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> list[tuple[str, Any]]:
    pairs = params.items() if isinstance(params, Mapping) else params
    return [(name, value) for name, value in pairs if value is not None]


def encode_body(data: Body, json: Any, files: Any) -> tuple[bytes | None, dict[str, str]]:
    """The body, and the headers that describe it."""
    if files:
        form = requests.Request("POST", "http://form.invalid", files=files, data=data or {}).prepare()  # type: ignore[arg-type]  # what it cannot take it refuses itself
        assert isinstance(form.body, bytes)
        return form.body, {"Content-Type": str(form.headers["Content-Type"])}
    if not data:
        if json is None:
            return None, {}
        return jsons.dumps(json).encode(), {"Content-Type": "application/json", "Accept": "application/json"}
    if isinstance(data, Mapping):
        return urlencode(data, doseq=True).encode(), {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    if isinstance(data, str):
        return data.encode(), {"Content-Type": "text/plain; charset=utf-8"}
    if isinstance(data, bytes | bytearray):
        return bytes(data), {"Content-Type": "application/octet-stream"}
    return _read(data), {"Content-Type": "application/octet-stream"}


def _read(data: _File | Iterable[bytes]) -> bytes:
    read = getattr(data, "read", None)
    content = b"".join(data) if read is None else read()  # type: ignore[arg-type]
    return content.encode() if isinstance(content, str) else bytes(content)
