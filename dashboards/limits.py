"""Limits that the panels draw: the objectives and health checks of `scenarios/phase5.toml`, which a test compares."""

P95_MS = 200
P99_MS = 500
AVAILABILITY = 0.999
TASK_PROCESSING_MS = 30_000
CPU = 0.7
MEMORY_BYTES = 2_000_000_000
DB_CONNECTIONS = 100
TASKS_IN_PROGRESS = 1000

LATENESS_MS = 100
OFFERED = 0.99
WORKER_CPU = 0.95
LOOP_LAG_MS = 1000
WORKER_MEMORY_BYTES = 1_000_000_000
