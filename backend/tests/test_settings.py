"""Settings: what is refused, and how."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.security import ACCESS_LIFETIME_S
from app.settings import ApiSettings, SettingsError, WorkerSettings, load, load_or_exit
from tests.support import process

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
    assert settings.access_token_ttl_s == ACCESS_LIFETIME_S
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
        ("CACHE_TTL_S", "0", "CACHE_TTL_S"),
        ("CREATE_BATCH", "0", "CREATE_BATCH"),
        ("TOKEN_CACHE_SIZE", "-1", "TOKEN_CACHE_SIZE"),
        ("ACCESS_TOKEN_TTL_S", "0", "ACCESS_TOKEN_TTL_S"),
        ("LOGIN_LIMIT_PER_MINUTE", "-1", "LOGIN_LIMIT_PER_MINUTE"),
        (
            "FAULT_LIST_DELAY_MS",
            "300",
            "FAULT_LIST_DELAY_MS is refused with ENVIRONMENT=production",
        ),
        ("FAULT_DROP_RATIO", "0.01", "FAULT_DROP_RATIO is refused with ENVIRONMENT=production"),
        ("FAULT_LEAK_PER_S", "1", "FAULT_LEAK_PER_S is refused with ENVIRONMENT=production"),
        ("FAULT_ERROR_RATIO", "0.01", "FAULT_ERROR_RATIO is refused with ENVIRONMENT=production"),
        ("FAULT_DROP_RATIO", "1.1", "FAULT_DROP_RATIO"),
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


COUNTS = (
    "API_INSTANCES",
    "API_PROCESSES",
    "DB_POOL_SIZE",
    "WORKER_INSTANCES",
    "WORKER_POOL_SIZE",
    "RELAY_INSTANCES",
)


@given(counts=st.tuples(*[st.integers(1, 8)] * len(COUNTS)), over=st.integers(0, 300))
def test_the_budget_is_exact(counts: tuple[int, ...], over: int) -> None:
    """All connections that could be open fit, or no process starts."""
    api, processes, pool, workers, worker_pool, relays = counts
    total = api * processes * pool + workers * worker_pool + relays
    given_counts = dict(zip(COUNTS, map(str, counts), strict=True))
    with pytest.MonkeyPatch.context() as environment:
        for name, value in given_counts.items():
            environment.setenv(name, value)
        for kind in (ApiSettings, WorkerSettings):
            environment.setenv("DB_CONNECTION_BUDGET", str(min(total + over, 1000)))
            assert load(kind).db_connections == total
            environment.setenv("DB_CONNECTION_BUDGET", str(total - 1))
            with pytest.raises(SettingsError, match=f"^bad settings: {total} database"):
                load(kind)


def test_over_the_budget_the_process_ends(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """90 connections start, 91 are refused with one line and exit code 2."""
    monkeypatch.setenv("API_INSTANCES", "8")
    monkeypatch.setenv("WORKER_POOL_SIZE", "9")
    assert load_or_exit(ApiSettings).db_connections == 90
    monkeypatch.setenv("RELAY_INSTANCES", "2")
    for kind in (ApiSettings, WorkerSettings):
        with pytest.raises(SystemExit) as exited:
            load_or_exit(kind)
        assert exited.value.code == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert "91 database connections are more than DB_CONNECTION_BUDGET=90" in said


@pytest.mark.parametrize(
    "command", [["app.workers.relay"], ["celery", "-A", "app.workers.app:celery_app", "worker"]]
)
def test_a_process_over_the_budget(tmp_path: Path, command: list[str]) -> None:
    """Relay and worker do as the API does."""
    log = tmp_path / "log"
    with process(command, log, ENVIRONMENT="test", API_INSTANCES="100") as child:
        assert child.wait(20) == 2
    lines = log.read_text().splitlines()
    assert [line for line in lines if "more than DB_CONNECTION_BUDGET" in line] == lines


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TASK_LEASE_S", "0.4"),
        ("TASK_TIME_LIMIT_S", "0"),
        ("TASK_MAX_ATTEMPTS", "0"),
        ("TASK_TRANSIENT_RATIO", "1.1"),
        ("TASK_DURATION_MEAN_S", "inf"),
        ("WORKER_CAPACITY", "0"),
        ("TASK_BATCH", "0"),
        ("FAULT_SLOW_WORKER", "0.5"),
    ],
)
def test_bad_values_of_a_worker(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """What makes no sense is refused by name."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name):
        load(WorkerSettings)


def test_planted_faults_are_refused_in_production_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of workers too; a switch that stands at its default is none."""
    monkeypatch.setenv("FAULT_SLOW_WORKER", "2")
    with pytest.raises(SettingsError, match="FAULT_SLOW_WORKER is refused with ENVIRONMENT"):
        load(WorkerSettings)
    monkeypatch.setenv("ENVIRONMENT", "test")
    assert load(WorkerSettings).fault_slow_worker == 2
    monkeypatch.setenv("ENVIRONMENT", "production")
    monkeypatch.setenv("FAULT_SLOW_WORKER", "1")
    assert load(WorkerSettings)


def test_a_worker_needs_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does the API need the broker."""
    monkeypatch.delenv("JWT_SECRET")
    assert load(WorkerSettings)
    monkeypatch.setenv("JWT_SECRET", GOOD_SECRET)
    monkeypatch.delenv("CELERY_BROKER_URL")
    assert load(ApiSettings)
