"""A real HTTP server with tasks: users see their own, in pages, newest first. Tests bend what it says."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import jwt

from loadtests.scenario.schema import Auth
from loadtests.traffic.tokens import ALGORITHM, mint, user_id

SECRET = "the key of the target of these tests"
SUBJECT = "tests:{user}"
MINT = Auth(mode="mint", subject=SUBJECT)
GUEST = Auth(mode="guest", login="/login", refresh="/refresh")
PAGE_SIZE = 2
USERS = {user_id(SUBJECT, user): user for user in range(50)} | {f"loadtest-{user}": user for user in range(50)}
"""Number of each user, by the subject of a minted token or of a guest's."""

Reply = tuple[int, Any]
"""Status and what is said in JSON; bytes are sent as they are."""


def always(status: int, said: Any) -> Callable[..., Reply]:
    """The same answer, whoever asks for whatever."""
    return lambda *_: (status, said)


@dataclass
class TaskTarget:
    """What it knows, how it answers, and what it was asked."""

    url: str = ""
    tasks: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    """Each user's, newest first."""
    clock_off_s: float | None = 0.0
    """How far its clock is ahead; None: it says no date."""
    token_life_s: float = 1800.0
    headers: dict[str, str] = field(default_factory=dict)
    """Sent with every answer."""
    page: Callable[[int, int], Reply] | None = None
    """Answers for a page of a user's tasks, in place of the page itself."""
    item: Callable[[int, str], Reply] | None = None
    """Answers for one task."""
    asked: list[tuple[int, str]] = field(default_factory=list)
    """Users and paths, in order."""
    logins: int = 0
    revoked: set[str] = field(default_factory=set)
    """Tokens that it does not take any more."""

    def now(self) -> float:
        """What its clock says."""
        return time.time() + (self.clock_off_s or 0.0)

    def add(self, user: int, task: str, status: str = "completed", made: float | None = None, **more: Any) -> None:
        """A newer task; it was made now, begun a second later, and has ended another second later."""
        made = self.now() if made is None else made
        moments = {"created_at": made, "started_at": made + 1, "completed_at": made + 2}
        self.tasks.setdefault(user, []).insert(0, {"id": task, "status": status, **moments, **more})

    def paged(self, user: int, page: int) -> Reply:
        """The page as it is."""
        first = (page - 1) * PAGE_SIZE
        return 200, {"tasks": self.tasks.get(user, [])[first : first + PAGE_SIZE]}

    def one(self, user: int, task: str) -> Reply:
        """The task as it is."""
        found = [one for one in self.tasks.get(user, []) if one["id"] == task]
        return (200, found[0]) if found else (404, {})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    target: TaskTarget

    def handle(self) -> None:
        """Serve; a client that hangs up is no fault of the server's."""
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True

    def do_GET(self) -> None:
        """/tasks?page=N and /tasks/ID, for who has a token."""
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        user = self._user(token)
        if user is None:
            return self._answer(401, {})
        self.target.asked.append((user, self.path))
        parts = urlsplit(self.path)
        if parts.path == "/tasks":
            page = int(parse_qs(parts.query)["page"][0])
            return self._answer(*(self.target.page or self.target.paged)(user, page))
        return self._answer(*(self.target.item or self.target.one)(user, unquote(parts.path.removeprefix("/tasks/"))))

    def do_POST(self) -> None:
        """/login gives a guest a token."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.target.logins += 1
        token = mint(SECRET, body["device_id"], self.target.now() - self.target.logins, self.target.token_life_s)
        self._answer(201, {"access_token": token.access, "refresh_token": "r"})

    def _user(self, token: str) -> int | None:
        try:
            claims = jwt.decode(token, SECRET, algorithms=[ALGORITHM], options={"verify_exp": False, "verify_iat": False})
        except jwt.InvalidTokenError:
            return None
        good = token not in self.target.revoked and claims["exp"] > self.target.now()
        return USERS[claims["sub"]] if good else None

    def _answer(self, status: int, said: Any) -> None:
        body = said if isinstance(said, bytes) else json.dumps(said).encode()
        self.send_response_only(status)
        if self.target.clock_off_s is not None:
            self.send_header("Date", formatdate(self.target.now(), usegmt=True))
        for name, value in {**self.target.headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def running_task_target() -> Iterator[TaskTarget]:
    """A target without tasks, while it runs."""
    target = TaskTarget()
    handler = type("Handler", (_Handler,), {"target": target})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    target.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield target
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
