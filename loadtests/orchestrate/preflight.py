"""What must hold before a load may start, each with one clear line when it does not."""

import http.client
import os
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict
from redis.connection import parse_url

from loadtests import settings
from loadtests.errors import InputError, NotReadyError
from loadtests.orchestrate.ports import port_is_free
from loadtests.scenario.plan import Plan
from loadtests.traffic import tokens

TIMEOUT_S = 5.0


def check_secret(plan: Plan, env: dict[str, str]) -> None:
    """A scenario that mints tokens needs the target's key."""
    if plan.scenario.auth.mode == "mint" and not env.get(settings.JWT_SECRET):
        raise InputError(f"the scenario mints tokens: set {settings.JWT_SECRET} to the target's signing key")


def check_dsn(env: dict[str, str]) -> None:
    """The database's address can be understood. It holds a password, so the error does not repeat it."""
    dsn = env.get(settings.DSN)
    try:
        parts = conninfo_to_dict(dsn or "")
        # A password with an unencoded @ or / ends too soon: its rest is taken for a host, which errors would name.
        if any("@" in str(parts.get(part, "")) for part in ("host", "dbname")):
            raise InputError(f"{settings.DSN}: write an @ in the password as %40 and a / as %2F")
    except psycopg.ProgrammingError:
        raise InputError(
            f"{settings.DSN}: not an address of PostgreSQL (write postgresql://user:password@host:port/database)"
        ) from None


def check_redis_urls(plan: Plan, env: dict[str, str]) -> None:
    """The addresses that the scenario's probes need can be understood, if they are set; they too hold passwords."""
    probes = plan.scenario.probes
    for variable, asked in ((settings.REDIS_URL, probes.redis), (settings.BROKER_URL, probes.celery)):
        try:
            if asked and env.get(variable):
                parse_url(env[variable])  # type: ignore[no-untyped-call]  # has no annotations
        except ValueError:
            raise InputError(f"{variable}: not an address of Redis (write redis://:password@host:port/database)") from None


def check_metrics_port(port: int) -> None:
    """The master will be able to listen there; 0 asks for nothing."""
    if port and not port_is_free(port):
        raise InputError(f"--metrics-port {port}: is taken, or this user may not listen there; give another one")


def check_host(host: str, plan: Plan) -> None:
    """The target answers. Raises NotReadyError."""
    path = plan.scenario.target.health
    status = _status(host, path, {})
    if status >= 400:
        raise NotReadyError(f"target {host}: GET {path} answered {status}; is it the right host, and is it healthy?")


def check_token(host: str, plan: Plan, secret: str) -> None:
    """The target takes a token of the first user. Raises InputError when it refuses it."""
    auth = plan.scenario.auth
    if auth.mode != "mint" or auth.check is None or auth.subject is None:
        return
    token = tokens.mint(secret, tokens.user_id(auth.subject, 0), time.time(), auth.ttl)
    status = _status(host, auth.check, {"Authorization": f"Bearer {token.access}"})
    if status in (401, 403):
        raise InputError(
            f"target {host}: GET {auth.check} answered {status} to a minted token: "
            f"{settings.JWT_SECRET} is not the target's key, or it does not know the users of auth.subject"
        )
    if status >= 400:
        raise NotReadyError(f"target {host}: GET {auth.check} answered {status}")


def _status(host: str, path: str, headers: dict[str, str]) -> int:
    parts = urlsplit(host)
    make = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = make(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", path, headers=headers)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise NotReadyError(f"target {host}: cannot be reached: {getattr(error, 'strerror', None) or error}") from error
    finally:
        connection.close()


def default_workers() -> int:
    """A worker for every two cores: the stack under test wants the others."""
    return max(1, usable_cores() // 2)


def usable_cores(quota: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Cores that this process may use: a container on a large machine may have few of its cores, or of their time."""
    # macOS binds nobody to cores.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError):  # no file, or `max`: no quota
        share_us, period_us = quota.read_text(encoding="ascii").split()
        cores = min(cores, max(1, int(share_us) // int(period_us)))
    return cores
