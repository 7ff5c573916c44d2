"""Settings, read from the environment, one class for each kind of process.

A process asks for what it needs only, so the workers never hold the secret that signs tokens.
"""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self, TypeVar

from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

MIN_SECRET_BYTES = 32
# Pieces of the placeholders that tutorials and sample .env files carry.
_PLACEHOLDERS = ("change-me", "changeme", "change-this", "change_this", "your-secret", "secret-key")


class Environment(StrEnum):
    """Where the process runs; only development accepts placeholder secrets."""

    DEVELOPMENT = "development"
    TEST = "test"
    PRODUCTION = "production"


class SettingsError(Exception):
    """The environment is not usable; the message is one line and names every bad variable."""


def _postgres_url(url: str) -> str:
    if not url.startswith("postgresql+asyncpg://"):
        raise ValueError("must start with postgresql+asyncpg://")
    return url


def _redis_url(url: str) -> str:
    if not url.startswith(("redis://", "rediss://")):
        raise ValueError("must be a redis:// or rediss:// URL")
    return url


PostgresUrl = Annotated[str, AfterValidator(_postgres_url)]
RedisUrl = Annotated[str, AfterValidator(_redis_url)]
Count = Annotated[int, Field(ge=1, le=1000)]
Ratio = Annotated[float, Field(ge=0, le=1)]


class DatabaseSettings(BaseSettings):
    """What every process needs; enough for migrations and the seed."""

    # An empty variable is an unset one: compose files pass `X=` for "not given".
    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True)

    environment: Environment = Environment.PRODUCTION
    database_url: PostgresUrl

    @property
    def libpq_url(self) -> str:
        """The same database as libpq and asyncpg name it."""
        return self.database_url.replace("+asyncpg", "", 1)


class DeploymentSettings(DatabaseSettings):
    """How many processes share the database; every process is told of all of them.

    Each refuses to start when together they could open more connections than the budget allows.
    """

    api_instances: Count = 1
    api_processes: Count = 1
    """Processes of one instance of the API."""
    db_pool_size: Count = 10
    """Connections of one API process."""
    worker_instances: Count = 1
    worker_pool_size: Count = 4
    relay_instances: Count = 1
    db_connection_budget: Count = 90
    """The promise is fewer than 100; ten are left for probes, migrations and people."""
    naive: bool = False
    """The guide's sketch in the place of API and worker (app/sketch)."""
    cache: bool = True
    """Off: no answer is kept, and who changes tasks tells nobody."""

    @model_validator(mode="after")
    def _check_faults(self) -> Self:
        for name, field in type(self).model_fields.items():
            planted = name.startswith("fault_") and getattr(self, name) != field.default
            if planted and self.environment is Environment.PRODUCTION:
                raise ValueError(f"{name.upper()} is refused with ENVIRONMENT=production")
        return self

    @property
    def db_connections(self) -> int:
        """The most that all processes together can open; a relay has one."""
        api = self.api_instances * self.api_processes * self.db_pool_size
        return api + self.worker_instances * self.worker_pool_size + self.relay_instances

    @model_validator(mode="after")
    def _check_budget(self) -> Self:
        if self.db_connections > self.db_connection_budget:
            raise ValueError(
                f"{self.db_connections} database connections are more than DB_CONNECTION_BUDGET="
                f"{self.db_connection_budget}: API_INSTANCES x API_PROCESSES x DB_POOL_SIZE +"
                " WORKER_INSTANCES x WORKER_POOL_SIZE + RELAY_INSTANCES must fit"
            )
        return self


class ApiSettings(DeploymentSettings):
    """Settings of an API process."""

    redis_url: RedisUrl
    jwt_secret: SecretStr
    db_pool: bool = True
    """Off: each statement opens a connection of its own, to show what the pool is worth."""
    cache_ttl_s: Annotated[float, Field(ge=1, le=3600)] = 60.0
    token_cache_size: Annotated[int, Field(ge=0, le=1_000_000)] = 20_000
    """Verified tokens that are kept; 0 verifies each request's."""
    access_token_ttl_s: Annotated[int, Field(ge=1, le=86_400)] = 30 * 60
    """How long an access token lives; refresh tokens live a week."""
    hot_routes: bool = True
    """Off: lists and creates take the way through FastAPI, as all other requests do."""
    create_batch: Annotated[int, Field(ge=1, le=1000)] = 50
    """Tasks that arrive together and are written by one statement; 1: each by its own."""
    login_limit_per_minute: Annotated[int, Field(ge=0)] = 30
    """Guest logins of one address; 0 is no limit."""
    trust_proxy: bool = False
    """Take the client's address from X-Real-IP, which a proxy of ours has set."""
    api_instance_number: Count = 1
    """Which of the instances this is; all are the first one unless they are told."""
    fault_list_delay_ms: Annotated[float, Field(ge=0, le=60_000)] = 0.0
    """How long `GET /tasks` waits before it begins."""
    fault_drop_ratio: Ratio = 0.0
    """Share of accepted tasks that have no outbox entry, so that nobody works them."""
    fault_leak_per_s: Annotated[float, Field(ge=0, le=1000)] = 0.0
    """Database connections that each process opens and never uses, each second."""
    fault_error_ratio: Ratio = 0.0
    """Share of the API's requests that `fault_error_instance` answers with 500."""
    fault_error_instance: Count = 1

    @model_validator(mode="after")
    def _check_secret(self) -> Self:
        secret = self.jwt_secret.get_secret_value()
        if len(secret.encode()) < MIN_SECRET_BYTES:
            raise ValueError(f"JWT_SECRET must have at least {MIN_SECRET_BYTES} bytes")
        placeholder = len(set(secret)) == 1 or any(p in secret.lower() for p in _PLACEHOLDERS)
        if placeholder and self.environment is not Environment.DEVELOPMENT:
            raise ValueError(
                "JWT_SECRET is a known placeholder, accepted only with ENVIRONMENT=development"
            )
        return self


class WorkerSettings(DeploymentSettings):
    """Settings of the relay and of the Celery worker."""

    redis_url: RedisUrl
    """Where the API caches what workers change."""
    celery_broker_url: RedisUrl
    celery_queue: Annotated[str, Field(min_length=1)] = "celery"
    task_batch: Annotated[int, Field(ge=1, le=1000)] = 100
    """Tasks that one message may carry."""
    worker_capacity: Annotated[int, Field(ge=1, le=100_000)] = 2000
    """A worker takes no message while it has so many tasks in progress."""
    task_duration_mean_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.4
    task_duration_seed: int = 1
    task_failure_ratio: Ratio = 0.0
    """Share of tasks whose work fails for good."""
    task_transient_ratio: Ratio = 0.0
    """Share of attempts that fail and are worth another."""
    task_time_limit_s: Annotated[float, Field(gt=0, le=3600)] = 25.0
    task_lease_s: Annotated[float, Field(ge=0.5, le=3600)] = 10.0
    """A worker that was silent for this long has lost its tasks to others."""
    task_max_attempts: Annotated[int, Field(ge=1, le=100)] = 5
    task_retry_delay_s: Annotated[float, Field(ge=0, le=3600)] = 1.0
    """Before the second attempt; doubled before each further one."""
    worker_grace_s: Annotated[float, Field(ge=0, le=3600)] = 5.0
    """How long tasks in progress may go on when the worker is told to end."""
    ready_file: Path | None = None
    metrics_port: Annotated[int, Field(ge=0, le=65535)] = 0
    """Where relay and worker serve /metrics; 0 is nowhere."""
    fault_slow_worker: Annotated[float, Field(ge=1, le=1000)] = 1.0
    """How many times as long the simulated work takes."""


_S = TypeVar("_S", bound=DatabaseSettings)


def load(kind: type[_S]) -> _S:
    """Read `kind` from the environment.

    Raises:
        SettingsError: one line that names all bad variables; values are never in it.
    """
    try:
        return kind()  # type: ignore[call-arg] # the environment gives the arguments
    except ValidationError as error:
        raise SettingsError("bad settings: " + "; ".join(_describe(error))) from None


def load_or_exit(kind: type[_S]) -> _S:
    """As `load`, for entry points: prints the line to stderr and exits with code 2."""
    try:
        return load(kind)
    except SettingsError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None


def _describe(error: ValidationError) -> list[str]:
    lines = []
    for item in error.errors(include_input=False, include_url=False):
        name = ".".join(str(part) for part in item["loc"]).upper()
        problem = item["msg"].removeprefix("Value error, ")
        lines.append(f"{name}: {problem}" if name else problem)
    return lines
