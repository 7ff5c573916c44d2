"""A target that is not the limit: nginx with one worker, answering from memory."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.machine import SERVER_CORE

CONFIG = """
worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_rlimit_nofile {files};
events {{ worker_connections 16384; }}
http {{
    access_log off; keepalive_timeout 600; keepalive_requests 1000000000;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=8192;
        location /api/v1/tasks {{
            default_type application/json;
            if ($http_authorization = "") {{ return 401; }}
            if ($request_method = POST) {{ return 201 '{created}'; }}
            return 200 '{listed}';
        }}
    }}
}}
"""
CREATED = '{"id":"0b8f1c1e-5f0e-4c7e-8d60-1f2f6a3f2d11","status":"pending"}'
LISTED = '{"tasks":[],"total":0,"page":1,"page_size":20,"padding":"' + "x" * 200 + '"}'
READY_WITHIN_S = 10.0


@contextmanager
def nginx() -> Iterator[str]:
    """The base address of a running nginx, pinned to the server's core."""
    with tempfile.TemporaryDirectory(prefix="loadtest-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        config = CONFIG.format(folder=folder, port=port, files=16_500, created=CREATED, listed=LISTED)
        (folder / "nginx.conf").write_text(config)
        command = [
            "taskset",
            "-c",
            str(SERVER_CORE),
            program(),
            "-c",
            str(folder / "nginx.conf"),
            "-e",
            str(folder / "error.log"),
        ]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
            try:
                _wait(f"http://127.0.0.1:{port}/api/v1/tasks", folder / "error.log")
                yield f"http://127.0.0.1:{port}"
            finally:
                server.terminate()
                server.wait()


def program() -> str:
    """Where nginx is. Raises SystemExit with one line when it is missing."""
    found = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if found is None:
        raise SystemExit("nginx is missing (Debian: apt-get install nginx-light)")
    return found


def _wait(url: str, log: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    request = urllib.request.Request(url, headers={"Authorization": "Bearer x"})
    while True:
        try:
            with urllib.request.urlopen(request, timeout=1):
                return
        except OSError as error:
            if time.monotonic() > deadline:
                said = log.read_text() if log.exists() else ""
                raise SystemExit(f"nginx did not start: {error} {said}") from error
            time.sleep(0.05)
