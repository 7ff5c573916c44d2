"""How often one address may log in, over all instances."""

import asyncio
import time

from redis.exceptions import RedisError

from app.core import metrics
from app.core.cache import COMMAND_TIMEOUT_S
from app.core.state import AppState

WINDOW_S = 60


async def login_allowed(state: AppState, address: str) -> bool:
    """Count a login of the address in this minute; False when it is one too many.

    Without Redis everybody is allowed: a login is worth more than the limit.
    """
    limit = state.settings.login_limit_per_minute
    if not limit or (state.cache is not None and state.cache.is_open):
        return True
    key = f"login:{address}:{int(time.time()) // WINDOW_S}"
    try:
        async with asyncio.timeout(COMMAND_TIMEOUT_S):
            pipeline = state.redis.pipeline(transaction=False)
            pipeline.incr(key)
            pipeline.expire(key, WINDOW_S)
            count, _ = await pipeline.execute()
    except (RedisError, OSError, TimeoutError):
        metrics.CACHE_ERRORS.labels("INCR").inc()
        return True
    if count > limit:
        metrics.LOGINS_LIMITED.inc()
    return bool(count <= limit)
