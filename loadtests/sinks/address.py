"""Where metrics go: what flags and environment say together."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from loadtests import settings
from loadtests.errors import InputError


@dataclass(frozen=True)
class Address:
    """Which server and database; secrets are not shown."""

    url: str
    database: str
    org: str = ""
    api: str = ""
    """`1` or `2`; empty: as the server says."""
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)

    @property
    def name(self) -> str:
        """As it may be shown and written to files."""
        return f"{self.url} {self.database}"

    def hide(self, text: str) -> str:
        """The text without this address's secrets, whoever put them there."""
        # Longest first, so that none is found in another.
        return settings.hidden(text, (self.user and f"{self.user}:{self.password}", self.token, self.password))


def address_of(url: str | None, database: str | None, environ: Mapping[str, str]) -> Address | None:
    """What flags and environment say together; None when neither names a server. Raises InputError."""
    where = url or environ.get(settings.INFLUX_URL)
    if not where:
        return None
    source = "--influx" if url else settings.INFLUX_URL
    try:
        parts = urlsplit(where)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and not (parts.query or parts.fragment)
    except ValueError:
        good = False
    if not good:
        raise InputError(f"{source}: {settings.without_user(where)!r} is no address such as http://127.0.0.1:8086")
    if parts.username or parts.password:
        raise InputError(f"{source}: leave user and password out; they belong in {settings.INFLUX_USER} and _PASSWORD")
    api = environ.get(settings.INFLUX_API, "")
    if api not in ("", "1", "2"):
        raise InputError(f"{settings.INFLUX_API}: 1 or 2 (got {api!r})")
    return Address(
        url=where.rstrip("/"),
        database=database or environ.get(settings.INFLUX_DATABASE) or "loadtest",
        org=environ.get(settings.INFLUX_ORG, ""),
        api=api,
        user=environ.get(settings.INFLUX_USER, ""),
        password=environ.get(settings.INFLUX_PASSWORD, ""),
        token=environ.get(settings.INFLUX_TOKEN, ""),
    )
