"""Settings: what is refused, and how."""

import pytest

from app.settings import ApiSettings, SettingsError, WorkerSettings, load

GOOD_SECRET = "0123456789abcdef" * 2


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")
    monkeypatch.setenv("DATABASE_URL", "postgresql+asyncpg://localhost/x")
    monkeypatch.setenv("REDIS_URL", "redis://localhost")
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://localhost/1")
    monkeypatch.setenv("JWT_SECRET", GOOD_SECRET)
    for kind in (ApiSettings, WorkerSettings):
        for name, field in kind.model_fields.items():
            if not field.is_required() and name != "environment":
                monkeypatch.delenv(name.upper(), raising=False)


def test_defaults() -> None:
    """Only URLs and the secret must be given."""
    settings = load(ApiSettings)
    assert settings.db_pool_size == 10
    assert settings.fault_list_delay_ms == 0
    assert load(WorkerSettings).celery_queue == "celery"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("JWT_SECRET", "short", "at least 32 bytes"),
        ("JWT_SECRET", "please-change-me-please-change-me-please", "placeholder"),
        ("JWT_SECRET", "a" * 40, "placeholder"),
        ("JWT_SECRET", "", "JWT_SECRET: Field required"),
        ("DATABASE_URL", "postgresql://localhost/x", "postgresql+asyncpg://"),
        ("REDIS_URL", "localhost:6379", "rediss:// URL"),
        ("DB_POOL_SIZE", "0", "DB_POOL_SIZE"),
        ("FAULT_LIST_DELAY_MS", "300", "refused with ENVIRONMENT=production"),
        ("ENVIRONMENT", "staging", "ENVIRONMENT"),
    ],
)
def test_bad_value_is_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    """A bad variable gives one line that names the problem and no secret."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load(ApiSettings)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert GOOD_SECRET not in str(caught.value)


def test_development_accepts_a_placeholder(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sample secret is good enough on a developer's own machine."""
    monkeypatch.setenv("ENVIRONMENT", "development")
    monkeypatch.setenv("JWT_SECRET", "your-secret-key-your-secret-key-your-secret-key")
    assert load(ApiSettings)


def test_a_lease_must_outlive_every_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lease shorter than the longest task would let two workers have one task."""
    monkeypatch.setenv("TASK_DURATION_MEAN_S", "6")
    with pytest.raises(SettingsError, match="TASK_LEASE_S"):
        load(WorkerSettings)
