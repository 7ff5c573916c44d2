"""A stand-in for Grafana over HTTP: what its API does with folders, datasources, dashboards and annotations, and its bad days.

For tests of the gateway and for a look at what `loadtest dashboards` would send, where no Grafana is at hand.
"""

import base64
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

Json = dict[str, Any]
Mood = Literal["well", "empty", "page", "error page", "redirect", "out of order", "silent"]
"""How it answers: `empty` does what it is told and answers 204 without a body, as proxies and some of its own routes do;
`page` puts a login page with status 200 in the place of JSON, `error page` an HTML error, `out of order` an error in JSON."""
PAGE = "<html><body>a message for you: <b>log in</b></body></html>"


@dataclass(frozen=True)
class Asked:
    """One question that was put to it."""

    method: str
    path: str
    query: dict[str, list[str]]
    body: Any


@dataclass
class _Answer(Exception):
    """Ends the handling of a question."""

    status: int
    body: Any


def _message(code: int, text: str, **more: Any) -> _Answer:
    return _Answer(code, {"message": text, **more})


@dataclass
class FakeGrafana:
    """A running stand-in, as a context manager; what it holds may be read and changed."""

    token: str | None = None
    """What it asks for; None with `user`."""
    user: tuple[str, str] | None = None
    role: str = "Admin"
    mood: Mood = "well"
    prefix: str = ""
    """Path that it lives under, such as `/grafana`."""
    database: str = "ok"
    folders: dict[str, Json] = field(default_factory=dict)
    datasources: dict[str, Json] = field(default_factory=dict)
    dashboards: dict[str, Json] = field(default_factory=dict)
    """By uid, each with `dashboard` and `meta`."""
    annotations: list[Json] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)

    def __enter__(self) -> "FakeGrafana":
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._server.server_address[1]}{self.prefix}"

    def answer(self, asked: Asked, authorization: str) -> tuple[int, Any]:
        """Status and body for a question."""
        with self._lock:
            self.asked.append(asked)
            try:
                self._check(asked, authorization)
                return 200, self._route(asked)
            except _Answer as answer:
                return answer.status, answer.body

    def _check(self, asked: Asked, authorization: str) -> None:
        if asked.path == "/health":
            return
        good = f"Bearer {self.token}"
        if self.user is not None:
            good = "Basic " + base64.b64encode(":".join(self.user).encode()).decode()
        if authorization != good:
            raise _message(401, "Invalid API key" if self.user is None else "Invalid username or password")
        if self.role == "Viewer" and asked.method != "GET":
            raise _message(403, "You'll need additional permissions to perform this action.")

    def _route(self, asked: Asked) -> Any:
        _, *parts = asked.path.split("/")
        handlers: dict[tuple[str, str], Callable[[Asked, list[str]], Any]] = {
            ("GET", "health"): self._health,
            ("GET", "folders"): self._get_folder,
            ("POST", "folders"): self._post_folder,
            ("GET", "datasources"): self._get_datasource,
            ("POST", "datasources"): self._post_datasource,
            ("PUT", "datasources"): self._put_datasource,
            ("GET", "dashboards"): self._get_dashboard,
            ("POST", "dashboards"): self._post_dashboard,
            ("GET", "annotations"): self._get_annotations,
            ("POST", "annotations"): self._post_annotation,
        }
        handler = handlers.get((asked.method, parts[0]))
        if handler is None:
            raise _message(404, "Not found")
        return handler(asked, parts[1:])

    def _health(self, asked: Asked, parts: list[str]) -> Json:
        if self.database != "ok":
            raise _Answer(503, {"database": self.database, "version": "12.4.0"})
        return {"commit": "fake", "database": self.database, "version": "12.4.0"}

    # Folders.

    def _get_folder(self, asked: Asked, parts: list[str]) -> Json:
        return _known(self.folders, "".join(parts), "folder not found")

    def _post_folder(self, asked: Asked, parts: list[str]) -> Json:
        uid, title = asked.body.get("uid") or f"uid{len(self.folders)}", asked.body.get("title")
        if not title:
            raise _message(400, "folder title cannot be empty")
        if uid in self.folders:
            raise _message(409, "a folder with the same UID already exists", status="name-exists")
        self.folders[uid] = {"id": len(self.folders) + 1, "uid": uid, "title": title, "version": 1}
        return self.folders[uid]

    # Datasources. Numbers are as good as gone: only uids are known.

    def _get_datasource(self, asked: Asked, parts: list[str]) -> Json:
        return _known(self.datasources, parts[1] if parts[:1] == ["uid"] else "", "Data source not found")

    def _post_datasource(self, asked: Asked, parts: list[str]) -> Json:
        if any(asked.body["name"] == one["name"] or asked.body.get("uid") == uid for uid, one in self.datasources.items()):
            raise _message(409, "data source with the same name already exists")
        return self._keep_datasource(asked.body.get("uid") or f"uid{len(self.datasources)}", asked.body, 1)

    def _put_datasource(self, asked: Asked, parts: list[str]) -> Json:
        there = _known(self.datasources, parts[1] if parts[:1] == ["uid"] else "", "Data source not found")
        if there["readOnly"]:
            raise _message(403, "Cannot update read-only data source")
        if asked.body.get("version") not in (None, there["version"]):
            raise _message(409, "Datasource has already been updated by someone else. Please reload and try again")
        return self._keep_datasource(parts[1], asked.body, there["version"] + 1)

    def _keep_datasource(self, uid: str, body: Json, version: int) -> Json:
        """Secrets go in and never come out: only that there is one."""
        secrets = dict.fromkeys(body.get("secureJsonData") or {}, True)
        shown = {key: value for key, value in body.items() if key != "secureJsonData"}
        made = {**shown, "uid": uid, "id": 1, "version": version, "readOnly": False, "secureJsonFields": secrets}
        self.datasources[uid] = made
        return {"message": "Datasource added", "id": 1, "name": made["name"], "datasource": made}

    # Dashboards.

    def _get_dashboard(self, asked: Asked, parts: list[str]) -> Json:
        return _known(self.dashboards, parts[1] if parts[:1] == ["uid"] else "", "Dashboard not found")

    def _post_dashboard(self, asked: Asked, parts: list[str]) -> Json:
        wanted, folder = asked.body["dashboard"], asked.body.get("folderUid", "")
        if folder and folder not in self.folders:
            raise _message(400, "folder not found", status="not-found")
        if not wanted.get("title"):
            raise _message(400, "Dashboard title cannot be empty")
        uid = wanted.get("uid") or f"uid{len(self.dashboards)}"
        there = self.dashboards.get(uid)
        if there is not None and there["meta"].get("provisioned"):
            raise _message(400, "Cannot save provisioned dashboard")
        if there is not None and not asked.body.get("overwrite") and wanted.get("version") != there["dashboard"]["version"]:
            raise _message(412, "The dashboard has been changed by someone else", status="version-mismatch")
        version = 1 if there is None else there["dashboard"]["version"] + 1
        number = len(self.dashboards) + 1 if there is None else there["dashboard"]["id"]
        kept = {**wanted, "uid": uid, "id": number, "version": version}
        self.dashboards[uid] = {"dashboard": kept, "meta": {"folderUid": folder, "provisioned": False, "version": version}}
        return {"id": number, "uid": uid, "url": f"/d/{uid}/x", "status": "success", "version": version, "slug": "x"}

    # Annotations.

    def _get_annotations(self, asked: Asked, parts: list[str]) -> list[Json]:
        tags, limit = set(asked.query.get("tags", [])), int(asked.query.get("limit", ["100"])[0])
        return [one for one in reversed(self.annotations) if tags <= set(one["tags"])][:limit]

    def _post_annotation(self, asked: Asked, parts: list[str]) -> Json:
        body = asked.body
        if not body.get("text"):
            raise _message(400, "text field should not be empty")
        if body.get("dashboardUID") and body["dashboardUID"] not in self.dashboards:
            raise _message(400, "Dashboard not found")
        made = {"id": len(self.annotations) + 1, "dashboardUID": body.get("dashboardUID"), "text": body["text"]}
        made |= {"time": body["time"], "timeEnd": body.get("timeEnd") or body["time"], "tags": body.get("tags") or []}
        self.annotations.append(made)
        return {"message": "Annotation added", "id": made["id"]}

    def wait_until_stopped(self) -> None:
        """What a silent server does."""
        self._stopped.wait()


def _known(things: dict[str, Json], uid: str, otherwise: str) -> Json:
    if uid not in things:
        raise _message(404, otherwise)
    return things[uid]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, grafana: FakeGrafana) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.grafana = grafana


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer is one packet: two would wait for each other's acknowledgement
    server: _Server

    def _handle(self) -> None:
        grafana = self.server.grafana
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length) or b"null")
        parts = urlsplit(self.path)
        path = unquote(parts.path)
        base = f"{grafana.prefix}/api"
        if grafana.mood == "silent":
            grafana.wait_until_stopped()
            self.close_connection = True
        elif not path.startswith(f"{base}/") or grafana.mood == "page":
            self._reply(200 if grafana.mood == "page" else 404, PAGE, "text/html")
        elif grafana.mood == "error page":
            self._reply(502, PAGE, "text/html")
        elif grafana.mood == "redirect":
            self._reply(301, "", "text/html", f"https://127.0.0.1:1{self.path}")
        elif grafana.mood == "out of order":
            self._reply(500, json.dumps({"message": "database is locked"}))
        else:
            asked = Asked(self.command, path.removeprefix(base), parse_qs(parts.query), body)
            status, answer = grafana.answer(asked, self.headers.get("Authorization", ""))
            empty = grafana.mood == "empty" and self.command != "GET" and status < 300
            self._reply(204 if empty else status, "" if empty else json.dumps(answer))

    do_GET = do_POST = do_PUT = _handle  # noqa: N815  # as http.server wants them

    def _reply(self, status: int, text: str, kind: str = "application/json", location: str | None = None) -> None:
        body = text.encode()
        self.send_response(status, HTTPStatus(status).phrase)
        if status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
        if location is not None:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as http.server calls it
        """Say nothing."""
