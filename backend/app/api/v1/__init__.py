"""Version 1 of the API.

Each router carries the whole prefix itself: a prefix given to `include_router` is missing from
`scope["route"].path`, which labels the metrics.
"""

API_PREFIX = "/api/v1"
