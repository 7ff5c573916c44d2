"""InfluxDB as a place where lines go: version 1 by `/write`, 2 and 3 by influxdb-client's synchronous write API."""

import gzip
from typing import Protocol
from urllib.parse import urlencode

import urllib3
from influxdb_client import InfluxDBClient
from influxdb_client.client.exceptions import InfluxDBError
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException
from urllib3.exceptions import HTTPError

from loadtests import settings
from loadtests.sinks.address import Address
from loadtests.sinks.transport import TIMEOUT_S, BoundedPool, NoReply, Reply, ask, first_line, in_words

DELIVERED = 204


class Server(Protocol):
    """Takes lines, and makes the database."""

    def write(self, lines: bytes) -> Reply:
        """Write lines of line protocol. Raises NoReply."""

    def create(self) -> Reply:
        """Make the database or bucket. Raises NoReply."""


def connect(address: Address) -> Server:
    """A client for the version that the server says it is. Raises NoReply."""
    if address.api:
        return InfluxV1(address) if address.api == "1" else InfluxV2(address)
    pool = BoundedPool()
    try:
        response = pool.request("GET", f"{address.url}/ping", timeout=TIMEOUT_S)
    except (HTTPError, OSError, ValueError) as error:
        raise NoReply(in_words(error)) from error
    version = response.headers.get("X-Influxdb-Version", "")
    if not version:
        raise NoReply(
            f"/ping answered {response.status} without a version: no InfluxDB ({settings.INFLUX_API}=1 or 2 goes without)"
        )
    return InfluxV1(address) if version.removeprefix("v").startswith(("0.", "1.")) else InfluxV2(address)


class InfluxV1:
    """InfluxDB 1: `/write` and `/query`."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._pool = BoundedPool()
        secret = f"{address.user}:{address.password}" if address.user else None
        self._headers = dict(urllib3.make_headers(basic_auth=secret, keep_alive=True))

    def write(self, lines: bytes) -> Reply:
        """As `Server` says."""
        url = f"{self._address.url}/write?{urlencode({'db': self._address.database, 'precision': 'ns'})}"
        headers = {**self._headers, "Content-Encoding": "gzip", "Content-Type": "text/plain; charset=utf-8"}
        return ask(self._pool, "POST", url, body=gzip.compress(lines, 1), headers=headers)

    def create(self) -> Reply:
        """As `Server` says."""
        quoted = self._address.database.replace("\\", "\\\\").replace('"', '\\"')
        fields = {"q": f'CREATE DATABASE "{quoted}"'}
        return ask(
            self._pool, "POST", f"{self._address.url}/query", fields=fields, encode_multipart=False, headers=self._headers
        )


class InfluxV2:
    """InfluxDB 2 and 3: `/api/v2/write`, through the official client."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._client = InfluxDBClient(
            address.url, address.token, org=address.org or None, timeout=round(TIMEOUT_S * 1000), enable_gzip=True
        )
        self._pool = self._client.api_client.rest_client.pool_manager = BoundedPool()
        self._writer = self._client.write_api(write_options=SYNCHRONOUS)

    def write(self, lines: bytes) -> Reply:
        """As `Server` says."""
        try:
            self._writer.write(self._address.database, self._address.org or "-", lines)
        except ApiException as error:
            return _refusal(error)
        except (HTTPError, OSError, ValueError) as error:
            raise NoReply(in_words(error)) from error
        return Reply(self._pool.last_status)

    def create(self) -> Reply:
        """As `Server` says."""
        try:
            self._client.buckets_api().create_bucket(bucket_name=self._address.database, org=self._address.org or None)
        except ApiException as error:
            return _refusal(error)
        except (InfluxDBError, HTTPError, OSError, ValueError, TypeError, AttributeError) as error:  # it believes any answer
            raise NoReply(in_words(error)) from error
        return Reply(self._pool.last_status)


def _refusal(error: ApiException) -> Reply:
    text = error.body if isinstance(error.body, str) else str(error.reason or "")
    after = str(getattr(error, "retry_after", None) or "")
    return Reply(error.status or 0, first_line(text), float(after) if after.isdecimal() and len(after) < 10 else None)
