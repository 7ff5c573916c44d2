"""`make bench-metrics`: what the sink takes of the generator's throughput, flat out, with a real InfluxDB.

Runs with and without it alternate, and neighbours are compared: a slow minute of the machine meets both. The generator has
core 1; target, master, sink and InfluxDB have core 0. Writes results/metrics.json.
"""

import argparse
import json
import os
import statistics
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.engine import run_scenario
from benchmarks.generator import note
from benchmarks.machine import GENERATOR_CORE, SERVER_CORE, describe
from benchmarks.target import nginx
from tests.influxd import Influxd

RESULT = Path(__file__).parent / "results" / "metrics.json"


def main() -> int:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(prog="make bench-metrics", description=__doc__)
    parser.add_argument("--pairs", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=12.0)
    options = parser.parse_args()
    os.sched_setaffinity(0, {SERVER_CORE})  # children inherit it; workers are given their own
    off: list[float] = []
    on: list[float] = []
    with tempfile.TemporaryDirectory(prefix="loadtest-bench-") as folder, Influxd(Path(folder)) as influxd, nginx() as host:
        for pair in range(options.pairs):
            # Each order as often as the other: what comes second may be slower for that alone.
            for url in (None, influxd.url) if pair % 2 == 0 else (influxd.url, None):
                run = run_scenario("flat_out", host, [GENERATOR_CORE], options.seconds, influx=url)
                (off if url is None else on).append(run.rate)
                note(f"sink {'off' if url is None else 'on'}: {run.rate:,.0f}/s, {run.cpu_us:.1f} us of CPU a request")
        points = sum(
            len(series["values"]) for series in influxd.query("SELECT count(le_inf) FROM loadtest_requests GROUP BY run_id")
        )
    shares = [1 - with_it / without for with_it, without in zip(on, off, strict=True)]
    result = {
        "measured": {**describe(), "date": datetime.now(UTC).date().isoformat()},
        "rates": {"off": [round(one, 1) for one in off], "on": [round(one, 1) for one in on]},
        "runs_delivered": points,
        "share_taken": {
            "pairs": [round(one, 4) for one in shares],
            "median": round(statistics.median(shares), 4),
            "promised": 0.02,
        },
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result["share_taken"]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
