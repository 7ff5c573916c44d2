"""Whether the InfluxDB that metrics are to be sent to can be reached."""

from collections.abc import Iterator

from urllib3 import Timeout
from urllib3.exceptions import HTTPError

from loadtests.orchestrate.doctor.facts import Influx
from loadtests.orchestrate.doctor.rows import Row, row, unless
from loadtests.sinks.address import Address
from loadtests.sinks.transport import BoundedPool, in_words

TIMEOUT_S = 2.0
VERSION = "X-Influxdb-Version"


def ask_influx(address: Address) -> Influx:
    """What answers there. It is asked for a sign of life, which needs no token: none is sent."""
    pool = BoundedPool()
    try:
        reply = pool.request("HEAD", f"{address.url}/ping", timeout=Timeout(total=TIMEOUT_S))
    except (HTTPError, OSError, ValueError) as error:
        return Influx(address.url, None, address.hide(in_words(error)))
    finally:
        pool.clear()
    if version := reply.headers.get(VERSION):
        return Influx(address.url, address.hide(f"InfluxDB {version[:40]}"))
    if address.api and reply.status < 400:  # as `sinks.influx.connect`: who names the API is not asked for a version
        return Influx(address.url, "it answers")
    return Influx(address.url, None, f"HTTP {reply.status}, which is no InfluxDB's answer")


def influx_rows(influx: Influx | None) -> Iterator[Row]:
    """A row when metrics go somewhere. Never a failure: what cannot be sent is kept in the run's folder."""
    if influx is None:
        return
    found = influx.answer or f"does not answer ({influx.trouble})"
    mend = "start it, or leave --influx out; nothing is lost: `loadtest upload` sends a run's metrics later"
    yield row("InfluxDB", f"{influx.url}: {found}", "one that answers", unless(influx.answer is not None), mend)
