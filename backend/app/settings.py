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


class DatabaseSettings(BaseSettings):
    """What every process needs; enough for migrations and the seed."""

    # An empty variable is an unset one: compose files pass `X=` for "not given".
    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True)

    environment: Environment = Environment.PRODUCTION
    database_url: PostgresUrl

    @property
    def psycopg_url(self) -> str:
        """The same database as a libpq URL, for the synchronous driver."""
        return self.database_url.replace("+asyncpg", "", 1)


class ApiSettings(DatabaseSettings):
    """Settings of an API process."""

    redis_url: RedisUrl
    jwt_secret: SecretStr
    db_pool_size: Annotated[int, Field(ge=1, le=90)] = 10
    fault_list_delay_ms: Annotated[float, Field(ge=0, le=60_000)] = 0.0

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

    @model_validator(mode="after")
    def _check_faults(self) -> Self:
        if self.fault_list_delay_ms and self.environment is Environment.PRODUCTION:
            raise ValueError("FAULT_LIST_DELAY_MS is refused with ENVIRONMENT=production")
        return self


class WorkerSettings(DatabaseSettings):
    """Settings of the relay and of the Celery worker."""

    celery_broker_url: RedisUrl
    celery_queue: Annotated[str, Field(min_length=1)] = "celery"
    celery_concurrency: Annotated[int, Field(ge=1, le=1000)] = 100
    task_duration_mean_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.4
    task_duration_seed: int = 1
    task_failure_ratio: Annotated[float, Field(ge=0, le=1)] = 0.0
    task_lease_s: Annotated[float, Field(gt=0, le=3600)] = 60.0
    ready_file: Path | None = None

    @model_validator(mode="after")
    def _check_lease(self) -> Self:
        # The longest simulated task lasts ten means (app/workers/duration.py); were the lease
        # shorter, a second worker would take a task whose first worker is alive.
        if self.task_duration_mean_s * 10 >= self.task_lease_s:
            raise ValueError("TASK_LEASE_S must be longer than 10 x TASK_DURATION_MEAN_S")
        return self


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
