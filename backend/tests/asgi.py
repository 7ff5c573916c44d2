"""One request to an ASGI application and nothing around it: every byte of it is the test's."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from starlette.types import ASGIApp, Message

Header = tuple[str, str]
LEFT = b"the client has left"


@dataclass(frozen=True)
class Answer:
    """What the application sent."""

    status: int
    headers: list[Header]
    body: bytes

    def json(self) -> Any:
        """The body's content."""
        return json.loads(self.body)

    def get(self, name: str) -> str | None:
        """The value of the header, whose name is in lower case; None if there is none."""
        return dict(self.headers).get(name)


async def ask(
    app: ASGIApp,
    method: str,
    target: str,
    token: str | None = None,
    *,
    headers: Iterable[Header] = (),
    body: bytes | Iterable[bytes] = b"",
    client: str = "192.0.2.1",
) -> Answer:
    """Send one request; a body of several parts arrives in several messages.

    LEFT as the last part: the client goes away instead. What the application raises is raised here.
    """
    path, _, query = target.partition("?")
    given = [] if token is None else [("authorization", f"Bearer {token}")]
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": quote(path).encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in (*given, *headers)],
        "client": (client, 50_000),
        "server": ("api", 80),
    }
    parts = [body] if isinstance(body, bytes) else list(body)
    sent: list[Message] = []

    async def receive() -> Message:
        if not parts or parts[0] is LEFT:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start, *bodies = sent
    return Answer(
        start["status"],
        [(name.decode().lower(), value.decode()) for name, value in start["headers"]],
        b"".join(one.get("body", b"") for one in bodies),
    )
