"""Probes of Valkey, Celery's queues and Prometheus endpoints, each against the real thing."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis as redis_py
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from loadtests.orchestrate.processes import ProcessManager
from loadtests.orchestrate.servers import make_state_folder, start_redis
from loadtests.probes.celery import CeleryProbe
from loadtests.probes.prometheus import PrometheusProbe, ScrapeError
from loadtests.probes.redis import RedisProbe
from loadtests.probes.sample import Counter as Cumulative
from loadtests.probes.sample import Distribution, Gap
from loadtests.scenario.system import Selection
from tests.probing import eventually, values

ROOT = Path(__file__).parents[2]
STACKS_PYTHON = ROOT / "backend" / ".venv" / "bin" / "python"


@pytest.fixture
def valkey(processes: ProcessManager) -> str:
    """URL of a running Valkey."""
    return start_redis(processes, make_state_folder(processes), "wheels").dsn


# Redis.


def test_redis_is_read(valkey: str) -> None:
    """Gauges at once, rates of what happened in between, and nobody but others among the clients."""
    probe = RedisProbe(valkey)
    first = values(probe.read())
    assert {metric for metric, _ in first} == {"redis_memory", "redis_clients", "redis_blocked_clients"}
    assert first["redis_memory", None] > 100_000
    assert first["redis_clients", None] == 0
    with redis_py.Redis.from_url(valkey) as client:
        client.set("there", 1)
        for _ in range(30):
            client.get("there")
        for _ in range(10):
            client.get("not there")
        second = values(probe.read())
        assert second["redis_clients", None] == 1
    assert second["redis_hit_ratio", None] == 0.75
    assert second["redis_hits", None] == pytest.approx(3 * second["redis_misses", None])
    assert second["redis_commands", None] > second["redis_hits", None] > 0
    probe.close()


def test_redis_that_goes_away_is_a_gap_and_comes_back(processes: ProcessManager, valkey: str) -> None:
    """A round fails, within its time and without a password in its reason; the next one connects anew."""
    probe = RedisProbe(valkey)
    list(probe.read())
    server = processes.named("redis")
    processes.end(server, signal.SIGKILL)
    with pytest.raises(redis_py.RedisError) as caught:
        list(probe.read())
    assert (urlsplit(valkey).password or "?") not in str(caught.value)
    processes.restart(server)

    def answers() -> bool:
        try:
            return bool(values(probe.read()))
        except redis_py.RedisError:
            return False

    eventually(answers, "the probe reads again")
    probe.close()


def test_redis_that_is_frozen_takes_no_longer_than_its_time(processes: ProcessManager, valkey: str) -> None:
    """A server that takes connections and never answers is a gap as well."""
    probe = RedisProbe(valkey)
    list(probe.read())
    server = processes.named("redis").process
    server.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(redis_py.RedisError):
            list(probe.read())
    finally:
        server.send_signal(signal.SIGCONT)
    probe.close()


# Celery.


def test_celery_queue_is_read(processes: ProcessManager, valkey: str, tmp_path: Path) -> None:
    """Messages of all priorities count; the oldest has an age, by timestamp or by watching; a worked one is in progress."""
    gate = tmp_path / "open"
    env = {**os.environ, "LAB_BROKER": valkey, "LAB_OPEN": str(gate), "PYTHONPATH": str(ROOT)}

    def publish(*arguments: str) -> None:
        subprocess.run([STACKS_PYTHON, "-m", "tests.celery_lab", *arguments], env=env, cwd=ROOT, check=True)

    now = [1_800_000_000.0]
    probe = CeleryProbe(valkey, ["celery", "other"], clock=lambda: now[0])
    queue, age, busy = ("celery_queue_depth", "celery"), ("celery_oldest_message", "celery"), ("celery_in_progress", None)
    empty = {queue: 0.0, age: 0.0, busy: 0.0, ("celery_queue_depth", "other"): 0.0, ("celery_oldest_message", "other"): 0.0}
    assert values(probe.read()) == empty
    publish("0")
    assert values(probe.read()) == {**empty, queue: 1.0}
    now[0] += 5
    publish("0", "1799999000")  # claims to be older, and is behind the first all the same
    assert values(probe.read()) == {**empty, queue: 2.0, age: 5.0}
    publish("6", "1799999905")
    assert values(probe.read()) == {**empty, queue: 3.0, age: 100.0}
    worker = [str(STACKS_PYTHON), "-m", "celery", "-A", "tests.celery_lab", "worker", "--pool", "solo", "--loglevel", "ERROR"]
    processes.start("worker", [*worker, "--without-gossip", "--without-mingle"], env=env, cwd=ROOT)
    eventually(lambda: values(probe.read())[busy] == 1.0, "a task is in progress")
    assert values(probe.read())[queue] == 2.0
    gate.touch()
    eventually(lambda: values(probe.read()) == empty, "all tasks are done")
    probe.close()


# Prometheus.


class Service:
    """A process's worth of metrics behind a real endpoint."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("requests", "Requests.", ["method"], registry=self.registry)
        self.depth = Gauge("depth", "Depth.", registry=self.registry)
        self.seconds = Histogram("seconds", "Time.", buckets=(0.1, 0.2, 1.0), registry=self.registry)
        self.server, self._thread = start_http_server(0, "127.0.0.1", self.registry)
        self.url = f"http://127.0.0.1:{self.server.server_port}/metrics"

    def stop(self) -> None:
        """Answer no more."""
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()


@pytest.fixture
def services() -> Iterator[tuple[Service, Service]]:
    """Two instances, each with metrics of its own."""
    both = Service(), Service()
    yield both
    for one in both:
        one.stop()


SELECT = {
    "gets": Selection(metric="requests_total", labels={"method": "GET"}, kind="counter"),
    "depth": Selection(metric="depth", kind="gauge"),
    "time": Selection(metric="seconds", kind="histogram"),
    "nothing": Selection(metric="requests_total", labels={"method": "PATCH"}, kind="counter"),
}


def test_endpoint_is_scraped(services: tuple[Service, Service]) -> None:
    """A gauge, a counter's rate and value, a histogram's quantiles of the round and its buckets, a gap for what is not."""
    service, _ = services
    seconds = [0.0]
    probe = PrometheusProbe("api", [service.url], SELECT, shared=True, clock=lambda: seconds[0])
    service.requests.labels("GET").inc(100)
    service.requests.labels("POST").inc(7)
    service.depth.set(3)
    service.seconds.observe(0.9)
    first = list(probe.read())
    assert values(first) == {("depth", None): 3.0}
    assert Cumulative("gets", 100.0) in first
    (gap,) = [fact for fact in first if isinstance(fact, Gap)]
    assert gap == Gap("prometheus api nothing", 'no such series: requests_total{method=~"PATCH"}')
    service.requests.labels("GET").inc(50)
    for _ in range(100):
        service.seconds.observe(0.15)
    seconds[0] = 2.0
    second = list(probe.read())
    found = values(second)
    assert found["gets", None] == 25.0
    assert {key: round(value, 4) for key, value in found.items() if key[0] == "time"} == {
        ("time", "p50"): 0.15,
        ("time", "p95"): 0.195,
        ("time", "p99"): 0.199,
    }
    (buckets,) = [fact for fact in second if isinstance(fact, Distribution)]
    assert buckets == Distribution("time", [(0.1, 0.0), (0.2, 100.0), (1.0, 101.0), (float("inf"), 101.0)])
    probe.close()


def test_instances_are_added(services: tuple[Service, Service]) -> None:
    """Without shared metrics all are asked; one that is away makes the round a gap, as half a sum is no sum."""
    one, other = services
    probe = PrometheusProbe("api", [one.url, other.url], SELECT, shared=False)
    for count, service in enumerate(services, start=1):
        service.depth.set(count)
        service.requests.labels("GET").inc(10 * count)
    facts = list(probe.read())
    assert values(facts) == {("depth", None): 3.0}
    assert Cumulative("gets", 30.0) in facts
    other.server.shutdown()
    other.server.server_close()
    with pytest.raises(ScrapeError, match=f"127.0.0.1:{other.server.server_port}/metrics"):
        list(probe.read())
    probe.close()


def test_instances_that_share_stand_in_for_each_other(services: tuple[Service, Service]) -> None:
    """One that does not answer is passed over."""
    one, other = services
    one.depth.set(8)
    one.requests.labels("GET").inc()
    dead = "http://127.0.0.1:9/metrics"
    probe = PrometheusProbe("api", [dead, one.url, other.url], SELECT, shared=True)
    assert values(probe.read()) == {("depth", None): 8.0}
    probe.close()


def test_reasons_of_an_endpoint_hold_no_secret(services: tuple[Service, Service]) -> None:
    """Neither password nor token of its address, which are sent all the same."""
    secretive = services[0].url.replace("http://", "http://me:secret@").replace("/metrics", "/metrics?token=secret")
    probe = PrometheusProbe("x", [secretive], {"depth": SELECT["depth"]}, shared=True)
    assert values(probe.read()) == {("depth", None): 0.0}
    services[0].server.shutdown()
    services[0].server.server_close()
    with pytest.raises(ScrapeError, match="is it there") as caught:
        list(probe.read())
    assert "secret" not in str(caught.value)
    probe.close()
