"""A fault switch for demonstrations: database connections that are opened and never given back."""

import asyncio

import asyncpg

from app.core.database import AWAY, CONNECT_TIMEOUT_S, Connection
from app.settings import ApiSettings

LIMIT = 150
"""Most connections that all processes together leak, so that the server goes on."""


async def leak(settings: ApiSettings) -> None:
    """Open `fault_leak_per_s` connections a second beside the pool, and keep them to the end."""
    share = LIMIT // (settings.api_instances * settings.api_processes)
    kept: list[Connection] = []
    try:
        while len(kept) < share:
            await asyncio.sleep(1 / settings.fault_leak_per_s)
            try:
                kept.append(await _connect(settings.libpq_url))
            except AWAY:
                continue  # a server that has no room is not leaked into any further
        await asyncio.Event().wait()
    finally:
        for connection in kept:
            connection.terminate()


async def _connect(url: str) -> Connection:
    # Under the pool's name: whoever looks sees connections of the API, as with a leak in earnest.
    name = {"application_name": "agenthq-api"}
    return await asyncpg.connect(url, timeout=CONNECT_TIMEOUT_S, server_settings=name)
