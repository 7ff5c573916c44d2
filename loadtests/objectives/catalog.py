"""Metrics that the probes deliver, by probe: objectives may speak of those whose probe the scenario asks for."""

from loadtests.objectives.grammar import Metric, Unit


def _gauge(name: str, unit: Unit, source: str, probe: str, selectable: bool = False) -> Metric:
    return Metric(name, "gauge", unit, selectable, source, probe)


_POSTGRES: tuple[tuple[str, Unit, str], ...] = (
    ("pg_connections", "count", "pg_stat_activity"),
    ("pg_connections_active", "count", "pg_stat_activity"),
    ("pg_idle_in_transaction", "count", "pg_stat_activity"),
    ("pg_longest_transaction", "duration", "pg_stat_activity"),
    ("pg_lock_waits", "count", "pg_stat_activity"),
    ("pg_locks", "count", "pg_locks"),
    ("pg_commits", "rate", "pg_stat_database"),
    ("pg_rollbacks", "rate", "pg_stat_database"),
    ("pg_cache_hit", "ratio", "pg_stat_database"),
    ("pg_deadlocks", "rate", "pg_stat_database"),
    ("pg_temporary_bytes", "size", "pg_stat_database"),
)
POSTGRES = tuple(_gauge(name, unit, f"PostgreSQL: {view}", "postgres statistics") for name, unit, view in _POSTGRES)
"""With `probes.postgres_statistics`, of the database that the DSN names; the probe itself is left out."""

_REDIS: tuple[tuple[str, Unit], ...] = (
    ("redis_hits", "rate"),
    ("redis_misses", "rate"),
    ("redis_hit_ratio", "ratio"),
    ("redis_commands", "rate"),
    ("redis_evictions", "rate"),
    ("redis_memory", "size"),
    ("redis_clients", "count"),
    ("redis_blocked_clients", "count"),
)
REDIS = tuple(_gauge(name, unit, "Redis: INFO", "redis") for name, unit in _REDIS)
"""With `probes.redis`."""

CELERY = (
    _gauge("celery_queue_depth", "count", "Redis: the queue", "celery", selectable=True),
    _gauge("celery_oldest_message", "duration", "Redis: the queue", "celery", selectable=True),
    _gauge("celery_in_progress", "count", "Redis: unacknowledged messages", "celery"),
)
"""With `probes.celery`; the selector is the queue."""

PROCESSES = (
    _gauge("cpu", "ratio", "processes", "processes", selectable=True),
    _gauge("memory", "size", "processes", "processes", selectable=True),
    _gauge("file_descriptors", "count", "processes", "processes", selectable=True),
)
"""With `probes.processes` or `probes.containers`; the selector is the service, or an instance of it such as `api-1`."""

MACHINE = (
    _gauge("machine_cpu", "ratio", "the machine", "processes"),
    _gauge("machine_steal", "ratio", "the machine", "processes"),
    _gauge("machine_stack", "ratio", "processes", "processes"),
)
"""With `probes.processes`: of the machine that the stack and this harness run on; what the services there use of it."""

SAMPLED_TASKS = (
    _gauge("tasks_sampled_processing", "duration", "the API, sampled", "sampled tasks"),
    _gauge("tasks_sampled_oldest", "duration", "the API, sampled", "sampled tasks"),
    _gauge("tasks_sampled_unfinished", "count", "the API, sampled", "sampled tasks"),
)
"""With `tasks.api.item`."""

ALL = (POSTGRES, REDIS, CELERY, PROCESSES, MACHINE, SAMPLED_TASKS)
"""Every probe's metrics."""
