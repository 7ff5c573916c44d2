"""What the benchmarks read of other tools, and what they say of a result."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.generator import RESULT
from benchmarks.machine import Cost
from benchmarks.render import PROMISES, render
from benchmarks.tools import Tool, flat_out

SAID = {
    "wrk": """Running 4s test @ http://127.0.0.1:8999
  1 threads and 100 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   512.10us  401.20us  12.01ms   90.11%
    Req/Sec   128.90k     3.10k  134.20k    80.00%
  Latency Distribution
     50%  382.00us
     75%  600.00us
     90%  702.00us
     99%    1.21ms
  514633 requests in 4.00s, 170.11MB read
Requests/sec: 128658.38
Transfer/sec:     42.53MB
""",
    "hey": """
Summary:
  Total:	4.0012 secs
  Requests/sec:	51752.6463

Latency distribution:
  50% in 0.0019 secs
  99% in 0.0045 secs

Status code distribution:
  [200]	207070 responses
""",
    "ab": """Complete requests:      530433
Failed requests:        0
Requests per second:    132608.25 [#/sec] (mean)

Percentage of the requests served within a certain time (ms)
  50%      1
  99%      2
 100%      5 (longest request)
""",
}
EXPECTED = {"wrk": (128658.38, 0.382, 1.21), "hey": (51752.6463, 1.9, 4.5), "ab": (132608.25, 1.0, 2.0)}
TOOLS = {tool.name: tool for tool in flat_out("/nowhere/k6")}


def read(tool: Tool, said: str, folder: Path) -> tuple[float, float | None, float | None]:
    """Rate, p50 and p99 in milliseconds."""
    found = tool.read(Cost(said, 1.0, 10.0), 4.0, folder)
    assert found.cpu_us == pytest.approx(1e6 / found.rate)
    return found.rate, found.p50_ms, found.p99_ms


@pytest.mark.parametrize("name", SAID)
def test_output_of_a_peer_is_read(name: str, tmp_path: Path) -> None:
    """Rates and percentiles are those that the tool prints, in milliseconds whatever unit it chose."""
    assert read(TOOLS[name], SAID[name], tmp_path) == pytest.approx(EXPECTED[name])


def test_output_of_k6_is_read(tmp_path: Path) -> None:
    """k6 leaves its summary in a file."""
    times = {"p(50)": 4.3, "p(99)": 25.3}
    metrics = {"http_reqs": {"rate": 18277.8}, "http_req_failed": {"passes": 3}, "http_req_duration": times}
    (tmp_path / "k6.json").write_text(json.dumps({"metrics": metrics}))
    assert read(TOOLS["k6"], "", tmp_path) == pytest.approx((18277.8, 4.3, 25.3))


@pytest.mark.parametrize("name", SAID)
def test_output_without_figures_is_no_result(name: str, tmp_path: Path) -> None:
    """A tool that failed is not measured as zero."""
    with pytest.raises((ValueError, AttributeError)):
        TOOLS[name].read(Cost("connection refused", 1.0, 10.0), 4.0, tmp_path)


def test_a_missing_peer_is_seen() -> None:
    """What is not installed is known before it is started."""
    assert not TOOLS["k6"].is_there


@pytest.fixture
def result() -> dict[str, Any]:
    """The committed result."""
    found: dict[str, Any] = json.loads(RESULT.read_text())
    return found


def test_page_is_that_of_the_result(result: dict[str, Any]) -> None:
    """benchmarks/README.md says what generator.json holds, and nothing by hand."""
    assert (RESULT.parents[1] / "README.md").read_text() == render(result)


def test_result_has_the_figures_that_others_read(result: dict[str, Any]) -> None:
    """The keys of generator.json are a contract."""
    assert {"prepared_vs_fasthttp", "get_vs_fasthttp"} <= result["ratios"].keys()
    assert {"achieved_ratio", "lateness_p99_ms", "cpu_cores", "rss_mb"} <= result["ten_thousand"].keys()


def test_missed_promise_is_said(result: dict[str, Any]) -> None:
    """A ratio below its promise, and a figure above its bound, are missed; a peer without a key was not measured."""
    result["ratios"] = {"prepared_vs_fasthttp": 5.9, "get_vs_fasthttp": 3.5, "recording_cost": 0.11}
    result["ten_thousand"]["lateness_p99_ms"] = 5.0
    result["absent"] = ["k6", "hey", "wrk"]
    lines = {line.split(" | ")[0]: line for line in render(result).splitlines()}
    assert "**missed**" in lines["| prepared requests / FastHttpUser"]
    assert "kept" in lines["| `self.client.get/post` / FastHttpUser"]
    assert "**missed**" in lines["| throughput that recording takes"]
    assert "kept" in lines["| 10,000 users: lateness p99 after the ramp, ms"]
    assert "not measured" in lines["| prepared requests / k6"]
    assert "Not installed here, so not measured: k6, hey, wrk." in render(result)
    assert len(PROMISES) == 13
