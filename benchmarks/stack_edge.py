"""What the CDN edge is worth: how many requests for an asset the origin sees."""

import re
import tempfile
import urllib.parse
import urllib.request
from collections import Counter
from pathlib import Path

from benchmarks.stack_run import ROOT
from loadtests.orchestrate.embedded import EmbeddedStack
from loadtests.orchestrate.processes import ProcessManager

REQUESTS = 2000
_ASSET = re.compile(r'(?:src|href)="([^"]+\.(?:js|css))"')


def edge_requests() -> dict[str, int]:
    """Ask for a hashed asset again and again; how often, and how often the edge had to ask the origin."""
    seen: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="loadtest-bench-") as logs, ProcessManager(Path(logs)) as processes:
        host = EmbeddedStack(processes, ROOT / "backend" / "stack.toml", "wheels", None).up(1, {}).host or ""
        page, _ = _get(f"{host}/static/index.html")
        found = _ASSET.search(page)
        if found is None:
            raise RuntimeError("the page names no asset")
        asset = urllib.parse.urljoin(f"{host}/static/index.html", found.group(1))
        for _ in range(REQUESTS):
            _, status = _get(asset)
            seen[status] += 1
    return {"requests": REQUESTS, "origin": REQUESTS - seen["HIT"]}


def _get(url: str) -> tuple[str, str]:
    with urllib.request.urlopen(url, timeout=5) as answer:  # our own
        return answer.read().decode(), answer.headers.get("X-Cache-Status", "")
