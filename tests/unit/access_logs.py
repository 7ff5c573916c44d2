"""Lines of access logs for tests, as nginx writes them."""

from datetime import UTC, datetime

START_S = 1_795_629_055
"""2026-11-25T17:50:55Z."""


def main_line(at_s: float, request: str = "GET /a HTTP/1.1", status: int = 200, took_s: float = 0.25) -> str:
    """A line of nginx.conf's format, of a request that arrived `at_s` seconds after START_S and took so long."""
    end_s = START_S + at_s + took_s
    moment = datetime.fromtimestamp(end_s, UTC).isoformat(timespec="seconds")
    times = f"request_time={took_s:.3f} msec={end_s:.3f} upstream_time=0.003"
    return f'{moment} 127.0.0.1 "{request}" {status} bytes=44 {times} upstream=127.0.0.1:1 cache=- id=e33\n'


def combined_line(at_s: int, request: str = "GET /a HTTP/1.1", status: int = 200, user: str = "-") -> str:
    """A line of nginx's `combined` format."""
    moment = datetime.fromtimestamp(START_S + at_s, UTC)
    return f'10.0.0.7 - {user} [{moment:%d/%b/%Y:%H:%M:%S} +0000] "{request}" {status} 512 "-" "curl/8.0 [x] \\x22y\\x22"\n'
