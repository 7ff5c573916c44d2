"""What comes from the environment: overrides of a scenario and the secrets that may be written nowhere."""

import base64
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, quote_plus

ENV_PREFIX = "LOADTEST_"

# Names shared by the processes of a run. Secrets travel in the environment only: never in a file, a message or a log.
GRAFANA_TOKEN = "LOADTEST_GRAFANA_TOKEN"  # noqa: S105  # a name, no secret
GRAFANA_USER = "LOADTEST_GRAFANA_USER"
GRAFANA_PASSWORD = "LOADTEST_GRAFANA_PASSWORD"  # noqa: S105  # a name, no secret
JWT_SECRET = "LOADTEST_JWT_SECRET"  # noqa: S105  # a name, no secret
DSN = "LOADTEST_DSN"
REDIS_URL = "LOADTEST_REDIS_URL"
BROKER_URL = "LOADTEST_BROKER_URL"
STATE_DIR = "LOADTEST_STATE_DIR"
INFLUX_URL = "LOADTEST_INFLUX_URL"
INFLUX_DATABASE = "LOADTEST_INFLUX_DATABASE"
INFLUX_ORG = "LOADTEST_INFLUX_ORG"
INFLUX_API = "LOADTEST_INFLUX_API"
INFLUX_USER = "LOADTEST_INFLUX_USER"
INFLUX_PASSWORD = "LOADTEST_INFLUX_PASSWORD"  # noqa: S105  # a name, no secret
INFLUX_TOKEN = "LOADTEST_INFLUX_TOKEN"  # noqa: S105  # a name, no secret
METRICS_PORT = "LOADTEST_METRICS_PORT"
SERVICES = "LOADTEST_SERVICES"
"""Where services of a stack that somebody else started listen: `NAME=URL,...`."""
ENGINE = "LOADTEST_ENGINE"
"""`docker` or `podman` to have that one alone, `none` to do without containers."""
COMMIT = "LOADTEST_COMMIT"
"""The harness's commit, where there is no checkout to ask: in its image."""
TOLD = (JWT_SECRET, DSN, REDIS_URL, BROKER_URL)
"""What is known of a stack that somebody else started."""


def without_user(text: str) -> str:
    """An address as it may be shown: what stands before its `@` may be a password, whatever is wrong with the rest."""
    start = text.find("://") + 3 if "://" in text else 0
    end = text.rfind("@")
    return text if end < start else f"{text[:start]}***{text[end:]}"


def hidden(text: str, secrets: Iterable[str]) -> str:
    """The text without the secrets, as they are, as an address has them, or in base64; servers repeat what they were sent."""
    forms: set[str] = set()
    for secret in filter(None, secrets):
        encoded = base64.b64encode(secret.encode()).decode()
        forms |= {secret, quote(secret, safe=""), quote(secret), quote_plus(secret), encoded, encoded.rstrip("=")}
    for form in sorted(forms, key=len, reverse=True):  # one may be a part of another, of which then something would be left
        text = text.replace(form, "***")
    return text


@dataclass(frozen=True)
class Overrides:
    """Values that replace a scenario's own; None leaves the file's. Texts are as the user typed them."""

    users: str | None = None
    duration: str | None = None
    seed: str | None = None
    host: str | None = None
    speed: str | None = None
    sources: Mapping[str, str] = field(default_factory=dict)
    """Where each value came from (`--users`, `LOADTEST_USERS`), for the error that may follow."""


def overrides(flags: Mapping[str, str | None], environ: Mapping[str, str] | None = None) -> Overrides:
    """Flags win over the environment, which wins over the file."""
    environ = os.environ if environ is None else environ
    values: dict[str, str] = {}
    sources: dict[str, str] = {}
    for name in ("users", "duration", "seed", "host", "speed"):
        flag, variable = flags.get(name), environ.get(ENV_PREFIX + name.upper())
        if flag is not None:
            values[name], sources[name] = flag, f"--{name}"
        elif variable:
            values[name], sources[name] = variable, ENV_PREFIX + name.upper()
    return Overrides(**values, sources=sources)
