"""nginx before the API: `python -m app.edge --listen PORT --upstream HOST:PORT ... --folder DIR`.

Puts nginx.conf, the files that it includes and the built page into the folder, and lets nginx check
them. With --run this process then becomes nginx, in the foreground.
"""

import argparse
import grp
import ipaddress
import os
import pwd
import re
import resource
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Self

from app import assets

CONF = Path(__file__).resolve().parents[2] / "nginx.conf"
INSTALL = "apt-get install nginx-light"
BACKLOG = 16384
# Two connections for each of worker_connections, and some for files.
OPEN_FILES = 2 * 16384 + 1024
UNPRIVILEGED = "nobody"

# After three failures in five seconds an instance is asked nothing for five seconds.
_HEALTH = "max_fails=3 fail_timeout=5s"
_LIMITS = {
    "on": (
        "limit_req zone=user burst=20 nodelay;\n"
        "limit_req zone=address burst=200 nodelay;\n"
        "limit_req zone=login burst=10 nodelay;\n"
    ),
    "off": "# No limits: one generator plays all users.\n",
}
_THIS_MACHINE = ("127.0.0.1", "::1")
_ADDRESS = re.compile(
    r"(?:(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?):)?(?P<port>\d{1,5})"
)


class EdgeError(Exception):
    """The edge cannot be set up; the message is one line."""


@dataclass(frozen=True)
class Address:
    """A TCP address as nginx writes it; `host` of IPv6 in brackets."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str, default_host: str | None = None) -> Self:
        """Read HOST:PORT, or PORT alone if there is a default for the host.

        Raises:
            EdgeError: it is no address.
        """
        match = _ADDRESS.fullmatch(text)
        host = (match["host"] or default_host) if match else None
        if match is None or host is None or not 1 <= int(match["port"]) <= 65535:
            wanted = "HOST:PORT" if default_host is None else "[ADDRESS:]PORT"
            raise EdgeError(f"{text!r} is no address, {wanted} is expected")
        return cls(host, int(match["port"]))

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Edge:
    """What is asked for."""

    listen: Address
    upstreams: tuple[Address, ...]
    folder: Path
    """Absolute; nginx's prefix and working directory."""
    conf: Path = CONF
    rate_limit: str = "on"
    static: Path | None = None
    """A folder that app.assets has built; None builds the page of this project."""
    access_log: Path | None = None
    """Absolute; None leaves it in the folder."""
    inside: tuple[str, ...] = ()
    """Networks that may ask for everything, beside this machine."""


def prepare(edge: Edge) -> None:
    """Write all that nginx needs into the folder.

    Raises:
        EdgeError: something cannot be read or written.
    """
    try:
        edge.folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            _let_workers_in(edge.folder)
        _write(edge.folder / "nginx.conf", edge.conf.read_text(encoding="utf-8"))
        for name, text in _included(edge).items():
            _write(edge.folder / name, text)
        _put_page(edge)
    except OSError as error:
        raise EdgeError(f"{error.filename}: {error.strerror}") from error
    except assets.AssetError as error:
        raise EdgeError(str(error)) from error


def check(nginx: str, folder: Path) -> None:
    """Let nginx test the configuration.

    Raises:
        EdgeError: it has refused it; the message is nginx's own.
    """
    tested = subprocess.run(  # noqa: S603 - nginx, and a folder of ours
        [*_command(nginx, folder), "-t", "-q"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if tested.returncode != 0:
        lines = tested.stderr.splitlines()
        fatal = [line for line in lines if "[emerg]" in line]
        raise EdgeError((fatal or lines or [f"{nginx} -t failed"])[0])


def become_nginx(nginx: str, edge: Edge) -> NoReturn:
    """Replace this process by nginx in the foreground; SIGTERM then ends it at once.

    Raises:
        EdgeError: somebody else listens on the port.
    """
    _claim(edge.listen)
    os.chdir(edge.folder)
    # A killed nginx leaves it, and the next one cannot bind it then.
    Path("origin.sock").unlink(missing_ok=True)
    os.execv(nginx, [*_command(nginx, edge.folder), "-g", "daemon off;"])  # noqa: S606 - no shell


def find_nginx() -> str:
    """Where nginx is; for users other than root its folder is often not searched.

    Raises:
        EdgeError: it is not installed.
    """
    folders = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin"])
    found = shutil.which("nginx", path=folders)
    if found is None:
        raise EdgeError(f"nginx is not installed; {INSTALL}")
    return os.path.abspath(found)


def _command(nginx: str, folder: Path) -> list[str]:
    return [nginx, "-p", str(folder), "-c", "nginx.conf", "-e", "stderr"]


def _included(edge: Edge) -> dict[str, str]:
    _, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = OPEN_FILES if hard_limit == resource.RLIM_INFINITY else min(OPEN_FILES, hard_limit)
    process = f"worker_rlimit_nofile {files};\n"
    if os.geteuid() == 0:
        account = pwd.getpwnam(UNPRIVILEGED)
        process += f"user {account.pw_name} {grp.getgrgid(account.pw_gid).gr_name};\n"
    # Each worker has a queue of its own; the kernel spreads new connections over them.
    listen = f"listen {edge.listen} default_server reuseport backlog={BACKLOG};\n"
    if edge.access_log is not None:
        listen += f'access_log "{edge.access_log}" main buffer=64k flush=1s;\n'
    return {
        "process.conf": process,
        "listen.conf": listen,
        "upstream.conf": "".join(f"server {one} {_HEALTH};\n" for one in edge.upstreams),
        "limits.conf": _LIMITS[edge.rate_limit],
        "inside.conf": "".join(f"allow {one};\n" for one in (*_THIS_MACHINE, *edge.inside)),
    }


def _put_page(edge: Edge) -> None:
    web = edge.folder / "web" / "static"
    if edge.static is None:
        assets.build(assets.WEB, web)
    elif not (edge.static / assets.PAGE).is_file():
        raise EdgeError(f"{edge.static}: no {assets.PAGE}, which app.assets would build")
    else:
        # A copy, with its times, wherever the original lies and whoever may read it.
        shutil.copytree(edge.static, web, dirs_exist_ok=True)
    for path in (web.parent, *web.parent.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o644)


def _let_workers_in(folder: Path) -> None:
    """As root: nginx's workers are nobody, and must be able to enter the folder."""
    folder.chmod(folder.stat().st_mode | 0o011)
    for parent in folder.parents:
        if not parent.stat().st_mode & 0o001:
            raise EdgeError(f"{folder}: {UNPRIVILEGED} cannot get there, {parent} is closed")


def _claim(listen: Address) -> None:
    """Refuse a port in use: `reuseport` would let two nginx share it, and half of what comes."""
    host = listen.host.strip("[]")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, listen.port, type=socket.SOCK_STREAM
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise EdgeError(f"cannot listen on {listen}: {error.strerror}") from error


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Say it in one line."""
        self.exit(2, f"{self.prog}: {message}\n")


def _parse() -> tuple[Edge, bool]:
    parser = _Parser(prog="python -m app.edge", description="nginx before the API.")
    parser.add_argument(
        "--listen", required=True, metavar="[ADDRESS:]PORT", help="default address: 127.0.0.1"
    )
    parser.add_argument("--upstream", action="append", default=[], metavar="HOST:PORT[,...]")
    parser.add_argument("--folder", type=Path, required=True, help="nginx's prefix")
    parser.add_argument("--conf", type=Path, default=CONF, help="default: %(default)s")
    parser.add_argument("--rate-limit", choices=sorted(_LIMITS), default="on")
    parser.add_argument("--static", type=Path, help="what app.assets has built")
    parser.add_argument(
        "--access-log", default="", metavar="FILE", help="default: access.log in the folder"
    )
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="NETWORK",
        help="who may ask for /healthz and /metrics beside this machine, such as 10.0.0.0/8",
    )
    parser.add_argument("--run", action="store_true", help="become nginx, in the foreground")
    given = parser.parse_args()
    if not given.upstream:
        raise EdgeError("at least one --upstream is needed")
    edge = Edge(
        Address.parse(given.listen, "127.0.0.1"),
        tuple(Address.parse(text) for text in ",".join(given.upstream).split(",")),
        given.folder.absolute(),
        given.conf,
        given.rate_limit,
        given.static,
        _access_log(given.access_log),
        tuple(_network(text) for text in given.allow),
    )
    return edge, given.run


def _access_log(text: str) -> Path | None:
    """A path that nginx takes for no more than a path; relative to what, nobody could say."""
    if text and not re.fullmatch(r"/[^\0-\x1f\"$\\]+", text):
        raise EdgeError(f"--access-log {text!r}: a whole path without quotes, $ and \\ is needed")
    return Path(text) if text else None


def _network(text: str) -> str:
    """The network as nginx writes it."""
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise EdgeError(f"--allow {error}") from None


def main() -> int:
    """Entry point; returns the exit code, or never with --run."""
    try:
        edge, run = _parse()
        nginx = find_nginx()
        prepare(edge)
        check(nginx, edge.folder)
        if run:
            become_nginx(nginx, edge)
    except EdgeError as error:
        print(f"python -m app.edge: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
