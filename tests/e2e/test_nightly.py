"""Nights of the real command against a server whose latency is the test's to choose."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.e2e.command import Command, Finished

SUITE = """\
name = "short"
description = "Lists alone."
rounds = 2

[[parts]]
scenario = "{scenario}"
users = {users}
"""
SCENARIO = """\
name = "lists"

[target]
host = "{host}"

[load]
users = 20
rate_per_user = 5.0
duration = "2s"
drain = "1s"

[[mix]]
journey = "list_tasks"

[objectives]
failures = "failure_ratio < 1%"
"""


class _Lists(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    delay_s = 0.0

    def do_GET(self) -> None:
        time.sleep(self.delay_s)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@contextmanager
def _server() -> Iterator[tuple[str, type[_Lists]]]:
    handler = type("Lists", (_Lists,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", handler
    finally:
        server.shutdown()
        server.server_close()


def _night(suite: Path, out: Path, *flags: str) -> Finished:
    return Command(out, ("nightly", str(suite), "--plain", "--out", str(out), *flags)).start().finish()


def test_nights_find_a_regression(tmp_path: Path, out: Path) -> None:
    """The first night is the baseline; a slower one ends with 1 and names the figure; other conditions are refused with 2.

    Every run of every night is a line of the history, the refused one's too.
    """
    suite, scenario = tmp_path / "short.toml", tmp_path / "lists.toml"
    suite.write_text(SUITE.format(scenario=scenario, users=20))
    with _server() as (host, handler):
        handler.delay_s = 0.02
        scenario.write_text(SCENARIO.format(host=host))
        first = _night(suite, out)
        assert first.code == 0, first.errors
        assert "this night is the baseline now" in first.output
        handler.delay_s = 0.08
        second = _night(suite, out)
        assert second.code == 1, second.output + second.errors
        told = json.loads((out / "latest-night" / "night.json").read_text())
        assert "lists: service_time(list_tasks).p50" in told["regressions"]
        assert (
            "REGRESSION" in second.output
            and "**slower: service_time(list_tasks).p50" in (out / "latest-night" / "night.md").read_text()
        )
        suite.write_text(SUITE.format(scenario=scenario, users=10))
        third = _night(suite, out)
    assert third.code == 2
    (line,) = third.errors.strip().splitlines()
    assert "lists: not comparable with the baseline of" in line and "load.users 20 against 10" in line
    assert f"## short: ENDED EARLY: {line.removeprefix('loadtest: ')[:40]}" in (out / "latest-night" / "night.md").read_text()
    history = [json.loads(text) for text in (out / "history" / "short.jsonl").read_text().splitlines()]
    assert [entry["round"] for entry in history] == [1, 2, 1, 2, 1]
    assert len({entry["night"] for entry in history}) == 3
