"""Which probes a scenario gets, which it cannot have and why, and what a round becomes in the record."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtests import settings
from loadtests.errors import InputError
from loadtests.orchestrate.definition import read_definition
from loadtests.orchestrate.embedded import Stack
from loadtests.orchestrate.preflight import check_redis_urls
from loadtests.orchestrate.probing import check_services, make_probes
from loadtests.orchestrate.watch import next_round, reason_of, round_of, without_secrets
from loadtests.probes.sample import Counter, Distribution, Fact, Gap, Sample
from loadtests.scenario.load import load_plan
from loadtests.scenario.plan import Plan
from loadtests.scenario.system import Probes

ROOT = Path(__file__).parents[2]
SELECT = {"depth": {"metric": "queue_depth"}}


def asked(**tables: object) -> Probes:
    """The table `[probes]`."""
    return Probes.model_validate(tables)


class Saying:
    """A probe that says what it is given, and then perhaps fails."""

    def __init__(self, *facts: Fact, then: Exception | None = None) -> None:
        self._facts, self._then = facts, then

    def read(self) -> Iterator[Fact]:
        """One round."""
        yield from self._facts
        if self._then is not None:
            raise self._then

    def close(self) -> None:
        """Nothing to close."""


def test_a_probe_without_its_address_is_missed() -> None:
    """Each that was asked for and cannot be had has its reason; those that were not asked for have none."""
    wanted = asked(postgres={"n": "SELECT 1"}, postgres_statistics=True, redis=True, celery=["celery"])
    made = make_probes(wanted, Stack(None, {settings.REDIS_URL: "redis://localhost"}))
    assert list(made.probes) == ["redis"]
    assert made.absent == {
        "postgres": "LOADTEST_DSN is not set",
        "postgres statistics": "LOADTEST_DSN is not set",
        "celery": "LOADTEST_BROKER_URL is not set",
    }
    assert make_probes(asked(), Stack(None, {})).absent == {}


def test_services_that_this_run_did_not_start() -> None:
    """Neither its processes nor its endpoint can be asked; an endpoint with a url of its own can."""
    endpoints = {"api": {"service": "api", "select": SELECT}, "other": {"url": "http://localhost:1/metrics", "select": SELECT}}
    made = make_probes(asked(processes=["nginx"], prometheus=endpoints), Stack(None, {}))
    assert list(made.probes) == ["prometheus other"]
    assert "nginx" not in made.probes and set(made.absent) == {"process nginx", "prometheus api"}
    assert "give its url" in made.absent["prometheus api"]


def test_containers_without_an_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One clear gap for all of them."""
    monkeypatch.setenv("PATH", str(tmp_path))
    made = make_probes(asked(containers=["api-1", "db"]), Stack(None, {}))
    assert made.probes == {}
    assert made.absent == {"containers": "this machine has none of docker, podman, which know the processes of containers"}


SCENARIO = """
name = "x"
[load]
users = 1
rate_per_user = 1.0
duration = "1s"
[[mix]]
journey = "list_tasks"
[objectives]
p95 = "response_time.p95 < 1s"
"""


def planned(tmp_path: Path, more: str) -> Plan:
    """The plan of a small scenario with these tables."""
    path = tmp_path / "x.toml"
    path.write_text(SCENARIO + more)
    return load_plan(path)


def test_unknown_services_are_bad_input(tmp_path: Path) -> None:
    """All of them at once, each with its key and the services there are; nginx is one, installed or not."""
    select = 'select = { depth = { metric = "queue_depth" } }'
    plan = planned(
        tmp_path,
        f'[probes]\nprocesses = ["nginx", "postgres", "apu"]\n[probes.prometheus.w]\nservice = "worker"\n{select}\n',
    )
    with pytest.raises(InputError) as caught:
        check_services(plan.scenario, read_definition(ROOT / "backend" / "stack.toml"))
    assert str(caught.value).splitlines() == [
        "scenario x: probes.processes: no service 'apu' in the stack (there are: postgres, redis, api, worker, relay, nginx)",
        "scenario x: probes.prometheus.w.service: no service 'worker' with a port in the stack (there are: api, nginx)",
    ]


def test_shipped_scenarios_ask_for_services_that_there_are() -> None:
    """Of the project's own stack."""
    definition = read_definition(ROOT / "backend" / "stack.toml")
    for file in sorted((ROOT / "scenarios").glob("*.toml")):
        check_services(load_plan(file).scenario, definition)


@pytest.mark.parametrize("url", ["localhost:6379", "http://me:secret@localhost", "redis://:se/cret@localhost:6379/0"])
def test_addresses_that_cannot_be_understood(tmp_path: Path, url: str) -> None:
    """Bad input, before the load, and the password in it is not repeated; what no probe needs is not looked at."""
    env = {settings.REDIS_URL: url, settings.BROKER_URL: "amqp://somewhere"}
    check_redis_urls(planned(tmp_path, ""), env)
    with pytest.raises(InputError, match=r"LOADTEST_REDIS_URL: not an address of Redis") as caught:
        check_redis_urls(planned(tmp_path, "[probes]\nredis = true\n"), env)
    assert "cret" not in str(caught.value)
    with pytest.raises(InputError, match="LOADTEST_BROKER_URL"):
        check_redis_urls(planned(tmp_path, '[probes]\ncelery = ["celery"]\n'), env)


def test_bad_selections_are_bad_input(tmp_path: Path) -> None:
    """A label's pattern that is no regular expression, and an address without its scheme."""
    table = '[probes.prometheus.w]\nurl = "localhost:9/metrics"\nselect = { depth = { metric = "d", labels = { a = "(" } } }\n'
    with pytest.raises(InputError) as caught:
        planned(tmp_path, table)
    assert "label 'a': '(' is no regular expression" in str(caught.value)
    with pytest.raises(InputError, match="http://host:port/path"):
        planned(tmp_path, table.replace('"("', '"x"'))
    with pytest.raises(InputError, match="without a user") as caught:
        planned(tmp_path, table.replace('"("', '"x"').replace("localhost:9", "http://me:planted@localhost:9"))
    assert "planted" not in str(caught.value)


def test_a_round_with_samples_alone() -> None:
    """The record has the keys that it always had, and no others; what is no number is left out."""
    record = round_of("p", Saying(Sample("a", None, 1.0), Sample("b", "x", 2.5), Sample("c", None, math.nan)))
    assert set(record) == {"time", "probe", "samples", "gaps"}
    assert (record["samples"], record["gaps"]) == ([["a", None, 1.0], ["b", "x", 2.5]], {})


def test_a_round_with_everything() -> None:
    """Counters by name, buckets with the last bound as text, gaps of parts."""
    facts = (Counter("n", 7.0), Distribution("d", [(0.1, 3.0), (math.inf, 4.0)]), Gap("part", "is gone"))
    record = round_of("p", Saying(*facts))
    assert record["counters"] == {"n": 7.0}
    assert record["buckets"] == {"d": [[0.1, 3.0], ["+Inf", 4.0]]}
    assert record["gaps"] == {"part": "is gone"}


def test_a_round_that_breaks_off() -> None:
    """What was said before is kept, and the reason is one line."""
    record = round_of("p", Saying(Sample("a", None, 1.0), then=OSError("away\nmore")))
    assert (record["samples"], record["gaps"]) == ([["a", None, 1.0]], {"p": "OSError: away"})


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("redis://:pass@localhost:1/0 is away", "redis://localhost:1/0 is away"),
        ("at postgresql://me:p@ss/word@host/db", "at postgresql://host/db"),
        ("http://localhost/metrics", "http://localhost/metrics"),
    ],
)
def test_reasons_hold_no_passwords(text: str, shown: str) -> None:
    """Addresses lose user and password, whatever library repeats them."""
    assert without_secrets(text) == shown
    assert reason_of(ValueError(text)) == f"ValueError: {shown}"


@pytest.mark.parametrize(
    ("begins", "next_s"),
    [(10.0, 11.0), (10.1, 11.0), (10.5, 11.0), (10.9, 11.4), (12.0, 12.5)],
    ids=["in time", "a little late", "half a second late", "later", "after a round of two seconds"],
)
def test_rounds_keep_apart(begins: float, next_s: float) -> None:
    """A round a second; after one that took longer the next begins at once, and the one after that not in the same moment."""
    assert next_round(10.0, begins) == next_s
