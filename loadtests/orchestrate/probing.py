"""The probes that a scenario asks for, made from its plan and the stack; and a reason for each that cannot be had."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from loadtests import settings
from loadtests.errors import Problem, ScenarioError
from loadtests.orchestrate import sampling
from loadtests.orchestrate.definition import Definition
from loadtests.orchestrate.embedded import Stack
from loadtests.orchestrate.processes import Managed
from loadtests.orchestrate.watch import Probe
from loadtests.orchestrate.ways import people_of
from loadtests.probes.celery import CeleryProbe
from loadtests.probes.containers import ENGINES, Container, engines
from loadtests.probes.exposed import ExposedProbe
from loadtests.probes.machine import MachineProbe
from loadtests.probes.postgres import PostgresProbe
from loadtests.probes.postgres_statistics import PostgresStatisticsProbe
from loadtests.probes.process import GoneError, Leader, ProcessProbe
from loadtests.probes.prometheus import PrometheusProbe
from loadtests.probes.redis import RedisProbe
from loadtests.scenario.schema import Scenario
from loadtests.scenario.system import Probes
from loadtests.store.folder import RunFolder

METRICS = "/metrics"
"""Where a service that another started tells of its own process."""


@dataclass
class Probing:
    """What is asked once a second, and what is not, by the probe's name."""

    probes: dict[str, Probe] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)


def make_probes(wanted: Probes, stack: Stack) -> Probing:
    """All of them; nothing is connected yet."""
    made = Probing()
    for name, asked, variable, make in _by_address(wanted):
        address = stack.secrets.get(variable)
        if asked and address:
            made.probes[name] = make(address)
        elif asked:
            made.absent[name] = f"{variable} is not set"
    _processes(wanted, stack, made)
    _containers(wanted, made)
    _prometheus(wanted, stack, made)
    return made


def add_sampler(made: Probing, scenario: Scenario, stack: Stack, folder: RunFolder) -> None:
    """The probe of accepted tasks, where the scenario says how one is asked for; nothing is connected yet."""
    tasks = scenario.tasks
    if tasks is None or tasks.api is None or not tasks.sampled:
        return
    people = people_of(scenario, stack, sampling.AT_ONCE, sampling.ROUND_S, again=False)
    final = {*tasks.completed, *tasks.failed}
    made.probes["sampled tasks"] = sampling.TaskSampler(folder, people, tasks.api, final, tasks.sample)


def check_services(scenario: Scenario, definition: Definition) -> None:
    """The services that probes name are among those that the definition has. Raises ScenarioError with all that are not.

    A service that this machine leaves out (nginx is not installed) is among them: then it is a gap.
    """
    wanted, file = scenario.probes, f"scenario {scenario.name}"
    listening = [service.name for service in definition.services if service.port is not None]
    everything = [*definition.servers.names, *(service.name for service in definition.services)]
    problems = [
        Problem(file, "probes.processes", f"no service {name!r} in the stack (there are: {', '.join(everything)})")
        for name in wanted.processes
        if name not in everything
    ]
    problems += [
        Problem(
            file,
            f"probes.prometheus.{place}.service",
            f"no service {endpoint.service!r} with a port in the stack (there are: {', '.join(listening)})",
        )
        for place, endpoint in wanted.prometheus.items()
        if endpoint.service is not None and endpoint.service not in listening
    ]
    if problems:
        raise ScenarioError(problems)


def _by_address(wanted: Probes) -> Sequence[tuple[str, object, str, Callable[[str], Probe]]]:
    """Probes that need no more than an address: name, whether it is asked for, the address's variable, how it is made."""
    return (
        ("postgres", wanted.postgres, settings.DSN, lambda dsn: PostgresProbe(dsn, wanted.postgres)),
        ("postgres statistics", wanted.postgres_statistics, settings.DSN, PostgresStatisticsProbe),
        ("redis", wanted.redis, settings.REDIS_URL, RedisProbe),
        ("celery", wanted.celery, settings.BROKER_URL, lambda url: CeleryProbe(url, wanted.celery)),
    )


def _processes(wanted: Probes, stack: Stack, made: Probing) -> None:
    services: dict[str, Mapping[str, Leader]] = {}
    exposed: dict[str, list[str]] = {}
    for name in wanted.processes:
        if instances := stack.services.get(name):
            services[name] = {managed.name: _leader(managed) for managed in instances}
        elif addresses := stack.addresses.get(name):
            exposed[name] = [f"{address}{METRICS}" for address in addresses]
        else:
            made.absent[f"process {name}"] = "this run did not start such a service here"
    if services:
        made.probes["processes"] = ProcessProbe(services, MachineProbe())
    if exposed:
        made.probes["exposed processes"] = ExposedProbe(exposed)


def _leader(managed: Managed) -> Leader:
    def ask() -> int:
        if not managed.alive:
            raise GoneError(managed.fate())
        return managed.process.pid

    return ask


def _containers(wanted: Probes, made: Probing) -> None:
    programs = engines()
    if wanted.containers and not programs:
        made.absent["containers"] = f"this machine has none of {', '.join(ENGINES)}, which know the processes of containers"
    elif wanted.containers:
        made.probes["containers"] = ProcessProbe({name: {name: Container(name, programs)} for name in wanted.containers})


def _prometheus(wanted: Probes, stack: Stack, made: Probing) -> None:
    for place, endpoint in wanted.prometheus.items():
        if endpoint.url is not None:
            urls = [endpoint.url]
        else:
            urls = [f"{address}{endpoint.path}" for address in stack.addresses.get(endpoint.service or "", ())]
        if urls:
            made.probes[f"prometheus {place}"] = PrometheusProbe(place, urls, endpoint.select, endpoint.shared and stack.shared)
        else:
            made.absent[f"prometheus {place}"] = f"this run did not start a service {endpoint.service!r} here; give its url"
